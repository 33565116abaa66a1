"""A chunker on a bus in memory: one source of plain documents, its heartbeats, and what its readers see."""

import json
from collections.abc import Mapping

from stream_world import CHUNKS, CONTRACT, CUTTER, LETTERS, HeldClock

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.metrics import Metrics
from consumers.chunker import Chunker, ChunkerParts
from consumers.lineage_watch import LineageWatch
from schemas import chunk_codec, dead_letter
from schemas.chunk_event import ChunkEvent
from schemas.dead_letter import DeadLetter
from stream.ports import Committed, Outgoing, Partition, Record, Step, no_step
from stream.source import Source

GROUP = "kb.chunker"
CDC = Partition("kb.docs", 0)
BEATS = Partition("beats", 0)
TOPICS = {CDC.topic: 1, BEATS.topic: 1, CHUNKS.name: 1, LETTERS.topic: 1}
SOURCE = Source.written(
    name="docs",
    topic=CDC.topic,
    format="document",
    title="title?",
    text=["body"],
    fields={"colour?": "keyword"},
    heartbeat=BEATS.topic,
)


def row(key: str, body: object, **more: object) -> Outgoing:
    """A document as another program writes it."""
    return Outgoing(CDC, key.encode(), json.dumps({"body": body, **more}).encode())


class World:
    """The broker, and one chunker at a time. ``start`` is what a process does before its first turn."""

    def __init__(self, step: Step = no_step, now_ms: int = 0) -> None:
        self.broker = MemoryBroker(lambda: now_ms)
        self.bus = MemoryBus(self.broker)
        self.step = step
        for topic, partitions in TOPICS.items():
            self.bus.topics().create(topic, partitions, 1, {"max.message.bytes": str(1 << 21)})

    def start(self) -> "World":
        process = MemoryBus(self.broker, step=self.step)
        self.metrics, self.clock = Metrics(lambda: 10_000), HeldClock()
        self.watch = LineageWatch(process.topics(), GROUP, {CDC.topic: "docs"}, CONTRACT.accepted, CHUNKS.name)
        self.watch.start()
        self.chunker = Chunker(
            ChunkerParts(
                sources={CDC.topic: SOURCE},
                heartbeats={BEATS.topic: ["docs"]},
                fingerprints=CONTRACT.accepted,
                cutter=CUTTER,
                chunks=CHUNKS,
                letterbox=LETTERS,
                lineage=self.watch,
                metrics=self.metrics,
                clock=self.clock,
            )
        )
        self.consumer = process.consumer(GROUP, [CDC.topic, BEATS.topic], self.chunker)
        self.producer = process.transactional_producer(f"{GROUP}.0", self.consumer)
        return self

    def write(self, *records: Outgoing) -> None:
        self.bus.producer().send(records)

    def turn(self, max_records: int = 500) -> None:
        self.clock.seconds += 1.0
        self.chunker.turn(self.consumer, self.producer, max_records, 0.0)

    @property
    def events(self) -> list[ChunkEvent]:
        """As a reader of committed records sees them."""
        return [chunk_codec.decode(record.value or b"") for record in self.read(CHUNKS.name)]

    @property
    def letters(self) -> list[DeadLetter]:
        return [dead_letter.decode(one.key, one.value, one.headers) for one in self.read(LETTERS.topic)]

    def read(self, topic: str) -> list[Record]:
        found, _ = self.broker.log(Partition(topic, 0)).read(0, 1_000)
        return found

    @property
    def committed(self) -> Mapping[Partition, Committed]:
        return self.bus.topics().committed(GROUP, [CDC, BEATS, Partition(CHUNKS.name, 0)])

    def counted(self, family: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"embedstream_{family}_total", labels) or 0
