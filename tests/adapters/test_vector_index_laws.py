"""The laws of ``VectorIndex.write`` and of the writes in ``stream.points``, on every adapter."""

import numpy as np
import pytest
from index_world import EAST, NORTH, chunk, found, mark, one, payload, put, repaint, touch, vector

from schemas.identity import ChunkId, DocId, Version
from stream.errors import Fatal, Poison
from stream.filter import equals
from stream.points import Mark, Put, State, Touch
from stream.ports import VectorIndex

# --- put


def test_a_put_point_is_found_with_its_whole_payload(index: VectorIndex):
    index.write([put("a", 3, EAST, section="x", pages=[1, 2], nested={"k": [True, None]})])

    (hit,) = index.search(EAST, 5)

    assert hit.id == chunk("a")
    assert hit.score == pytest.approx(1.0)
    assert hit.payload == payload(3, section="x", pages=[1, 2], nested={"k": [True, None]})


def test_a_newer_put_replaces_vector_and_whole_payload(index: VectorIndex):
    index.write([put("a", 3, EAST, section="x")])
    index.write([put("a", 4, NORTH, pages=1)])

    assert one(index, "a").payload == payload(4, pages=1)
    assert one(index, "a").vector.values == pytest.approx(NORTH.values)


def test_an_older_put_is_refused_without_an_error(index: VectorIndex):
    index.write([put("a", 4, EAST)])
    index.write([put("a", 3, NORTH, section="late")])

    assert one(index, "a").payload == payload(4)
    assert one(index, "a").vector.values == pytest.approx(EAST.values)


def test_a_put_of_an_equal_version_is_applied_again(index: VectorIndex):
    index.write([put("a", 4, EAST, section="half")])
    index.write([put("a", 4, NORTH, section="whole")])

    assert one(index, "a").payload == payload(4, section="whole")
    assert one(index, "a").vector.values == pytest.approx(NORTH.values)


def test_one_refused_put_refuses_no_other_of_its_call(index: VectorIndex):
    index.write([put("a", 9)])
    index.write([put("a", 5, section="late"), put("b", 5), put("c", 5)])

    assert [point.payload["version"] for point in index.points([chunk("a"), chunk("b"), chunk("c")])] == [9, 5, 5]


def test_version_0_is_older_than_any_event(index: VectorIndex):
    index.write([put("a", 0, section="bulk")])
    assert one(index, "a").payload["section"] == "bulk"
    index.write([put("a", 1, section="event")])
    index.write([put("a", 0, section="bulk")])
    assert one(index, "a").payload["section"] == "event"


def test_versions_are_compared_exactly_up_to_2_to_the_53(index: VectorIndex):
    newest = 2**53 - 1
    index.write([put("a", newest, section="new")])
    index.write([put("a", newest - 1, section="old")])
    assert one(index, "a").payload == payload(newest, section="new")


def test_vectors_come_back_scaled_to_unit_length(index: VectorIndex):
    index.write([put("a", 1, vector(3, 4, 0, 0))])
    assert one(index, "a").vector.values == pytest.approx(np.array([0.6, 0.8, 0, 0]))
    assert one(index, "a").vector.values.dtype == np.float32


# --- marks


def test_a_mark_takes_the_vector_and_all_but_four_fields(index: VectorIndex):
    index.write([put("a", 1, section="x", tenant="t")])
    index.write([mark("a", 2, tenant="t")])

    point = one(index, "a")
    assert point.payload == {"doc_id": "docs/1", "version": 2, "state": "removed", "tenant": "t"}
    assert point.vector is None


def test_a_mark_without_tenant_has_three_fields(index: VectorIndex):
    index.write([mark("a", 2, state=State.DELETED)])
    assert one(index, "a").payload == {"doc_id": "docs/1", "version": 2, "state": "deleted"}


def test_marks_are_never_found_by_search(index: VectorIndex):
    index.write([put("a", 1), put("b", 1), mark("b", 2), mark("c", 2, state=State.DELETED)])

    assert found(index) == {chunk("a")}
    assert {hit.id for hit in index.search(EAST, 10, equals("doc_id", "docs/1"))} == {chunk("a")}


def test_a_mark_refuses_a_late_write_of_every_kind(index: VectorIndex):
    index.write([mark("a", 5)])
    index.write([put("a", 4), touch(["a"], 4), repaint("a", 4), mark("a", 4, state=State.DELETED)])
    assert one(index, "a").payload == {"doc_id": "docs/1", "version": 5, "state": "removed"}
    assert found(index) == set()


