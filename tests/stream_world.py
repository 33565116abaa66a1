"""A small world for tests of the stream: one contract, revisions as chunk events, their records, and a clock to hold.

Everything is made by the code's own functions from a source, a key and passages, so ids, headers and partitions are
what a chunker would have written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.memory.encoder import HashEncoder
from schemas.chunk_event import Chunk, ChunkEvent
from schemas.identity import DocId, Version, chunk_ids
from stream.contract import ChunkingContract, Contract, TextMapping
from stream.letterbox import Letterbox
from stream.ports import Outgoing, Partition, Record
from stream.revision import ChunkTopic, Cutter
from stream.text import embedded_text

ENCODER = HashEncoder(8)
CHUNKING = ChunkingContract("fixed", 0, 16, 0, 8, ENCODER.tokenizer.digest)
DOCS = TextMapping("docs", "title", ("body",))
WIKI = TextMapping("wiki", None, ("text",))
CONTRACT = Contract(CHUNKING, ENCODER.contract, (DOCS,))
CUTTER = Cutter(CHUNKING, ENCODER.tokenizer)
LINEAGE = "cdc-1/1+chunks-1/1"
CHUNKS = ChunkTopic("kb.chunks", 1, 1 << 20)
PLACE = Partition("kb.chunks", 0)
LETTERS = Letterbox("kb.dead-letters", 1, 1 << 20)


def chunks_of(doc: str, passages: Sequence[str], title: str | None = None) -> tuple[Chunk, ...]:
    """Passages of a text in which they stand one after the other, a blank line between two."""
    chunks, start = [], 0
    ids = chunk_ids(DocId(doc), [embedded_text(CUTTER.embedded_title(title), passage) for passage in passages])
    for chunk_id, passage in zip(ids, passages, strict=True):
        chunks.append(Chunk(chunk_id, (start, start + len(passage)), passage))
        start += len(passage) + 2
    return tuple(chunks)


def revision(doc: str, version: int, *passages: str, **more: Any) -> ChunkEvent:
    """An upsert. ``more`` are fields of the event: title, fields, tenant, source_ts_ms, lineage, recompute."""
    given = {"lineage": LINEAGE, "source_ts_ms": 1_000 + version, **more}
    chunks = chunks_of(doc, passages, given.get("title"))
    return ChunkEvent("upsert", doc.partition("/")[0], DocId(doc), Version(version), chunks=chunks, **given)


def delete(doc: str, version: int, **more: Any) -> ChunkEvent:
    given = {"lineage": LINEAGE, "source_ts_ms": 1_000 + version, **more}
    return ChunkEvent("delete", doc.partition("/")[0], DocId(doc), Version(version), **given)


def outgoing(event: ChunkEvent, topic: ChunkTopic = CHUNKS) -> Outgoing:
    """As the chunker writes it, with the header of :data:`CONTRACT` or of its source joined to it."""
    contract = Contract(CHUNKING, ENCODER.contract, (DOCS, WIKI))
    return topic.outgoing(event, contract.header_fingerprint(event.source), None)


def record(event: ChunkEvent, offset: int, topic: ChunkTopic = CHUNKS) -> Record:
    """As a consumer reads it."""
    made = outgoing(event, topic)
    return Record(made.partition, offset, made.key, made.value, made.headers)


@dataclass
class HeldClock:
    """Stands still until it is moved."""

    seconds: float = 0.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Sent:
    """A producer that remembers; it fails as often as ``failures`` has errors, first one first."""

    failures: list[Exception] = field(default_factory=list)
    records: list[Outgoing] = field(default_factory=list)
    calls: int = 0

    def send(self, records: Sequence[Outgoing]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.records.extend(records)

    def close(self) -> None:
        """Nothing is open."""
