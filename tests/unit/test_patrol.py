"""The continuous audit: what contradicts itself is counted, what is being written is not."""

import numpy as np
import pytest
from audit_world import AuditedStream, Damage
from embedding_world import ADMISSION, GROUP
from stream_world import CHUNKS, CUTTER, ENCODER, revision

from operations.audit.patrol import Beat, Patrol
from stream.errors import Outage
from stream.ports import DeviceFull

PASSAGES = ("The heron stands in the water.", "It waits there for a fish.", "Then it flies away.")
OTHER = "00000000-0000-4000-8000-000000000001"
POINTS = [chunk.id for chunk in revision("docs/a", 1, *PASSAGES, title="Herons").chunks]


@pytest.fixture
def stream():
    with AuditedStream() as made:
        made.publish(
            revision("docs/a", 1, *PASSAGES, title="Herons"),
            revision("docs/b", 2, "One.", "One.", "One."),
            revision("docs/c", 3, "It was longer.", "Much longer."),
            revision("docs/c", 4, "Much longer."),
        )
        made.drain()
        yield made


@pytest.fixture
def damage(stream):
    return Damage(stream.table)


def patrol(stream, **changed):
    given = {
        "index": stream.index,
        "topics": stream.bus.topics(),
        "chunk_topic": CHUNKS.name,
        "group": GROUP,
        "admitted": lambda: ADMISSION,
        "fit_title": CUTTER.embedded_title,
        "encode": lambda texts: ENCODER.encode("passage", texts),
        "patience": stream.patience,
    }
    return Patrol(Beat(**{**given, **changed}))


def walk(patrolling):
    """One whole walk: verdicts, and the differences as (kind, document)."""
    verdicts, found = [], set()
    while (walked := patrolling.step()) is not None:
        verdicts.append(walked.verdict)
        found |= {(one.kind.value, one.doc_id) for one in walked.differences}
    return verdicts, found


def test_a_walk_sees_every_live_point_and_nothing_wrong(stream):
    assert walk(patrol(stream)) == (["equal"] * 7, set())


def inflict_vector(damage):
    damage.vector(POINTS[0], np.arange(8))
    return "vector"


def inflict_no_vector(damage):
    damage.unvector(POINTS[0])
    return "vector"


def inflict_text(damage):
    damage.change(POINTS[0], text="Nobody wrote this.")
    return "changed"


def inflict_span(damage):
    damage.change(POINTS[1], span=[3, 4])
    return "changed"


def inflict_stale(damage):
    damage.change(POINTS[2], version=0)
    return "stale"


def inflict_missing(damage):
    damage.drop(POINTS[1])
    return "missing"


def inflict_copy(damage):
    damage.write(OTHER, damage.stored(POINTS[0]), np.ones(8))
    return "orphaned"


def inflict_unreadable(damage):
    stored = damage.stored(POINTS[0])
    damage.write(POINTS[0], {name: value for name, value in stored.items() if name != "state"})
    return "foreign"


@pytest.mark.parametrize(
    "inflict",
    [
        inflict_vector,
        inflict_no_vector,
        inflict_text,
        inflict_span,
        inflict_stale,
        inflict_missing,
        inflict_copy,
        inflict_unreadable,
    ],
    ids=lambda inflict: inflict.__name__,
)
def test_what_contradicts_itself_is_found(stream, damage, inflict):
    kind = inflict(damage)
    verdicts, found = walk(patrol(stream))
    assert "different" in verdicts
    assert (kind, "docs/a") in found
    assert {document for _, document in found} == {"docs/a"}


def test_a_document_that_is_written_meanwhile_is_no_damage(stream, damage):
    inflict_missing(damage)
    stream.publish(revision("docs/a", 9, *PASSAGES, "And comes back.", title="Herons"))
    verdicts, found = walk(patrol(stream))
    assert found == set()
    assert "different" not in verdicts


def test_where_no_embedder_comes_by_a_point_is_unsettled(stream, damage):
    inflict_text(damage)
    stream.publish(revision("docs/b", 9, "Later."))
    stream.asleep = True
    verdicts, found = walk(patrol(stream))
    assert verdicts.count("unsettled") == 1
    assert found == set()


def test_a_full_device_leaves_a_vector_for_another_walk(stream, damage):
    inflict_vector(damage)

    def full(_):
        raise DeviceFull

    assert walk(patrol(stream, encode=full))[1] == set()


def test_a_walk_that_an_outage_ended_is_begun_again_and_not_counted(stream):
    inner, scrolls = stream.index.scroll, []

    def scroll(**more):
        scrolls.append(more)
        for number, point in enumerate(inner(**more)):
            if len(scrolls) == 1 and number == 3:
                raise Outage("The index does not answer.")
            yield point

    stream.index.scroll = scroll
    patrolling = patrol(stream)
    with pytest.raises(Outage):
        walk(patrolling)
    assert walk(patrolling) == (["equal"] * 7, set())
