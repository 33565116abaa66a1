"""What one revision changes in the index: the planner.

The index is its own manifest. Given what is stored of a document and one of its revisions, this file decides which
chunks are embedded, which keep their vector, and which leave. Rules, each of which closes a hole that was found by
enumerating histories with stalled writers:

* A revision is *stale* when some point of its document, marks included, has a newer version: nothing is written for
  it. An equal version is not stale: it is applied again, with the same outcome.
* Additions come before removals, so a document with text is never absent from search.
* What leaves is marked, never deleted: a missing point could not refuse a late write.
* Two writes of one id at one version agree in state, whoever makes them and whatever they found stored.

It upholds invariants 1 (convergence), 2 (no regression), 3 (no gap) and 6 (no waste).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.chunk_event import ChunkEvent
from schemas.identity import ChunkId, DocId, Version, document_point_id
from stream.payload import live_payload, moment
from stream.points import DenseVector, Mark, Payload, Put, Repaint, State, StoredPoint, Touch, Write


@dataclass(frozen=True, slots=True)
class Stale:
    """The index knows a newer revision of the document."""

    doc_id: DocId
    version: Version
    newest: Version


@dataclass(frozen=True, slots=True)
class Missing:
    """A chunk that has no vector yet: ``passage`` is to be embedded (under the document's title)."""

    id: ChunkId
    passage: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Plan:
    """All writes of one revision; the missing chunks wait for their vectors."""

    doc_id: DocId
    version: Version
    title: str | None
    missing: tuple[Missing, ...]
    kept: tuple[Write, ...]
    removed: tuple[Write, ...]
    kept_count: int
    removed_count: int
    recomputes: bool = False
    """The event asks that nothing stored be trusted."""

    def writes(self, vectors: Mapping[ChunkId, DenseVector]) -> list[Write]:
        """In the order in which they have to happen. ``vectors`` holds one for each missing chunk."""
        added = [Put(chunk.id, self.version, vectors[chunk.id], chunk.payload) for chunk in self.missing]
        return [*added, *self.kept, *self.removed]


def plan_revision(
    event: ChunkEvent, stored: Sequence[StoredPoint], *, store_text: bool = True, collection: str = ""
) -> Plan | Stale:
    """Decides for one revision; ``stored`` is every point of its document, marks included.

    ``collection`` is the name of the collection written to: an event that asks for a recomputation there embeds its
    kept chunks again.
    """
    newest = max((point.version for point in stored), default=Version(0))
    if newest > event.version:
        return Stale(event.doc_id, event.version, newest)
    live = {point.id: point for point in stored if point.state is State.LIVE}
    recomputes = event.recompute is not None and event.recompute == collection
    keepable: Mapping[ChunkId, StoredPoint] = {} if recomputes else live

    missing: list[Missing] = []
    same: list[ChunkId] = []
    repainted: list[Write] = []
    for position, chunk in enumerate(event.chunks):
        payload = live_payload(event, position, chunk, store_text=store_text)
        point = keepable.get(chunk.id)
        if point is None:
            missing.append(Missing(chunk.id, chunk.text, payload))
        elif point.payload_digest == payload["payload_digest"]:
            same.append(chunk.id)
        else:
            repainted.append(Repaint(chunk.id, event.version, payload))
    touched: list[Write] = [Touch(tuple(same), event.version, moment(event))] if same else []
    return Plan(
        doc_id=event.doc_id,
        version=event.version,
        title=event.title,
        missing=tuple(missing),
        kept=(*touched, *repainted),
        removed=_marks(event, stored, live),
        kept_count=len(same) + len(repainted),
        removed_count=len(live.keys() - {chunk.id for chunk in event.chunks}),
        recomputes=recomputes,
    )


def _marks(
    event: ChunkEvent, stored: Sequence[StoredPoint], live: Mapping[ChunkId, StoredPoint]
) -> tuple[Write, ...]:
    present = {chunk.id for chunk in event.chunks}
    marks: list[Write] = [
        Mark(chunk_id, event.doc_id, event.version, State.REMOVED, event.tenant)
        for chunk_id in live
        if chunk_id not in present
    ]
    own = document_point_id(event.doc_id)
    if not event.chunks:
        marks.append(Mark(own, event.doc_id, event.version, State.DELETED, event.tenant))
    elif any(point.id == own and point.state is State.DELETED for point in stored):
        marks.append(Mark(own, event.doc_id, event.version, State.REMOVED, event.tenant))
    return tuple(marks)
