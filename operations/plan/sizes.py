"""What documents of a size take on the wire and in the index, told by the codecs themselves on an invented one."""

from dataclasses import dataclass

import orjson

from schemas import chunk_codec
from schemas.chunk_event import Chunk, ChunkEvent
from schemas.identity import DocId, Version, chunk_ids
from stream.payload import live_payload

_DOCUMENT = DocId("documents/1234567890")
_VERSION = Version(1_234_567_890)
_NOW_MS = 1_700_000_000_000
_PROBED_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes. An event is ``event`` and ``event_chunk`` for each of its chunks, before compression and replicas."""

    payload: int
    event: int
    event_chunk: int

    def event_of(self, chunks: float) -> float:
        """A document's newest event, which is all that compaction keeps of it."""
        return self.event + chunks * self.event_chunk


def sizes(chunk_bytes: int, *, store_text: bool = True) -> Sizes:
    """Of chunks whose text has so many bytes, without a title and fields of the user's own."""
    taken = min(chunk_bytes, _PROBED_BYTES)
    one, two = (_event(count, taken) for count in (1, 2))
    payload = len(orjson.dumps(live_payload(one, 0, one.chunks[0], store_text=store_text)))
    bytes_of_one, bytes_of_two = (len(chunk_codec.encode(event)) for event in (one, two))
    # A longer text is so many bytes more, and nothing else.
    rest = chunk_bytes - taken
    return Sizes(
        payload + (rest if store_text else 0), 2 * bytes_of_one - bytes_of_two, bytes_of_two - bytes_of_one + rest
    )


def _event(count: int, chunk_bytes: int) -> ChunkEvent:
    text = "x" * chunk_bytes
    return ChunkEvent(
        "upsert",
        "documents",
        _DOCUMENT,
        _VERSION,
        _DOCUMENT,
        source_ts_ms=_NOW_MS,
        chunks=tuple(
            Chunk(chunk_id, (place * chunk_bytes, (place + 1) * chunk_bytes), text)
            for place, chunk_id in enumerate(chunk_ids(_DOCUMENT, [text] * count))
        ),
    )
