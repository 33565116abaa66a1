"""The demo's corpus and its one-sentence edits, on any text."""

from hypothesis import given
from hypothesis import strategies as st

from compose.demo.corpus import SECTIONS, characters, corpus, document_of
from compose.demo.edits import Author, edit_sentence

PROSE = (
    "A list is a sequence of values that can be changed in place.\n\n"
    "   It grows when something is appended to it. It shrinks when something is taken away.\n"
)


def test_every_topic_becomes_a_document_with_a_title_and_a_text():
    documents = corpus()
    assert len(documents) > 50
    assert characters(documents) > 300_000
    assert len({document.id for document in documents}) == len(documents)
    assert [document.id for document in documents] == sorted(document.id for document in documents)
    for document in documents:
        assert document.title.strip() == document.title != ""
        assert document.body.strip()
        assert document.section in SECTIONS
    assert len({document.section for document in documents}) > 2


def test_an_underlined_heading_is_the_title_and_leaves_the_text():
    document = document_of("with", 'The "with" statement\n********************\n\nIt wraps a block.\n')
    assert (document.title, document.body) == ('The "with" statement', "It wraps a block.")
    assert document.section == "statements"


def test_a_topic_without_a_heading_is_named_after_its_key():
    document = document_of("bltin-null-object", "It is returned by functions.\nNothing more.\n")
    assert document.title == "bltin null object"
    assert document.body == "It is returned by functions.\nNothing more."


def test_a_heading_without_a_text_below_keeps_its_text():
    assert document_of("pass", "Pass\n****\n").body == "Pass\n****\n"


def test_an_edit_changes_one_sentence_and_names_itself():
    edit = edit_sentence(PROSE, 7, 0.4)
    assert edit.old == "It grows when something is appended to it."
    assert edit.new == "It grows when something is appended to it, as edit 7 says."
    assert edit.text == PROSE.replace(edit.old, edit.new)


def test_an_edit_of_an_edited_sentence_does_not_make_it_longer():
    once = edit_sentence(PROSE, 7, 0.0)
    twice = edit_sentence(once.text, 8, 0.0)
    assert twice.old == once.new
    assert twice.new == once.new.replace("7", "8")
    assert len(twice.text) == len(once.text)


def test_a_text_without_a_sentence_gets_one_which_is_then_the_one_that_changes():
    once = edit_sentence("x = 1", 1, 0.9)
    assert once.text == "x = 1\n\nThis sentence came with edit 1."
    assert edit_sentence(once.text, 2, 0.1).text == "x = 1\n\nThis sentence came with edit 1, as edit 2 says."


def test_a_sentence_that_stands_twice_is_left_alone():
    text = "A thing is said here once more.\n\nA thing is said here once more.\n\nThis other one stands alone here."
    for choice in (0.0, 0.4, 0.9):
        assert edit_sentence(text, 3, choice).old == "This other one stands alone here."


@given(
    st.lists(
        st.sampled_from([PROSE, "code()\n", "Other words stand here alone.", "\n\n", "é 👩 ", "  "]), max_size=8
    ),
    st.integers(0, 10_000),
    st.floats(0, 1, exclude_max=True),
)
def test_an_edit_changes_the_text_in_its_sentence_alone(parts, number, choice):
    text = "".join(parts)
    edit = edit_sentence(text, number, choice)
    assert edit.text != text
    assert edit.text.count(edit.new) >= 1
    if edit.old:
        before, after = text.split(edit.old, 1)
        assert edit.text == f"{before}{edit.new}{after}"
    else:
        assert edit.text == f"{text}\n\n{edit.new}"


def test_two_authors_with_one_seed_make_the_same_edits():
    texts = [document.body for document in corpus()[:10]]
    first, second = Author(3), Author(3)
    assert [first.edit(text) for text in texts] == [second.edit(text) for text in texts]


def test_the_edits_of_one_author_are_all_different():
    author = Author(1)
    text = PROSE
    seen = set()
    for _ in range(20):
        text = author.edit(text).text
        seen.add(text)
    assert len(seen) == 20
