"""What counts as the mark of a removed chunk."""

import pytest
from index_world import chunk

from schemas.identity import DocId, Version
from stream.points import State, StoredPoint, removed_mark

WHOLE = {"doc_id": "docs/1", "version": 3, "state": "removed"}


def test_a_whole_mark_is_told():
    assert removed_mark(chunk("a"), WHOLE) == StoredPoint(chunk("a"), DocId("docs/1"), Version(3), State.REMOVED)


@pytest.mark.parametrize(
    "changed",
    [{"state": "live"}, {"state": "deleted"}, {"state": 7}, {"doc_id": None}, {"version": "3"}, {"version": True}],
    ids=str,
)
def test_other_points_and_damaged_marks_are_none(changed):
    assert removed_mark(chunk("a"), {**WHOLE, **changed}) is None
    for field in WHOLE:
        assert removed_mark(chunk("a"), {name: value for name, value in WHOLE.items() if name != field}) is None
