"""The laws of the strategy ``structure``: what of a Markdown text is never cut, and what stays together.

Texts are built of blocks whose places are known, so no second parser has to agree with the one under test.
"""

import itertools
from dataclasses import dataclass, field

import pytest
from chunking_world import TOKENIZERS, check, contract, cut_inside, sentences_of
from hypothesis import given
from hypothesis import strategies as st

from stream.chunking import markdown

WORD = st.sampled_from(["alpha", "beta", "gamma", "x", "délta", "数据", "😀", "שלום", "e.g.", "of", "rows", "table"])
PROSE = st.lists(WORD, min_size=1, max_size=10).map(" ".join)
SENTENCE = PROSE.map(lambda words: f"The {words}. ")
LINE = st.one_of(st.just(""), PROSE, PROSE.map("# {}".format), PROSE.map("- {}".format), PROSE.map("    {}".format))

HEADING = st.builds(lambda level, words: ("heading", "#" * level + " " + words), st.integers(1, 4), PROSE)
UNDERLINED = st.builds(
    lambda rule, words: ("heading", f"Head {words}\n{rule}"), st.sampled_from(["===", "---"]), PROSE
)
PARAGRAPH = st.lists(SENTENCE, min_size=1, max_size=6).map(lambda all_: ("paragraph", "".join(all_).rstrip()))
FENCE = st.builds(
    lambda fence, lines: ("fence", "\n".join([f"{fence}py", "x", *lines, fence])),
    st.sampled_from(["```", "~~~", "````"]),
    st.lists(LINE, max_size=8),
)
ITEMS = st.builds(
    lambda mark, items: ("list", "\n".join(f"{mark} {item}" for item in items)),
    st.sampled_from(["-", "*", "+"]),
    st.lists(
        st.lists(SENTENCE, min_size=1, max_size=2).map(lambda all_: "".join(all_).rstrip()), min_size=2, max_size=6
    ),
)
NUMBERED = st.lists(PROSE, min_size=2, max_size=6).map(
    lambda items: ("list", "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1)))
)
TABLE = st.lists(st.tuples(PROSE, PROSE), min_size=1, max_size=6).map(
    lambda rows: ("table", "\n".join(["| a | b |", "|---|---|", *(f"| {one} | {other} |" for one, other in rows)]))
)
QUOTE = st.lists(SENTENCE, min_size=1, max_size=3).map(
    lambda lines: ("quote", "\n".join(f"> {line.rstrip()}" for line in lines))
)
BLOCKS = st.lists(
    HEADING | UNDERLINED | PARAGRAPH | FENCE | ITEMS | NUMBERED | TABLE | QUOTE, min_size=1, max_size=12
)


@dataclass
class Document:
    text: str = ""
    spans: list = field(default_factory=list)

    def of(self, *kinds):
        return [span for kind, span in self.spans if kind in kinds]

    def lines(self, *kinds):
        """Spans of the lines in such blocks, without white space around them."""
        found = []
        for begin, end in self.of(*kinds):
            place = begin
            for line in self.text[begin:end].split("\n"):
                if line.strip():
                    found.append((place + len(line) - len(line.lstrip()), place + len(line.rstrip())))
                place += len(line) + 1
        return found


@st.composite
def documents(draw):
    document = Document()
    for kind, text in draw(BLOCKS):
        document.text += "\n\n" * bool(document.text)
        document.spans.append((kind, (len(document.text), len(document.text) + len(text))))
        document.text += text
    return document


DOCUMENTS = documents()
SIZES = st.sampled_from([16, 24, 50, 120])
every_tokenizer = pytest.mark.parametrize("name", ["minilm", "signs", "bytes"])


def passages_of(document, data, name):
    tokenizer = TOKENIZERS[name]
    most = data.draw(SIZES)
    least = data.draw(st.sampled_from([0, 1, most // 4]))
    return check(document.text, contract("structure", tokenizer, most, least), tokenizer), tokenizer, most


@every_tokenizer
@given(DOCUMENTS, st.data())
def test_a_code_fence_that_fits_is_never_cut(name, document, data):
    passages, tokenizer, most = passages_of(document, data, name)
    for begin, end in cut_inside(passages, document.of("fence")):
        assert tokenizer.count(document.text[begin:end]) > most


@every_tokenizer
@given(DOCUMENTS, st.data())
def test_a_table_row_a_list_item_or_a_line_of_code_that_fits_is_never_cut(name, document, data):
    passages, tokenizer, most = passages_of(document, data, name)
    for begin, end in cut_inside(passages, document.lines("table", "list", "fence")):
        assert tokenizer.count(document.text[begin:end]) > most


@given(DOCUMENTS, st.data())
def test_a_heading_stays_with_the_text_that_follows_where_it_fits(document, data):
    passages, tokenizer, most = passages_of(document, data, "signs")
    for (kind, heading), (next_kind, following) in itertools.pairwise(document.spans):
        if kind != "heading" or next_kind == "heading":
            continue
        block = document.text[slice(*following)]
        lines = block.split("\n")
        first = {
            "paragraph": block[: sentences_of(block, tokenizer)[0][1]],
            "fence": block,
            "table": "\n".join(lines[:3]),  # the head of a table stays with its first row
        }.get(next_kind, lines[0])
        end = following[0] + len(first)
        if tokenizer.count(document.text[heading[0] : end]) > most:
            continue
        beside = [passage for passage in passages if passage.span[0] < heading[1] <= passage.span[1]]
        assert beside[0].span[1] > heading[1], document.text[heading[0] : end]


@given(DOCUMENTS, st.data())
def test_a_paragraph_that_fits_is_cut_for_the_sake_of_its_heading_alone(document, data):
    passages, tokenizer, most = passages_of(document, data, "signs")
    behind = {span for (kind, _), (_, span) in itertools.pairwise(document.spans) if kind == "heading"}
    for begin, end in cut_inside(passages, document.of("paragraph")):
        assert (begin, end) in behind or tokenizer.count(document.text[begin:end]) > most


@given(DOCUMENTS, st.data())
def test_a_passage_that_has_the_minimum_is_not_ended_by_the_next_section(document, data):
    tokenizer, most = TOKENIZERS["signs"], data.draw(SIZES)
    passages = check(document.text, contract("structure", tokenizer, most, 1), tokenizer)
    headings = [span for span in document.of("heading") if tokenizer.count(document.text[slice(*span)]) <= most]
    after_text = {
        span for (kind, _), (_, span) in itertools.pairwise(document.spans) if kind != "heading" and span in headings
    }
    for passage in passages:
        start, stop = passage.span
        if start not in {begin for begin, _ in headings} | {0}:
            assert not [span for span in after_text if start < span[0] < stop], passage.text


def test_sections_that_fit_together_share_a_passage_and_others_do_not():
    text = (
        "# Top\n\nIntro.\n\n## One\n\nA few words.\n\n## Two\n\nA few more.\n\n## Three\n\n" + "Long text here. " * 4
    )
    tokenizer = TOKENIZERS["signs"]
    shown = [passage.text for passage in check(text, contract("structure", tokenizer, 60, 10), tokenizer)]
    assert shown == [
        "# Top\n\nIntro.\n\n## One\n\nA few words.\n\n## Two\n\nA few more.",
        "## Three\n\n" + ("Long text here. " * 4).rstrip(),
    ]


def test_headings_without_text_between_them_go_with_what_follows():
    text = "Before it there is a paragraph.\n\n# Top\n\n## One\n\nWords that are many. And some more of them to come."
    tokenizer = TOKENIZERS["signs"]
    shown = [passage.text for passage in check(text, contract("structure", tokenizer, 40, 10), tokenizer)]
    assert shown[1].startswith("# Top\n\n## One\n\nWords that are many.")


def test_the_nearest_heading_is_kept_where_not_all_fit():
    text = "Head alpha\n===\n\nHead alpha\n===\n\n| a | b |\n|---|---|\n| alpha | alpha |"
    tokenizer = TOKENIZERS["signs"]
    shown = [passage.text for passage in check(text, contract("structure", tokenizer, 50, 0), tokenizer)]
    assert shown == [text[:14], text[16:]]


def test_a_fence_longer_than_a_window_is_read_as_code_to_its_end(monkeypatch):
    monkeypatch.setattr(markdown, "WINDOW", 300)
    monkeypatch.setattr(markdown, "_WINDOW_FOR_A_TOKEN", 1)
    tokenizer = TOKENIZERS["signs"]
    code = "".join(f"- item_{number} = value. And more\n" for number in range(60))
    text = f"Words.\n\n```py\n{code}```\n\n- an item behind it\n- and one more"
    passages = check(text, contract("structure", tokenizer, 60, 10), tokenizer)
    lines = [(place, place + len(line)) for line in code.splitlines() for place in [text.index(line)]]
    assert cut_inside(passages, lines) == []
    assert passages[-1].text.endswith("- an item behind it\n- and one more")


@pytest.mark.parametrize(
    "made",
    [
        lambda size: "| a | b |\n|---|---|\n" + "| one | two |\n" * (size // 14),
        lambda size: "- item of a list\n" * (size // 17),
        lambda size: "```\n" + "x = 1  # code\n" * (size // 14) + "```\n",
        lambda size: "> " * (size // 2),
        lambda size: "[a](b) *c* `d` " * (size // 15),
        lambda size: "<p>\n" * (size // 4),
        lambda size: "# h\n" * (size // 4),
        lambda size: "- " * (size // 2),
        lambda size: "a\n" + " \n" * (size // 2) + "b",
    ],
    ids=["table", "list", "fence", "quotes", "inline", "html", "headings", "marks", "blank lines"],
)
def test_no_structure_makes_the_time_explode(made):
    tokenizer = TOKENIZERS["minilm"]
    check(made(200_000), contract("structure", tokenizer), tokenizer)
