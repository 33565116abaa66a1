"""The second look: which suspects are damaged, and which were only in flight.

A suspect is believed where three things hold: the embedders have committed past the ends noted before the look; the
document's points, read then, still differ from its last revision below these ends; and no further record of the
document was written until after the points were read. Of what changed meanwhile the look is repeated, with new ends.
A document that changes faster than it can be looked at is *unsettled*: of it nothing is said.

Law: what is believed was so at one moment, at which nothing of the document was in flight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from operations.audit.reading import TopicReading
from operations.audit.surroundings import Surroundings
from schemas.identity import ChunkId, DocId
from stream.last_state import LastState
from stream.points import Point
from stream.ports import Partition
from stream.survey import Survey

_LOOKS = 5
"""At ever shorter lists; a document that changed during each of them is left unsettled."""
_TOGETHER = 64
"""Documents that are read at once."""


@dataclass(slots=True)
class Settled:
    """``state`` speaks of every document that was looked at, below ``positions``."""

    state: LastState
    positions: Mapping[Partition, int]
    damaged: dict[DocId, None] = field(default_factory=dict)
    unsettled: dict[DocId, None] = field(default_factory=dict)
    unmet: set[ChunkId] = field(default_factory=set)
    """Chunks of damaged documents that are not live under their document's name."""


def look_again(
    around: Surroundings,
    reading: TopicReading,
    state: LastState,
    suspects: Iterable[DocId],
    positions: Mapping[Partition, int],
) -> Settled:
    """``state`` holds the last state of the suspects below ``positions``; it is brought up to date."""
    settled = Settled(state, positions)
    waiting = dict.fromkeys(suspects)
    for _ in range(_LOOKS):
        if not waiting:
            break
        follow(reading, settled, waiting)
        reading.await_passed(settled.positions)
        survey = Survey(state.only(waiting))
        for documents in _groups(list(waiting)):
            for point in stored_points(around, documents):
                survey.meet(point)
        differ = survey.finish()
        moved = follow(reading, settled, waiting)
        for document in differ:
            if document not in moved:
                settled.damaged[document] = None
                settled.unmet.update(survey.unmet(document))
        waiting = {document: None for document in differ if document in moved}
    settled.unsettled = waiting
    return settled


def stored_points(around: Surroundings, documents: Sequence[DocId]) -> Sequence[Point]:
    """All that is stored under these documents' names."""
    stored = around.index.read(documents)
    return around.index.points([point.id for points in stored.values() for point in points])


def follow(reading: TopicReading, settled: Settled, waiting: Mapping[DocId, None]) -> dict[DocId, None]:
    """Reads on to the ends of now, for every document that is followed; those of ``waiting`` that moved."""
    ends = reading.ends()
    moved: dict[DocId, None] = {}
    for record in reading.records(ends, settled.positions):
        document = settled.state.told_of(record)
        if document is None or not settled.state.follows(document):
            continue
        settled.state.take(record)
        if document in waiting:
            moved[document] = None
    settled.positions = ends
    return moved


def _groups(documents: Sequence[DocId]) -> Iterable[Sequence[DocId]]:
    return (documents[start : start + _TOGETHER] for start in range(0, len(documents), _TOGETHER))
