"""The payload of a live point, and its digest.

The digest covers everything but the version and the commit time, which change with every revision: two revisions of a
document whose chunk has equal digests need one small write for all such chunks, instead of a whole payload each.
"""

import hashlib
from collections.abc import Mapping

import orjson

from schemas.chunk_event import Chunk, ChunkEvent, Json
from stream.points import Payload, State

RESERVED = frozenset(
    {
        "doc_id",
        "version",
        "position",
        "count",
        "span",
        "title",
        "text",
        "source",
        "source_ts_ms",
        "tenant",
        "payload_digest",
        "state",
    }
)
"""Names that a payload field of a source cannot take."""

_NOT_DIGESTED = frozenset({"payload_digest", "version", "source_ts_ms"})


def live_payload(event: ChunkEvent, position: int, chunk: Chunk, *, store_text: bool) -> dict[str, Json]:
    """The whole payload of the chunk at ``position`` (0 to count - 1) of this revision."""
    described: dict[str, Json] = {
        **event.fields,
        "doc_id": event.doc_id,
        "source": event.source,
        "position": position,
        "count": len(event.chunks),
        "span": [chunk.span[0], chunk.span[1]],
        "state": State.LIVE.value,
    }
    if event.title is not None:
        described["title"] = event.title
    if event.tenant is not None:
        described["tenant"] = event.tenant
    if store_text:
        described["text"] = chunk.text
    return {**described, "payload_digest": digest_of(described), **moment(event)}


def moment(event: ChunkEvent) -> Payload:
    """What every revision changes: its version and the commit time at the source, in ms since 1970 if known."""
    return {"version": event.version, "source_ts_ms": event.source_ts_ms}


def digest_of(payload: Payload) -> str:
    """Of a payload as it is to be stored, or as it was read: of all but digest, version and commit time."""
    described: Mapping[str, Json] = {name: value for name, value in payload.items() if name not in _NOT_DIGESTED}
    return hashlib.blake2b(orjson.dumps(described, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
