"""Laws of the audit's first look: what a stream wrote is never suspect, what anybody changed is, and compaction and
whatever is published again change nothing.
"""

from dataclasses import replace

import numpy as np
from embedding_world import ADMISSION, memory_index
from hypothesis import given
from hypothesis import strategies as st
from stream_world import CHUNKS, CONTRACT, PLACE, delete, outgoing, revision

from schemas.identity import DocId
from stream.delta import Plan, plan_revision
from stream.difference import differences
from stream.last_state import LastState
from stream.points import DenseVector
from stream.ports import Record
from stream.republication import republished
from stream.sample import Sample, size_to_find
from stream.survey import Survey

HEADER = CONTRACT.header_fingerprint("docs")
PASSAGES = ("alpha", "beta", "gamma", "delta")
TEXTS = st.lists(st.sampled_from(PASSAGES), max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("ab"), TEXTS, st.integers(0, 2)),
        st.tuples(st.just("delete"), st.sampled_from("ab")),
        st.tuples(st.just("again"), st.integers(0, 7)),
    ),
    min_size=1,
    max_size=14,
)


def told(steps):
    """The records of a history and its events, in order."""
    events, records = [], []
    for number, step in enumerate(steps, 1):
        match step:
            case "write", name, texts, colour:
                event = revision(f"docs/{name}", number, *texts, fields={"colour": colour})
                made = outgoing(event)
            case "delete", name:
                event = delete(f"docs/{name}", number)
                made = outgoing(event)
            case "again", back:
                if not events:
                    continue
                event = replace(events[-1 - back % len(events)], recompute="docs__x__g1")
                made = republished(CHUNKS, event, HEADER)
        events.append(event)
        records.append(Record(PLACE, len(records), made.key, made.value, made.headers))
    return events, records


def applied(events):
    index = memory_index()
    for event in events:
        plan = plan_revision(event, index.read([event.doc_id])[event.doc_id], collection="docs__x__g1")
        if isinstance(plan, Plan):
            index.write(plan.writes({one.id: DenseVector(np.ones(8, np.float32)) for one in plan.missing}))
    return index


def state_of(records):
    state = LastState(ADMISSION, store_text=True)
    for record in records:
        state.take(record)
    return state


def surveyed(state, points):
    survey = Survey(state)
    for point in points:
        survey.meet(point)
    return survey


@given(STEPS)
def test_what_the_planner_wrote_is_never_suspect(steps):
    events, records = told(steps)
    survey = surveyed(state_of(records), applied(events).scroll())
    assert not survey.finish()
    assert not survey.foreign


@given(STEPS)
def test_compaction_leaves_the_last_state_as_it_is(steps):
    _, records = told(steps)
    newest = {record.key: record.offset for record in records}
    kept = [record for record in records if newest[record.key] == record.offset]
    whole, compacted = state_of(records), state_of(kept)
    for name in ("docs/a", "docs/b"):
        one, other = whole.get(DocId(name)), compacted.get(DocId(name))
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.version, one.ids, one.digests) == (other.version, other.ids, other.digests)


@given(STEPS, st.data())
def test_whatever_is_changed_of_a_live_point_is_suspect_and_told(steps, data):
    events, records = told(steps)
    points = list(applied(events).scroll())
    live = [point for point in points if point.payload["state"] == "live"]
    if not live:
        return
    hurt = data.draw(st.sampled_from(live))
    field = data.draw(st.sampled_from(["version", "span", "text", "position", "colour", "payload_digest", "drop"]))
    wrong = {"version": -1, "span": [7, 7], "text": "omega", "position": 77, "colour": 9, "payload_digest": "0" * 32}
    damaged = [point for point in points if point.id != hurt.id]
    if field != "drop":
        damaged.append(replace(hurt, payload={**hurt.payload, field: wrong[field]}))
    state = state_of(records)
    document = DocId(str(hurt.payload["doc_id"]))
    assert surveyed(state, damaged).finish() == {document: None}
    event = max((one for one in events if one.doc_id == document), key=lambda one: one.version)
    mine = [point for point in damaged if point.payload["doc_id"] == document]
    assert {one.id for one in differences(event, mine, store_text=True)} == {hurt.id}


@given(st.sets(st.text(min_size=1, max_size=6), max_size=40), st.integers(0, 12), st.binary(max_size=8), st.randoms())
def test_a_sample_follows_from_names_and_salt_alone(names, size, salt, chance):
    shuffled = [*names, *names]
    chance.shuffle(shuffled)
    samples = []
    for order in (sorted(names), shuffled):
        sample: Sample[str] = Sample(size, salt)
        for name in order:
            sample.offer(name, name)
        samples.append(sample.items())
    assert samples[0] == samples[1]
    assert len(samples[0]) == min(size, len(names))
    assert set(samples[0]) <= names


def test_the_default_sample_finds_one_in_a_hundred_nineteen_times_in_twenty():
    size = size_to_find(0.01, 0.95)
    assert 1 - 0.99**size >= 0.95 > 1 - 0.99 ** (size - 1)