def test_a_mark_of_an_older_version_is_refused(index: VectorIndex):
    index.write([put("a", 5)])
    index.write([mark("a", 4)])
    assert one(index, "a").payload == payload(5)
    assert found(index) == {chunk("a")}


def test_a_newer_put_revives_a_mark(index: VectorIndex):
    index.write([put("a", 1), mark("a", 2), put("a", 3, NORTH)])
    assert one(index, "a").payload == payload(3)
    assert found(index, NORTH) == {chunk("a")}


def test_a_deleted_mark_may_become_removed(index: VectorIndex):
    index.write([mark("a", 2, state=State.DELETED)])
    index.write([mark("a", 3)])
    assert one(index, "a").payload["state"] == "removed"


# --- touch and repaint


def test_a_touch_merges_and_leaves_the_vector(index: VectorIndex):
    index.write([put("a", 1, NORTH, section="x"), put("b", 1, EAST, pages=3)])
    index.write([touch(["a", "b"], 2, source_ts_ms=77)])

    assert one(index, "a").payload == payload(2, section="x", source_ts_ms=77)
    assert one(index, "b").payload == payload(2, pages=3, source_ts_ms=77)
    assert one(index, "a").vector.values == pytest.approx(NORTH.values)


def test_a_field_that_is_none_is_taken_away_by_a_touch_and_not_stored_by_the_others(index: VectorIndex):
    index.write([put("a", 1, source_ts_ms=5, section=None)])
    assert one(index, "a").payload == payload(1, source_ts_ms=5)
    index.write([touch(["a"], 2, source_ts_ms=None)])
    assert one(index, "a").payload == payload(2)
    index.write([repaint("a", 3, section=None)])
    assert one(index, "a").payload == payload(3)


def test_a_touch_skips_newer_marked_and_missing_points_and_no_others(index: VectorIndex):
    index.write([put("newer", 9), put("marked", 1), mark("marked", 2), put("older", 1), put("equal", 5)])
    index.write([touch(["newer", "marked", "missing", "older", "equal"], 5, source_ts_ms=1)])

    assert one(index, "newer").payload == payload(9)
    assert one(index, "marked").payload == {"doc_id": "docs/1", "version": 2, "state": "removed"}
    assert index.points([chunk("missing")]) == []
    assert one(index, "older").payload == payload(5, source_ts_ms=1)
    assert one(index, "equal").payload == payload(5, source_ts_ms=1)


def test_a_touch_of_thousands_of_points_reaches_all(index: VectorIndex):
    names = range(1500)
    index.write([put(name, 1) for name in names])
    index.write([touch(names, 2)])
    assert {point.version for point in index.read([DocId("docs/1")])[DocId("docs/1")]} == {Version(2)}


def test_a_repaint_replaces_the_whole_payload_and_leaves_the_vector(index: VectorIndex):
    index.write([put("a", 1, NORTH, section="x", pages=1)])
    index.write([repaint("a", 2, pages=2, draft=True)])

    assert one(index, "a").payload == payload(2, pages=2, draft=True)
    assert one(index, "a").vector.values == pytest.approx(NORTH.values)


def test_a_repaint_of_an_equal_version_is_applied_again(index: VectorIndex):
    index.write([put("a", 1), repaint("a", 2, section="half"), repaint("a", 2, pages=1)])
    assert one(index, "a").payload == payload(2, pages=1)


def test_a_repaint_of_a_newer_marked_or_missing_point_is_refused(index: VectorIndex):
    index.write([put("newer", 9), mark("marked", 1)])
    index.write([repaint("newer", 5, section="x"), repaint("marked", 5), repaint("missing", 5)])

    assert one(index, "newer").payload == payload(9)
    assert one(index, "marked").payload == {"doc_id": "docs/1", "version": 1, "state": "removed"}
    assert index.points([chunk("missing")]) == []


# --- order, repetition, refusal


