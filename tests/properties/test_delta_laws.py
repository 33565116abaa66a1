"""Laws of one plan: what it says about any document, whatever is stored of it."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st
from stored_state import unit_vector
from stream_world import delete, revision

from adapters.memory.index import MemoryIndex
from adapters.memory.table import PointTable
from schemas.identity import DocId, Version, document_point_id
from stream.delta import Plan, Stale, plan_revision
from stream.payload import live_payload
from stream.points import DenseVector, Mark, Put, Repaint, State, StoredPoint, Touch
from stream.ports import VectorSpec

DOC = DocId("docs/1")
OWN = document_point_id(DOC)
PASSAGES = ["alpha", "beta", "gamma", "delta"]
texts = st.lists(st.sampled_from(PASSAGES), max_size=6)
colours = st.integers(0, 2)
clocks = st.none() | st.integers(0, 10)


@st.composite
def events(draw, version=None):
    at = draw(st.integers(0, 9)) if version is None else version
    if draw(st.integers(0, 5)) == 0:
        return delete(DOC, at, tenant=draw(st.none() | st.just("acme")))
    return revision(DOC, at, *draw(texts), fields={"colour": draw(colours)}, source_ts_ms=draw(clocks))


@st.composite
def stored_points(draw, newest=9):
    """Points that some revisions may have left, some of them overtaken: states and versions in any mixture."""
    before = draw(events())
    ids = {chunk.id: live_payload(before, at, chunk, store_text=True) for at, chunk in enumerate(before.chunks)}
    points = [
        StoredPoint(
            point,
            DOC,
            Version(draw(st.integers(0, newest))),
            state := draw(st.sampled_from([State.LIVE, State.LIVE, State.REMOVED])),
            payload["payload_digest"] if state is State.LIVE else "",
        )
        for point, payload in ids.items()
    ]
    if draw(st.booleans()):
        own_state = draw(st.sampled_from([State.DELETED, State.REMOVED]))
        points.append(StoredPoint(OWN, DOC, Version(draw(st.integers(0, newest))), own_state))
    return draw(st.permutations(points))


def planned(event, stored, **more):
    plan = plan_revision(event, stored, **more)
    assert isinstance(plan, Plan)
    return plan


def writes_of(plan):
    return plan.writes({chunk.id: DenseVector(unit_vector(chunk.id)) for chunk in plan.missing})


def states_of(plan):
    """Id → the state that the plan gives it; every id is written once."""
    states = {}
    for write in writes_of(plan):
        for point in write.ids if isinstance(write, Touch) else (write.id,):
            assert point not in states
            states[point] = write.state if isinstance(write, Mark) else State.LIVE
    return states


@given(events(), stored_points())
def test_a_revision_is_stale_exactly_where_some_point_of_its_document_is_newer(event, stored):
    newest = max((point.version for point in stored), default=-1)
    answer = plan_revision(event, stored)
    assert isinstance(answer, Stale) == (newest > event.version)
    if isinstance(answer, Stale):
        assert answer == Stale(DOC, event.version, newest)


@given(events(version=9), stored_points())
def test_additions_come_first_and_removals_last(event, stored):
    order = {Put: 0, Touch: 1, Repaint: 1, Mark: 2}
    ranks = [order[type(write)] for write in writes_of(planned(event, stored))]
    assert ranks == sorted(ranks)


@given(events(version=9), stored_points())
def test_every_write_carries_the_revisions_version(event, stored):
    for write in writes_of(planned(event, stored)):
        assert write.version == event.version
        assert write.payload["version"] == event.version


@given(events(version=9), stored_points())
def test_each_chunk_is_embedded_or_kept_and_each_other_live_point_leaves(event, stored):
    plan = planned(event, stored)
    live = {point.id for point in stored if point.state is State.LIVE}
    chunks = {chunk.id for chunk in event.chunks}
    states = states_of(plan)

    assert {point for point, state in states.items() if state is State.LIVE} == chunks
    assert {chunk.id for chunk in plan.missing} == chunks - live
    assert {point for point in states if states[point] is not State.LIVE} - {OWN} == live - chunks
    assert (plan.kept_count, plan.removed_count) == (len(chunks & live), len(live - chunks))


@given(events(version=9), stored_points())
def test_the_documents_own_mark_says_deleted_exactly_where_there_is_no_text(event, stored):
    states = states_of(planned(event, stored))
    before = {point.id: point.state for point in stored}.get(OWN)
    if not event.chunks:
        assert states[OWN] is State.DELETED
    else:
        assert states.get(OWN) == (State.REMOVED if before is State.DELETED else None)


@given(events(version=9), stored_points(), stored_points())
def test_two_plans_of_one_revision_never_disagree_about_a_state(event, here, there):
    ours, theirs = states_of(planned(event, here)), states_of(planned(event, there))
    assert {point: ours[point] for point in ours.keys() & theirs} == {
        point: theirs[point] for point in ours.keys() & theirs
    }


@given(events(version=9), stored_points())
def test_a_mark_says_four_things_and_nothing_else(event, stored):
    for write in planned(event, stored).removed:
        assert isinstance(write, Mark)
        assert {"doc_id", "version", "state"} <= set(write.payload) <= {"doc_id", "version", "state", "tenant"}
        assert write.payload["doc_id"] == DOC


@given(texts, texts, colours, colours)
def test_what_was_stored_before_is_not_embedded_again(before, after, colour, other):
    """Edits, moves, duplicates and payload changes embed exactly the passages that were not there as often before."""
    index = stored_index(revision(DOC, 1, *before, fields={"colour": colour}))
    plan = planned(revision(DOC, 2, *after, fields={"colour": other}), index.read([DOC])[DOC])
    new = {
        passage: after.count(passage) - before.count(passage)
        for passage in after
        if after.count(passage) > before.count(passage)
    }
    assert {passage: [m.passage for m in plan.missing].count(passage) for passage in new} == new
    assert len(plan.missing) == sum(new.values())


@given(texts, colours)
def test_a_revision_that_changes_nothing_costs_one_small_write(passages, colour):
    assume(passages)
    index = stored_index(revision(DOC, 1, *passages, fields={"colour": colour}))
    again = revision(DOC, 2, *passages, fields={"colour": colour}, source_ts_ms=77)
    (write,) = writes_of(planned(again, index.read([DOC])[DOC]))
    assert isinstance(write, Touch)
    assert set(write.ids) == {chunk.id for chunk in again.chunks}
    assert write.payload == {"version": 2, "source_ts_ms": 77}


@given(events(version=1), events(version=2))
def test_applying_a_plan_gives_exactly_the_revision_and_applying_it_again_changes_nothing(before, event):
    index = stored_index(before)
    for _ in range(2):
        index.write(writes_of(planned(event, index.read([DOC])[DOC])))
        live = {point.id: dict(point.payload) for point in index.scroll() if point.payload["state"] == "live"}
        assert live == {
            chunk.id: {key: value for key, value in payload.items() if value is not None}
            for at, chunk in enumerate(event.chunks)
            for payload in [live_payload(event, at, chunk, store_text=True)]
        }
    again = planned(event, index.read([DOC])[DOC])
    assert not again.missing
    assert not again.removed_count


@given(texts, st.sampled_from(["docs__x__g1", "docs__x__g2", None]))
def test_a_recomputation_embeds_everything_in_the_collection_it_names_and_nothing_elsewhere(passages, named):
    first = revision(DOC, 1, *passages)
    stored = stored_index(first).read([DOC])[DOC]
    plan = planned(replace(first, recompute=named), stored, collection="docs__x__g1")
    assert len(plan.missing) == (len(passages) if named == "docs__x__g1" else 0)


@given(texts)
def test_text_is_stored_only_where_it_may_be(passages):
    event = revision(DOC, 1, *passages)
    for store in (True, False):
        for chunk in planned(event, (), store_text=store).missing:
            assert ("text" in chunk.payload) == store
            assert chunk.passage


@given(events(version=1))
def test_the_digest_leaves_out_the_version_and_the_time_and_nothing_else(event):
    assume(event.chunks)

    def digest(other, at=0, *, store_text=True):
        return live_payload(other, at, event.chunks[0], store_text=store_text)["payload_digest"]

    one = digest(event)
    assert digest(replace(event, version=Version(7), source_ts_ms=99, lineage="another", attempt=2)) == one
    assert digest(replace(event, fields={"colour": 9})) != one
    assert digest(replace(event, tenant="acme")) != one
    assert digest(replace(event, title="a title")) != one
    assert digest(event, store_text=False) != one
    assert digest(event, at=1) != one
    assert digest(replace(event, chunks=event.chunks * 2)) != one


def stored_index(event):
    index = MemoryIndex(PointTable(VectorSpec("v", 4), {}))
    index.write(writes_of(planned(event, ())))
    return index
