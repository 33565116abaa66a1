"""When marks may be taken away, and what becomes of them in an index that keeps the laws of ``MarkBin``."""

import pytest
from embedding_world import memory_index
from stream_world import ENCODER, revision

from schemas.identity import document_point_id
from stream.claim import Claim
from stream.delta import plan_revision
from stream.points import Mark, State, StoredPoint
from stream.ports import Partition
from stream.purge import Purge

HEADER = "abc"
LEFT, RIGHT = Partition("kb.chunks", 0), Partition("kb.chunks", 1)
REMOVED = StoredPoint(document_point_id("docs/1"), "docs/1", 5, State.REMOVED)


def applied(index, event):
    plan = plan_revision(event, index.read([event.doc_id])[event.doc_id])
    texts = [chunk.passage for chunk in plan.missing]
    vectors = ENCODER.encode("passage", texts)
    index.write(plan.writes(dict(zip([chunk.id for chunk in plan.missing], vectors, strict=True))))


def stored(index, document="docs/1"):
    return index.read([document])[document]


def removed(index):
    return list(index.marks())


@pytest.mark.parametrize(
    ("now", "committed", "due"),
    [
        (3_601.0, {LEFT: 7, RIGHT: 3}, True),
        (3_600.0, {LEFT: 7, RIGHT: 3}, False),
        (9_999.0, {LEFT: 6, RIGHT: 3}, False),
        (9_999.0, {RIGHT: 3}, False),
    ],
    ids=["both are past", "the grace lasts", "the group is behind", "a partition was never committed"],
)
def test_marks_wait_for_the_grace_and_for_the_group(now, committed, due):
    purge = Purge((REMOVED,), {LEFT: 7, RIGHT: 3}, {LEFT: 0, RIGHT: 1}, frozenset({HEADER}), 0.0, 3_600.0)
    claims = {place: Claim({HEADER: offset}).committed(offset) for place, offset in committed.items()}
    assert purge.due(now, claims) is due


def test_a_partition_without_records_is_not_waited_for():
    assert Purge((REMOVED,), {LEFT: 4}, {LEFT: 4}, frozenset({HEADER}), 0.0, 1.0).due(2.0, {})


def test_marks_wait_for_a_source_that_joined():
    purge = Purge((REMOVED,), {LEFT: 7}, {LEFT: 0}, frozenset({HEADER, "joined"}), 0.0, 1.0)
    assert not purge.due(2.0, {LEFT: Claim({HEADER: 7, "joined": 3}).committed(7)})
    assert purge.due(2.0, {LEFT: Claim({HEADER: 7, "joined": 7}).committed(7)})


def test_what_is_discarded_is_gone_and_its_document_is_as_new_as_before():
    index = memory_index()
    applied(index, revision("docs/1", 1, "alpha", "beta"))
    applied(index, revision("docs/1", 2, "alpha"))
    index.discard(removed(index))
    assert [(point.state, point.version) for point in stored(index)] == [(State.LIVE, 2)]
    applied(index, revision("docs/1", 3, "alpha", "beta"))
    assert {point.version for point in stored(index)} == {3}


def test_a_mark_that_changed_since_it_was_listed_stays():
    index = memory_index()
    applied(index, revision("docs/1", 1, "alpha", "beta"))
    applied(index, revision("docs/1", 2, "alpha"))
    marks = removed(index)
    index.write([Mark(mark.id, mark.doc_id, 3, State.REMOVED) for mark in marks])
    index.discard(marks)
    assert len(stored(index)) == 2


def test_the_mark_of_a_deleted_document_and_a_chunk_that_came_back_stay():
    index = memory_index()
    applied(index, revision("docs/1", 1, "alpha"))
    applied(index, revision("docs/1", 2))
    listed = stored(index)
    assert {point.state for point in listed} == {State.REMOVED, State.DELETED}
    index.discard([point for point in listed if point.state is State.DELETED])
    assert stored(index) == listed
    applied(index, revision("docs/1", 3, "alpha"))
    index.discard([point for point in listed if point.state is State.REMOVED])
    assert (State.LIVE, 3) in {(point.state, point.version) for point in stored(index)}
