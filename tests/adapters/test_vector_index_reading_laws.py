"""The laws of ``VectorIndex`` for reading, searching and many threads at once, on every adapter."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from index_world import EAST, NORTH, chunk, found, mark, one, payload, put, touch, vector

from schemas.identity import DocId, Version
from stream.points import State, StoredPoint
from stream.ports import VectorIndex

# --- read


def test_read_gives_every_point_of_the_documents_asked_marks_included(index: VectorIndex):
    index.write([put("a", 2), mark("b", 3), put("other", 1, doc="docs/2"), mark("own", 4, "docs/3", State.DELETED)])

    read = index.read([DocId("docs/1"), DocId("docs/3"), DocId("docs/4")])

    assert set(read) == {"docs/1", "docs/3", "docs/4"}
    assert set(read[DocId("docs/1")]) == {
        StoredPoint(chunk("a"), DocId("docs/1"), Version(2), State.LIVE, "d"),
        StoredPoint(chunk("b"), DocId("docs/1"), Version(3), State.REMOVED),
    }
    assert read[DocId("docs/3")] == [StoredPoint(chunk("own"), DocId("docs/3"), Version(4), State.DELETED)]
    assert read[DocId("docs/4")] == []
    assert index.read([]) == {}


def test_read_gives_all_points_of_a_long_document(index: VectorIndex):
    index.write([put(name, 1) for name in range(5000)])
    read = index.read([DocId("docs/1")])[DocId("docs/1")]
    assert {point.id for point in read} == {chunk(name) for name in range(5000)}
    assert len(read) == 5000


# --- search


def test_search_gives_the_nearest_first_with_their_cosine(index: VectorIndex):
    index.write(
        [
            put("same", 1, vector(2, 0, 0, 0)),
            put("near", 1, vector(1, 1, 0, 0)),
            put("across", 1, vector(0, 0, 3, 0)),
            put("opposite", 1, vector(-1, 0, 0, 0)),
            put("nothing", 1, vector(0, 0, 0, 0)),
        ]
    )
    hits = index.search(vector(5, 0, 0, 0), 10)

    assert [hit.id for hit in hits][:2] == [chunk("same"), chunk("near")]
    assert hits[-1].id == chunk("opposite")
    assert [hit.score for hit in hits] == pytest.approx([1, 0.5**0.5, 0, 0, -1], abs=1e-6)
    assert [hit.id for hit in index.search(vector(5, 0, 0, 0), 2)] == [chunk("same"), chunk("near")]
    assert index.search(EAST, 0) == []


# --- scroll, points, count


def test_scroll_gives_every_point_once_in_order_of_id(index: VectorIndex):
    index.write([put(name, 1) for name in range(1200)] + [mark("m", 1)])
    index.write([touch([1, 2], 2)])

    points = list(index.scroll())

    assert [point.id for point in points] == sorted(map(chunk, [*range(1200), "m"]))
    assert all(point.vector is None for point in points)
    assert {point.payload["state"] for point in points} == {"live", "removed"}


def test_scroll_brings_vectors_where_asked(index: VectorIndex):
    index.write([put("a", 1, NORTH), mark("m", 1)])
    vectors = {point.id: point.vector for point in index.scroll(with_vectors=True)}
    assert vectors[chunk("a")].values == pytest.approx(NORTH.values)
    assert vectors[chunk("m")] is None


def test_an_empty_collection_scrolls_to_nothing(index: VectorIndex):
    assert list(index.scroll()) == []
    assert index.search(EAST, 3) == []


def test_points_come_in_the_order_asked_without_the_missing(index: VectorIndex):
    index.write([put("a", 1), put("b", 1), mark("c", 1)])
    asked = [chunk(name) for name in ("c", "missing", "a", "b", "a")]
    assert [point.id for point in index.points(asked)] == [chunk("c"), chunk("a"), chunk("b")]
    assert index.points([chunk("a")])[0].vector is None
    assert index.points([]) == []


def test_count_counts_by_state(index: VectorIndex):
    index.write([put("a", 1), put("b", 1), mark("c", 1), mark("d", 1, state=State.DELETED), mark("b", 2)])
    assert index.count() == 4
    assert [index.count(state) for state in ("live", "removed", "deleted")] == [1, 2, 1]


def test_flush_changes_nothing(index: VectorIndex):
    index.write([put("a", 1)])
    index.flush()
    index.flush()
    assert found(index) == {chunk("a")}


# --- side by side


def at_once(*work: Callable[[], None]) -> None:
    """Runs all of it side by side; raises what any of it raised."""
    with ThreadPoolExecutor(len(work)) as pool:
        for running in [pool.submit(part) for part in work]:
            running.result(timeout=60)


def test_writes_searches_and_reads_from_many_threads_do_not_disturb_each_other(index: VectorIndex):
    index.write([put("always", 1, EAST, doc="docs/always")])

    def writes(name: str) -> None:
        for version in range(1, 40):
            index.write([put((name, n), version, NORTH, doc=f"docs/{name}") for n in range(4)])
            index.write([touch([(name, 0)], version), mark((name, 3), version, f"docs/{name}")])

    def searches() -> None:
        for _ in range(60):
            assert chunk("always") in found(index, EAST, 3)

    def reads() -> None:
        for _ in range(60):
            assert len(index.read([DocId("docs/always"), DocId("docs/w0")])[DocId("docs/always")]) == 1
            assert chunk("always") in {point.id for point in index.scroll()}
            index.flush()

    at_once(lambda: writes("w0"), lambda: writes("w1"), searches, searches, reads)

    assert index.count("live") == 7
    assert index.count("removed") == 2


def test_of_two_writers_the_newest_version_wins_whatever_the_order(index: VectorIndex):
    def writer(first: int) -> None:
        for version in range(first, 60, 2):
            index.write([put(n, version, section=str(version)) for n in range(6)])

    at_once(lambda: writer(1), lambda: writer(2))

    assert all(one(index, n).payload == payload(59, section="59") for n in range(6))
