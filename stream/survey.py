"""Points of the index against the last state of the topic: which documents are *suspect*.

A survey is cheap and holds little: it meets each point once, in any order, and remembers one byte for each chunk
that should be there. A point is as it should be where it is live at its document's newest version and its payload,
digested anew, has the digest of the revision's; a document is, where each of its chunks was met once and nothing else
of it is live, or, without text, where its *deleted* mark stands at the newest version. Whatever differs makes the
document suspect, and no more: what it is that differs is for ``stream.difference`` to say, after a second look.

Marks of chunks that left are neither expected nor missed, for a purge takes them; one that is newer than its
document's newest revision is suspect, because it would refuse what is right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId, document_point_id
from stream.last_state import LastState, Summary
from stream.payload import digest_of
from stream.points import Point, State, StoredPoint

_SEEN_TWICE = 2


@dataclass(frozen=True, slots=True)
class Foreign:
    """A point whose payload no planner could read: not written by embedstream, or damaged beyond that."""

    id: ChunkId
    doc_id: DocId
    """Empty where it has none."""
    why: str


def stored_of(point: Point) -> StoredPoint | Foreign:
    """What planning would know of it. Planning is lenient where this is not: it lets no damage stop an embedder."""
    payload = point.payload
    named = payload.get("doc_id")
    document = DocId(named if isinstance(named, str) else "")
    if not document:
        return Foreign(point.id, document, "its payload lacks a readable doc_id")
    if payload.get("state") not in set(State):
        return Foreign(point.id, document, "its payload lacks a readable state")
    if type(payload.get("version")) is not int:
        return Foreign(point.id, document, "its version is no integer")
    return StoredPoint.of(point.id, payload)


@dataclass(slots=True)
class Survey:
    """Of the documents for which ``mine`` is true, against ``state``."""

    state: LastState
    mine: Callable[[DocId], bool] = lambda _: True
    points: int = 0
    live: int = 0
    suspects: dict[DocId, None] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    unknown: dict[DocId, None] = field(default_factory=dict)
    """Documents with something live of which the topic cannot tell what should be there."""
    _met: dict[DocId, bytearray] = field(default_factory=dict)

    def meet(self, point: Point) -> None:
        """One point of the collection."""
        stored = stored_of(point)
        if isinstance(stored, Foreign):
            self.foreign.append(stored)
            return
        document = stored.doc_id
        if not self.mine(document):
            return
        self.points += 1
        self.live += stored.state is State.LIVE
        revision = self.state.get(document)
        if revision is None:
            if stored.state is State.LIVE:
                strange = self.unknown if self.state.unknown(document) else self.suspects
                strange[document] = None
        elif not self._as_it_should_be(document, revision, stored, point.payload):
            self.suspects[document] = None

    def finish(self) -> dict[DocId, None]:
        """Every point was met: the suspects, those of which something was not met among them."""
        for document in self.state.documents():
            if document not in self.suspects and self.mine(document):
                revision = self.state.get(document)
                met = self._met.get(document)
                if revision is not None and (met is None or met.count(1) != max(1, len(revision))):
                    self.suspects[document] = None
        return self.suspects

    def unmet(self, document: DocId) -> list[ChunkId]:
        """Chunks of the document's revision that were not met live."""
        revision = self.state.get(document)
        if revision is None:
            return []
        met = self._met.get(document, bytearray(len(revision)))
        return [revision.chunk(position) for position in range(len(revision)) if not met[position]]

    def _as_it_should_be(
        self, document: DocId, revision: Summary, stored: StoredPoint, payload: Mapping[str, Json]
    ) -> bool:
        if stored.state is State.REMOVED:
            return stored.version <= revision.version
        if stored.state is State.DELETED:
            if len(revision) or stored.id != document_point_id(document):
                return False
            return self._first_time(document, revision, 0) and stored.version == revision.version
        position = revision.position(stored.id)
        if position is None:
            return False
        return (
            self._first_time(document, revision, position)
            and stored.version == revision.version
            and payload.get("source_ts_ms") == revision.source_ts_ms
            and stored.payload_digest == revision.digest(position)
            and digest_of(payload) == stored.payload_digest
        )

    def _first_time(self, document: DocId, revision: Summary, position: int) -> bool:
        met = self._met.setdefault(document, bytearray(max(1, len(revision))))
        met[position] = min(_SEEN_TWICE, met[position] + 1)
        return met[position] == 1
