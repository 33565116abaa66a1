"""Vectors made again under the contract, and compared with those that are stored.

The texts are those of the topic, not those of the points, which may be damaged too. A chunk's id names its text, so
its vector is the same at every version, and what the stream does meanwhile makes no difference: a point that has left
is passed over. How far two vectors of one text may lie apart is the law of every encoder (``stream.ports.Encoder``),
the one that probes are held to (``stream.probes.LEAST_COSINE``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from operations.audit.reading import TopicReading
from operations.audit.surroundings import Surroundings
from schemas.chunk_event import ChunkEvent
from schemas.identity import ChunkId, DocId, Version
from stream.difference import Difference, Kind
from stream.points import DenseVector, State
from stream.ports import Partition
from stream.probes import LEAST_COSINE, cosine
from stream.text import embedded_text

_TOGETHER = 256
"""Texts that are encoded in one call; the encoder makes its own batches of them."""

Wanted = Mapping[Partition, Mapping[int, frozenset[ChunkId] | None]]
"""Where events lie, and whose chunks of each are looked at; None: all of them."""


@dataclass(frozen=True, slots=True)
class _Text:
    document: DocId
    id: ChunkId
    text: str


class VectorCheck:
    """Of one collection, by one encoder. ``checked`` counts vectors that were compared."""

    def __init__(
        self,
        around: Surroundings,
        reading: TopicReading,
        encode: Callable[[Sequence[str]], Sequence[DenseVector]],
    ) -> None:
        self._around = around
        self._reading = reading
        self._encode = encode
        self.checked = 0

    def differing(self, wanted: Wanted) -> Iterator[Difference]:
        """Each vector that is not the contract's, each live point that has none."""
        waiting: list[_Text] = []
        for chunks, event in self._reading.events(wanted):
            waiting += self._texts(event, chunks)
            while len(waiting) >= _TOGETHER:
                yield from self._compared(waiting[:_TOGETHER])
                del waiting[:_TOGETHER]
        yield from self._compared(waiting)

    def _texts(self, event: ChunkEvent, chunks: frozenset[ChunkId] | None) -> Iterator[_Text]:
        title = self._around.fit_title(event.title)
        for chunk in event.chunks:
            if chunks is None or chunk.id in chunks:
                yield _Text(event.doc_id, chunk.id, embedded_text(title, chunk.text))

    def _compared(self, texts: Sequence[_Text]) -> Iterator[Difference]:
        if not texts:
            return
        stored = self._around.index.points([one.id for one in texts], with_vectors=True)
        live = {point.id: point for point in stored if point.payload.get("state") == State.LIVE}
        there = [one for one in texts if one.id in live]
        if not there:
            return
        self.checked += len(there)
        for one, made in zip(there, self._encode([one.text for one in there]), strict=True):
            point = live[one.id]
            told = point.payload.get("version")
            version = Version(told if type(told) is int else -1)
            if point.vector is None:
                yield Difference(Kind.VECTOR, one.document, one.id, version, "it has no vector")
                continue
            alike = cosine(point.vector.values, made.values)
            if alike < LEAST_COSINE:
                why = f"cosine {alike:.4f}, at least {LEAST_COSINE} is the law"
                yield Difference(Kind.VECTOR, one.document, one.id, version, why)