def test_writes_of_one_call_happen_in_order(index: VectorIndex):
    index.write(
        [
            put("a", 1, section="first"),
            put("a", 1, section="second"),
            put("b", 1),
            mark("b", 1),
            mark("c", 1),
            put("c", 1, section="last"),
            put("d", 1),
            repaint("d", 1, section="painted"),
            touch(["d"], 1, source_ts_ms=9),
            put("e", 3),
            put("e", 2, section="late"),
            put("f", 2),
            put("f", 3, section="next"),
        ]
    )
    assert one(index, "a").payload == payload(1, section="second")
    assert one(index, "b").payload["state"] == "removed"
    assert one(index, "c").payload == payload(1, section="last")
    assert one(index, "d").payload == payload(1, section="painted", source_ts_ms=9)
    assert one(index, "e").payload == payload(3)
    assert one(index, "f").payload == payload(3, section="next")


def test_writing_the_same_twice_changes_nothing(index: VectorIndex):
    plan = [put("new", 2, NORTH), repaint("kept", 2, section="y"), touch(["same"], 2), mark("gone", 2)]
    index.write([put("kept", 1), put("same", 1), put("gone", 1)])
    index.write(plan)
    once = [(point.id, point.payload) for point in index.scroll()]
    index.write(plan)
    assert [(point.id, point.payload) for point in index.scroll()] == once


def test_a_call_without_writes_does_nothing(index: VectorIndex):
    index.write([])
    assert index.count() == 0


def test_a_vector_that_is_not_finite_or_of_other_dimensions_is_poison(index: VectorIndex):
    for values in ((float("nan"), 0, 0, 0), (float("inf"), 0, 0, 0), (1, 0, 0), (1, 0, 0, 0, 0)):
        with pytest.raises(Poison) as refused:
            index.write([put("good", 1), put("bad", 1, vector(*values))])
        assert refused.value.kind == "vector"
        with pytest.raises(Poison):
            index.search(vector(*values), 3)
    assert index.count() == 0, "the whole call is refused"


def test_a_payload_that_json_cannot_carry_is_poison(index: VectorIndex):
    for bad in (float("nan"), [1.0, float("inf")], {"k": float("nan")}, "\ud800", 2**64):
        for write in (put("a", 1, section=bad), repaint("a", 1, section=bad), touch(["a"], 1, section=bad)):
            with pytest.raises(Poison) as refused:
                index.write([write])
            assert refused.value.kind == "payload"


def test_an_id_that_is_no_canonical_uuid_is_poison(index: VectorIndex):
    for bad in ("", "7", "not-a-uuid", "6F0D5A86-2F0E-5C5F-9A3C-3C1F5A6F7B10"):
        with pytest.raises(Poison) as refused:
            index.write([Put(ChunkId(bad), Version(1), EAST, payload(1))])
        assert refused.value.kind == "id"
        with pytest.raises(Poison):
            index.points([ChunkId(bad)])


def test_a_version_that_a_float_cannot_hold_is_poison(index: VectorIndex):
    for version in (-1, 2**53):
        with pytest.raises(Poison) as refused:
            index.write([put("a", version)])
        assert refused.value.kind == "version"


def test_a_write_that_contradicts_itself_is_a_bug_and_fatal(index: VectorIndex):
    for write in (
        Put(chunk("a"), Version(2), EAST, payload(1)),
        Put(chunk("a"), Version(1), EAST, {**payload(1), "state": "removed"}),
        Touch((chunk("a"),), Version(2), {"version": 1}),
        Touch((chunk("a"),), Version(2), {"version": 2, "state": "live"}),
        Mark(chunk("a"), DocId("docs/1"), Version(1), State.LIVE),
    ):
        with pytest.raises(Fatal):
            index.write([write])


def test_what_was_written_belongs_to_the_index_alone(index: VectorIndex):
    mine = {**payload(1), "pages": [1]}
    values = np.array([1, 0, 0, 0], dtype=np.float32)
    index.write([Put(chunk("a"), Version(1), type(EAST)(values), mine)])
    mine["pages"].append(2)
    values[:] = 7
    one(index, "a").payload["pages"].append(3)
    assert one(index, "a").payload["pages"] == [1]
    assert one(index, "a").vector.values == pytest.approx(EAST.values)


def test_texts_in_every_script_come_back_as_they_were(index: VectorIndex):
    text = '\0 \u200fשלום\u200f \U0001f9d1\u200d\U0001f680 Ω\n"quoted" \\ \u2028'
    index.write([put("a", 1, doc=f"docs/{text}", section=text)])
    assert one(index, "a").payload["section"] == text
    assert [point.id for point in index.read([DocId(f"docs/{text}")])[DocId(f"docs/{text}")]] == [chunk("a")]
