"""What is stored, as the laws of the planner speak of it: live points, newest versions, single writes."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from schemas.chunk_event import ChunkEvent
from schemas.identity import ChunkId, DocId
from stream.payload import live_payload
from stream.points import Payload, State, Touch, Write


@cache
def unit_vector(point: ChunkId) -> NDArray[np.float32]:
    """Any function of what is embedded will do: an id stands for its text."""
    values = np.frombuffer(uuid.UUID(point).bytes[:4], np.uint8).astype(np.float32) + 1
    return values / np.linalg.norm(values)


def singles(writes: Sequence[Write]) -> list[Write]:
    """An engine may stop within a touch of many ids: each of them is a write of its own here."""
    return [
        single
        for write in writes
        for single in ([replace(write, ids=(one,)) for one in write.ids] if isinstance(write, Touch) else [write])
    ]


def newest_version(doc: DocId, stored: Mapping[ChunkId, Payload]) -> int:
    return max((payload["version"] for payload in stored.values() if payload["doc_id"] == doc), default=-1)


def live_points(doc: DocId, stored: Mapping[ChunkId, Payload]) -> dict[ChunkId, Payload]:
    return {
        point: payload
        for point, payload in stored.items()
        if payload["doc_id"] == doc and payload["state"] == State.LIVE
    }


def live_payloads(event: ChunkEvent) -> dict[ChunkId, Payload]:
    return {
        chunk.id: live_payload(event, position, chunk, store_text=True) for position, chunk in enumerate(event.chunks)
    }
