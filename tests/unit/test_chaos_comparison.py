"""The judge of a campaign of kills: it finds each kind of damage, once, and nothing in an index that is whole."""

import pytest
from chaos.comparison import Difference, compared
from chaos.table import Table

from schemas.identity import doc_id


def point(document, position, text, state="live", version=1):
    return {"doc_id": document, "position": position, "text": text, "state": state, "version": version}


HERE, GONE = doc_id("docs", {"id": 1}), doc_id("docs", {"id": 2})
DOCUMENTS = {HERE: None}
WANTED = {
    "a": {"doc_id": HERE, "position": 0, "text": "One."},
    "b": {"doc_id": HERE, "position": 1, "text": "Two."},
}
WHOLE = [
    ("a", point(HERE, 0, "One.")),
    ("b", point(HERE, 1, "Two.")),
    ("c", point(HERE, 2, "Three.", state="removed")),
    ("d", {"doc_id": GONE, "state": "deleted", "version": 9}),
]


def test_an_index_that_equals_the_table_differs_in_nothing():
    assert not compared(DOCUMENTS, WANTED, WHOLE)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("lost", WHOLE[1:]),
        ("lost", [("a", point(HERE, 0, "One.", state="removed")), *WHOLE[1:]]),
        ("lost", [("a", point(HERE, 0, "Another text.")), *WHOLE[1:]]),
        ("resurrected", [*WHOLE, ("e", point(GONE, 0, "Gone."))]),
        ("orphaned", [*WHOLE[:2], ("c", point(HERE, 2, "Three."))]),
        ("duplicated", [WHOLE[0], *WHOLE]),
    ],
    ids=["missing", "removed", "changed", "of a deleted row", "of an older revision", "twice"],
)
def test_damage_is_found_by_its_name(kind, points):
    found = compared(DOCUMENTS, WANTED, points).counts()
    assert found.pop(kind) == 1
    assert not any(found.values())


def test_a_place_that_an_older_passage_still_takes_is_taken_twice():
    found = compared(DOCUMENTS, WANTED, [*WHOLE, ("e", point(HERE, 1, "Two, as it was."))])
    assert found.counts() == {"lost": 0, "resurrected": 0, "orphaned": 1, "duplicated": 1}


def test_differences_add_up():
    both = Difference(lost=("a",)) + Difference(lost=("b",), orphaned=("c",))
    assert both.counts() == {"lost": 2, "resurrected": 0, "orphaned": 1, "duplicated": 0}


def test_a_row_without_text_demands_nothing():
    assert Table.wanted({HERE: (1, "Title", None, "one", 1)}, _Cutter()) == {}


class _Cutter:
    """Cuts nothing."""

    @staticmethod
    def event(_source, revision, _lineage):
        assert not revision.text
        return type("Event", (), {"chunks": ()})
