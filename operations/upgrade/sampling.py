"""A sample of documents, cut under both pairs: what the plan of an upgrade rests on.

The newest rows of the CDC topics stand for all. A row that cannot be read now is not counted; whoever runs the stream
finds it among the dead letters.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from schemas import chunk_codec
from schemas.chunk_event import ChunkEvent
from stream.change import Upsert
from stream.errors import Poison
from stream.payload import live_payload
from stream.replay_cost import Sampled
from stream.revision import Cutter
from stream.text import embedded_text

_MOST_TEXTS = 4_096


@dataclass(frozen=True, slots=True)
class Sample:
    """``texts`` are what the next pair's encoder would be given."""

    sampled: Sampled
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A revision of a source of this name and lineage."""

    source: str
    lineage: str
    change: Upsert


def sample_of(rows: Iterable[Row], now: Cutter, then: Cutter, *, store_text: bool) -> Sample:
    """Each document once."""
    documents = chunks_now = chunks_then = alike = payload_bytes = event_bytes = 0
    texts: list[str] = []
    for row in rows:
        try:
            before, after = (cutter.event(row.source, row.change, row.lineage) for cutter in (now, then))
        except Poison:
            continue
        documents += 1
        chunks_now += len(before.chunks)
        chunks_then += len(after.chunks)
        known = {chunk.id for chunk in before.chunks}
        alike += sum(chunk.id in known for chunk in after.chunks)
        payload_bytes += _payload_bytes(after, store_text=store_text)
        event_bytes += len(chunk_codec.encode(after))
        title = then.embedded_title(after.title)
        texts += (embedded_text(title, chunk.text) for chunk in after.chunks)
    return Sample(
        Sampled(
            documents,
            chunks_now,
            chunks_then,
            alike,
            payload_bytes / chunks_then if chunks_then else 0.0,
            event_bytes / documents if documents else 0.0,
        ),
        tuple(texts[:_MOST_TEXTS]),
    )


def _payload_bytes(event: ChunkEvent, *, store_text: bool) -> int:
    return sum(
        len(orjson.dumps(live_payload(event, position, chunk, store_text=store_text)))
        for position, chunk in enumerate(event.chunks)
    )
