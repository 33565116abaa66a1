"""The chunk event: one revision of one document, whole, or its delete.

Because the event carries every chunk of the revision, the last event of a key rebuilds the document: the chunk topic
can be compacted and replayed for ever. The headers repeat what a reader needs to drop an event unread.

The wire form is described by ``chunk_event.schema.json``; :func:`encode` and :func:`decode` are inverse on every
event that :func:`encode` accepts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.identity import ChunkId, DocId, Fingerprint, Version

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Headers = tuple[tuple[str, bytes | None], ...]

CHUNKING_HEADER = "chunking"
VERSION_HEADER = "version"
LINEAGE_HEADER = "lineage"
SOURCE_TS_HEADER = "source-ts-ms"
TRACEPARENT_HEADER = "traceparent"
ATTEMPT_HEADER = "attempt"
"""Repeats the event's ``attempt`` for people and their tools; no reader decides by it."""
ERASED_HEADER = "erased"
"""On a null value that an operator wrote: the headers beside it name the version at which it was deleted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage. ``span`` is [start, end) in code points of the document's text; ``text`` is exactly that part."""

    id: ChunkId
    span: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True)
class ChunkEvent:
    """One revision. A delete carries no chunks, no title and no fields."""

    kind: Literal["upsert", "delete"]
    source: str
    doc_id: DocId
    version: Version
    lineage: str
    title: str | None = None
    fields: Mapping[str, Json] = field(default_factory=dict)
    tenant: str | None = None
    source_ts_ms: int | None = None
    chunks: tuple[Chunk, ...] = ()
    recompute: str | None = None
    """Name of the collection in which the kept chunks are to be embedded again."""
    attempt: int | None = None
    """How often a dead letter of this revision was published again."""


@dataclass(frozen=True, slots=True)
class EventHeaders:
    """What the headers of a chunk event say, before its value is touched."""

    chunking: Fingerprint
    version: Version
    lineage: str
    source_ts_ms: int | None
    traceparent: str | None = None
