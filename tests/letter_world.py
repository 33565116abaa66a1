"""Dead letters of a small deployment, as the stages write them, and the redrive that judges them."""

import json
from typing import Any

from chunker_world import CDC, SOURCE
from stream_world import CHUNKS, CONTRACT, CUTTER, LETTERS, LINEAGE, record

from schemas.chunk_event import ChunkEvent
from schemas.identity import Version
from stream.errors import Poison
from stream.kept_letter import KeptLetter, document_of, source_named_by
from stream.ports import Partition, Record
from stream.redrive import Redrive

SOURCES = {CDC.topic: SOURCE}
REDRIVE = Redrive(SOURCES, CONTRACT.accepted, {"docs": LINEAGE}, CUTTER, CHUNKS, "docs__x__g1")


def row_record(key: str, offset: int, body: object = "Alpha.", **more: Any) -> Record:
    """A row as a chunker reads it."""
    return Record(CDC, offset, key.encode(), json.dumps({"body": body, **more}).encode())


def kept_row(
    original: Record,
    lineage: str | None = LINEAGE,
    offset: int = 0,
    kind: str = "text-type",
    version: int | None = -1,
    at_ms: int = 1_000,
) -> KeptLetter:
    """The chunker's letter of a row; its version is that of the row unless another is given."""
    known = Version(original.offset + 1) if version == -1 else version
    return kept(original, "chunker", kind, known, lineage, offset, at_ms)


def kept_event(event: ChunkEvent, offset: int = 0, kind: str = "vector", at_ms: int = 1_000) -> KeptLetter:
    """The embedder's letter of an event."""
    return kept(record(event, 40 + offset), "embedder", kind, event.version, event.lineage, offset, at_ms)


def kept(original, stage, kind, version, lineage, offset=0, at_ms=1_000) -> KeptLetter:
    made = LETTERS.letter(original, stage, Poison(kind, "It holds a secret."), version, lineage)
    lies = Record(Partition(LETTERS.topic, 0), offset, made.key, made.value, made.headers, at_ms)
    found = KeptLetter.read(lies)
    document = document_of(found.letter, SOURCES, found.letter.key)
    return found.named(source_named_by(found.letter, SOURCES, document), document)
