"""What the index holds against what it should hold, point by point.

The expected side is the corpus: each document's newest version and the ids of its chunks, cut from the source itself.
The found side is every point of the collection, marks included. When the stream is drained they are *equal*
(invariant 1, convergence): each expected chunk is live once, at its document's newest version, and nothing else is
live. Every way of not being equal has a name, and each point that shows it is told:

    missing      expected and not live
    orphans      live and not expected: the chunk or its whole document is gone from the source
    stale        live and expected, at another version than its document's newest
    duplicated   told more than once by the index

An id is made of its document and its embedded text, so equal ids are equal texts. Marks are no differences: they are
what is not there any more. All ids are held in memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.identity import ChunkId, DocId, Version
from stream.points import State, StoredPoint


@dataclass(frozen=True, slots=True)
class ExpectedDocument:
    """A document as its source has it. ``chunks`` is empty where it has no text."""

    version: Version
    chunks: tuple[ChunkId, ...]


@dataclass(frozen=True, slots=True)
class MissingChunk:
    """A chunk that should be live; ``version`` is its document's newest."""

    doc_id: DocId
    id: ChunkId
    version: Version


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome. ``documents`` and ``chunks`` count what is expected, ``live`` what is found."""

    documents: int
    chunks: int
    live: int
    missing: tuple[MissingChunk, ...]
    orphans: tuple[StoredPoint, ...]
    stale: tuple[StoredPoint, ...]
    duplicated: tuple[StoredPoint, ...]

    @property
    def equal(self) -> bool:
        """Nothing differs."""
        return not (self.missing or self.orphans or self.stale or self.duplicated)


def compare(expected: Mapping[DocId, ExpectedDocument], found: Iterable[StoredPoint]) -> Comparison:
    """``found`` is every point of the collection, in any order."""
    owners = {chunk: document for document, revision in expected.items() for chunk in revision.chunks}
    seen: set[ChunkId] = set()
    live: set[ChunkId] = set()
    orphans: list[StoredPoint] = []
    stale: list[StoredPoint] = []
    duplicated: list[StoredPoint] = []
    for point in found:
        if point.id in seen:
            duplicated.append(point)
            continue
        seen.add(point.id)
        if point.state is not State.LIVE:
            continue
        live.add(point.id)
        if owners.get(point.id) != point.doc_id:
            orphans.append(point)
        elif point.version != expected[point.doc_id].version:
            stale.append(point)
    strays = {point.id for point in orphans}
    return Comparison(
        documents=len(expected),
        chunks=len(owners),
        live=len(live),
        missing=tuple(
            MissingChunk(document, chunk, expected[document].version)
            for chunk, document in owners.items()
            if chunk not in live or chunk in strays
        ),
        orphans=tuple(orphans),
        stale=tuple(stale),
        duplicated=tuple(duplicated),
    )
