"""The laws of ``MarkBin``, on every adapter."""

import threading

import pytest
from index_world import EAST, chunk, found, mark, one, put
from stream_process import wait_for

from stream.points import State, StoredPoint
from stream.ports import IndexCatalog, MarkBin, VectorIndex


@pytest.fixture
def marks(catalog: IndexCatalog, index: VectorIndex) -> MarkBin:
    """The bin of the same collection."""
    return catalog.bin(catalog.collections()[0])


def removed(name, version, doc="docs/1"):
    return StoredPoint(chunk(name), doc, version, State.REMOVED)


def remaining(index):
    return {point.id for point in index.scroll()}


def test_the_removed_marks_are_listed_in_order_of_id_and_nothing_else(index, marks):
    index.write([put("live", 1), *(mark(name, 5, doc=f"docs/{name}") for name in range(9))])
    index.write([mark("gone", 6, state=State.DELETED), mark("late", 7)])
    wanted = [removed(name, 5, f"docs/{name}") for name in range(9)] + [removed("late", 7)]
    assert list(marks.marks()) == sorted(wanted, key=lambda point: point.id)


def test_more_marks_than_a_page_holds_are_all_listed_and_all_discarded(index, marks):
    index.write([put("live", 1), *(mark(name, 1 + name % 3) for name in range(2_500))])
    listed = list(marks.marks())
    assert len(listed) == len({point.id for point in listed}) == 2_500
    marks.discard(listed)
    assert list(marks.marks()) == []
    assert remaining(index) == {chunk("live")}


def test_what_is_discarded_is_gone_and_every_other_point_is_as_it_was(index, marks):
    index.write([put("live", 3, EAST, section="x"), mark("one", 4), mark("other", 4), mark("third", 5)])
    before = [one(index, name) for name in ("live", "other")]
    marks.discard([removed("one", 4), removed("third", 5)])
    assert remaining(index) == {chunk("live"), chunk("other")}
    assert [one(index, name).payload for name in ("live", "other")] == [point.payload for point in before]
    assert found(index) == {chunk("live")}


def test_a_mark_of_another_version_stays(index, marks):
    index.write([mark("newer", 6), mark("older", 4)])
    marks.discard([removed("newer", 5), removed("older", 5)])
    assert remaining(index) == {chunk("newer"), chunk("older")}


def test_a_chunk_that_came_back_and_the_mark_of_a_deleted_document_stay(index, marks):
    index.write([put("back", 5), mark("deleted", 5, state=State.DELETED)])
    marks.discard([removed("back", 5), removed("deleted", 5)])
    assert remaining(index) == {chunk("back"), chunk("deleted")}


def test_one_that_is_not_there_is_passed_over_and_none_does_nothing(index, marks):
    index.write([mark("one", 4)])
    marks.discard([])
    marks.discard([removed("never", 4), removed("one", 4), removed("one", 4)])
    assert remaining(index) == set()


def test_a_point_whose_mark_is_discarded_is_written_again_at_any_version(index, marks):
    index.write([mark("one", 4)])
    marks.discard([removed("one", 4)])
    index.write([put("one", 2)])
    assert one(index, "one").payload["version"] == 2


def test_no_revived_point_is_ever_taken_away_while_others_write(index, marks):
    """Each id goes from mark to live and back at rising versions; what was live when all is over is live."""
    over = threading.Event()

    def purge():
        while not over.is_set():
            marks.discard(list(marks.marks()))

    purging = threading.Thread(target=purge, daemon=True)
    purging.start()
    try:
        for version in range(1, 60, 2):
            index.write([mark(name, version) for name in range(8)])
            index.write([put(name, version + 1) for name in range(8)])
            assert found(index) == {chunk(name) for name in range(8)}
    finally:
        over.set()
        purging.join(60)
    wait_for(lambda: not purging.is_alive(), "the purge to end")
    assert {one(index, name).payload["version"] for name in range(8)} == {60}
