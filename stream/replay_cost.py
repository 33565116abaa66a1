"""What a replay will cost: chunks, device time, wall-clock, money and bytes, from a sample and a measured rate.

The arithmetic is that of the chapter behind this project (its Section 2): chunks = documents × chunks a document;
device seconds = chunks / rate; devices divide the wall-clock and not the bill. A first pass over a corpus is a replay
of all of it.

Bytes of vectors are 4 a dimension. With their index and what the engine needs besides, Qdrant's rule is half as much
again (https://qdrant.tech/documentation/capacity-planning/); kept in memory quantized to a byte, they are a quarter
(https://qdrant.tech/articles/scalar-quantization/).
"""

import math
from dataclasses import dataclass

from schemas.chunk_event import Json
from stream.errors import Misuse

_FLOAT_BYTES = 4
_WITH_INDEX = 1.5


@dataclass(frozen=True, slots=True)
class Sampled:
    """Of sampled documents: their chunks as they are cut now and as they will be, and how many of the latter have the
    text of one of the former. ``payload_bytes`` and ``event_bytes`` are means, of a point and of a whole document.
    """

    documents: int
    chunks_now: int
    chunks_then: int
    alike: int
    payload_bytes: float
    event_bytes: float

    @property
    def growth(self) -> float:
        """Chunks then for each chunk now."""
        return self.chunks_then / self.chunks_now if self.chunks_now else 1.0

    @property
    def share_alike(self) -> float:
        """Of the chunks then."""
        return self.alike / self.chunks_then if self.chunks_then else 0.0


@dataclass(frozen=True, slots=True)
class Means:
    """``rate`` in chunks a second and device, ``share`` of the device that the replay may have, ``price`` of a device
    hour; None: not asked for.
    """

    rate: float
    devices: int = 1
    share: float = 1.0
    price: float | None = None


@dataclass(frozen=True, slots=True)
class ReplayCost:
    """``cost`` in the currency of the price."""

    documents: int
    chunks: int
    copied: int
    embedded: int
    device_seconds: float
    wall_seconds: float
    cost: float | None
    vector_bytes: int
    payload_bytes: int
    topic_bytes: int

    @property
    def device_hours(self) -> float:
        """However many devices share them."""
        return self.device_seconds / 3_600

    @property
    def single_device_days(self) -> float:
        """Wall-clock of one device that does nothing else."""
        return self.device_seconds / 86_400

    @property
    def indexed_bytes(self) -> int:
        """Memory of the vectors with their index, by Qdrant's rule."""
        return round(self.vector_bytes * _WITH_INDEX)

    @property
    def quantized_bytes(self) -> int:
        """The vectors with a byte a dimension, beside the whole ones on disk."""
        return self.vector_bytes // _FLOAT_BYTES

    def to_json(self) -> dict[str, Json]:
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "copied": self.copied,
            "embedded": self.embedded,
            "device_hours": round(self.device_hours, 4),
            "single_device_days": round(self.single_device_days, 4),
            "wall_seconds": round(self.wall_seconds, 1),
            "cost": None if self.cost is None else round(self.cost, 2),
            "vector_bytes": self.vector_bytes,
            "indexed_bytes": self.indexed_bytes,
            "quantized_bytes": self.quantized_bytes,
            "payload_bytes": self.payload_bytes,
            "topic_bytes": self.topic_bytes,
        }


def replay_cost(
    live_chunks: int, sampled: Sampled, means: Means, dimensions: int, *, copies: bool, own_chunker: bool
) -> ReplayCost:
    """Of the whole, from the sample's proportions. Raises Misuse for a rate, number, share or price that is none."""
    if not 0 < means.rate < math.inf or means.devices < 1 or not 0 < means.share <= 1:
        raise Misuse("A replay needs a rate above 0, at least one device, and a share of it in (0, 1].")
    if means.price is not None and not 0 <= means.price < math.inf:
        raise Misuse("The price of a device hour is a number, 0 or more.")
    chunks = round(live_chunks * sampled.growth)
    copied = round(chunks * sampled.share_alike) if copies else 0
    embedded = chunks - copied
    device_seconds = embedded / means.rate
    per_document = sampled.chunks_now / sampled.documents if sampled.documents else 1.0
    documents = round(live_chunks / per_document) if per_document else 0
    return ReplayCost(
        documents=documents,
        chunks=chunks,
        copied=copied,
        embedded=embedded,
        device_seconds=device_seconds,
        wall_seconds=device_seconds / means.devices / means.share,
        cost=None if means.price is None else device_seconds / 3_600 * means.price,
        vector_bytes=chunks * dimensions * _FLOAT_BYTES,
        payload_bytes=round(chunks * sampled.payload_bytes),
        topic_bytes=round(documents * sampled.event_bytes) if own_chunker else 0,
    )
