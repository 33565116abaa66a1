import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import doc_id
from stream.document_name import document_named
from stream.errors import Misuse
from stream.source import Source

DOCS = Source.written(name="docs", topic="kb.docs", text=["body"], key=["tenant", "id"])
WIKI = Source.written(name="wiki", topic="kb.wiki", text=["body"])
SOURCES = (DOCS, WIKI)
KEYS = st.lists(st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans()), min_size=1, max_size=3)


@given(KEYS)
def test_an_id_as_the_index_has_it_names_itself(values):
    known = doc_id("docs", {str(place): value for place, value in enumerate(values)})
    if known != "docs/":
        assert document_named(known, SOURCES) == known


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("wiki/7", "wiki/7"),
        ("wiki/a/b c", "wiki/a/b c"),
        ('docs/["a", 7]', 'docs/["a",7]'),
        ('docs/{"id": 7, "tenant": "a", "more": 1}', 'docs/["a",7]'),
        ('wiki/{"id": 7}', "wiki/7"),
        ('wiki/["7"]', "wiki/7"),
        ("wiki/[1] is a footnote", 'wiki/["[1] is a footnote"]'),
        ("wiki/{7", "wiki/{7"),
        ("wiki/[]", 'wiki/["[]"]'),
    ],
)
def test_a_key_is_named_as_people_write_it(typed, named):
    assert document_named(typed, SOURCES) == named


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("7", "begin with one of: docs, wiki"),
        ("other/7", "names no source"),
        ("docs/", "names no document"),
        ("docs", "names no document"),
        ('docs/{"id": 7}', "lacks the column 'tenant'"),
        ('docs/{"id": 7, "tenant": null}', "no string, number or Boolean"),
    ],
)
def test_what_names_no_document_is_told_why(typed, why):
    with pytest.raises(Misuse, match=why):
        document_named(typed, SOURCES)
