"""A deployment to which a source is added, on a bus and an index in memory.

``OLD`` knows the source docs, ``NEW`` docs and wiki. Any number of chunkers and embedders of either run side by side,
each turned by hand; they are started, stopped and killed in any order. The rows that were written are the oracle.
"""

import json
import time
from dataclasses import dataclass, field

from embedding_world import MIB, SOON_S, live_texts
from stream_world import CHUNKING, CUTTER, DOCS, ENCODER, LETTERS, WIKI, HeldClock

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.memory.index import MemoryCatalog
from adapters.metrics import Metrics
from consumers.chunker import Chunker, ChunkerParts
from consumers.embedder import Embedder, EmbedderParts
from consumers.lineage_watch import LineageWatch, current_lineages
from consumers.opening import admission_now, open_for_writing
from consumers.pipeline import Pipeline, PipelineParts
from consumers.stages import ShrinkingEncoder
from consumers.workload import Workload
from stream.collection import collection_name
from stream.contract import Contract
from stream.ports import Outgoing, Partition
from stream.revision import ChunkTopic
from stream.source import Source

CHUNKS = ChunkTopic("kb.chunks", 2, 1 << 20)
CHUNKER, EMBEDDER = "kb.chunker", "kb.embedder"
DOCS_SOURCE = Source.written(name="docs", topic="kb.docs", format="document", title="title?", text=["body"])
WIKI_SOURCE = Source.written(name="wiki", topic="kb.wiki", format="document", text=["text"])
OLD, NEW = (DOCS_SOURCE,), (DOCS_SOURCE, WIKI_SOURCE)
MAPPINGS = {"docs": DOCS, "wiki": WIKI}


def contract_of(sources):
    return Contract(CHUNKING, ENCODER.contract, tuple(MAPPINGS[source.name] for source in sources))


class ChunkerProcess:
    def __init__(self, world, sources, instance):
        self.clock = HeldClock()
        bus = MemoryBus(world.broker)
        accepted = contract_of(sources).accepted
        names = {source.topic: source.name for source in sources}
        self.watch = LineageWatch(bus.topics(), CHUNKER, names, accepted, CHUNKS.name)
        self.watch.start()
        self.chunker = Chunker(
            ChunkerParts(
                sources={source.topic: source for source in sources},
                heartbeats={},
                fingerprints=accepted,
                cutter=CUTTER,
                chunks=CHUNKS,
                letterbox=LETTERS,
                lineage=self.watch,
                metrics=Metrics(),
                clock=self.clock,
            )
        )
        self.consumer = bus.consumer(CHUNKER, list(names), self.chunker)
        self.producer = bus.transactional_producer(f"{CHUNKER}.{instance}", self.consumer)

    def turn(self):
        self.clock.seconds += 1.0
        self.chunker.turn(self.consumer, self.producer, 5, 0.0)

    def stop(self):
        self.consumer.close()

    def kill(self):
        self.consumer.evict()


class EmbedderProcess:
    def __init__(self, world, sources):
        self.clock, self.metrics, workload = HeldClock(), Metrics(), Workload()
        self.workload = workload
        bus = MemoryBus(world.broker)
        self.collection = open_for_writing(
            world.catalog,
            "kb",
            1,
            contract_of(sources),
            current_lineages(bus.topics(), {source.topic: source.name for source in sources}, CHUNKS.name),
            {},
            ENCODER,
            consumed=lambda: bool(bus.topics().committed(EMBEDDER, world.chunk_partitions)),
        )
        shared = {
            "index": self.collection.index,
            "producer": bus.producer(),
            "letterbox": LETTERS,
            "metrics": self.metrics,
            "clock": self.clock,
        }
        self.pipeline = Pipeline(
            PipelineParts(
                collection=self.collection.name,
                encoder=ShrinkingEncoder(ENCODER, lambda: None),
                fit_title=CUTTER.embedded_title,
                store_text=True,
                batch_tokens=1_000,
                plan_max_age_s=float("inf"),
                **shared,
            ),
            workload,
        )
        self.embedder = Embedder(
            EmbedderParts(
                admission=self.collection.admission,
                backlog_tokens=1_000,
                flush_interval_s=1.0,
                drain_deadline_s=SOON_S,
                admitted=lambda: admission_now(world.catalog, self.collection.name),
                **shared,
            ),
            workload,
        )
        self.consumer = bus.consumer(EMBEDDER, [CHUNKS.name], self.embedder)
        self.embedder._consumer = self.consumer
        self.pipeline.start()

    def counted(self, family, **labels):
        return self.metrics.registry.get_sample_value(f"embedstream_{family}_total", labels) or 0

    def turn(self):
        self.clock.seconds += 1.0
        self.pipeline.check()
        self.embedder.turn(5, 0.0)

    def stop(self):
        self.consumer.close()
        self.pipeline.stop()

    def kill(self):
        self.pipeline.stop()
        self.consumer.evict()


@dataclass
class JoiningWorld:
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    rows: dict[str, str] = field(default_factory=dict)
    """Document → its text, of those that are there."""
    chunkers: list[ChunkerProcess] = field(default_factory=list)
    embedders: list[EmbedderProcess] = field(default_factory=list)
    started: int = 0

    def __post_init__(self):
        self.bus = MemoryBus(self.broker)
        self.chunk_partitions = [Partition(CHUNKS.name, number) for number in range(CHUNKS.partitions)]
        self.bus.topics().create(CHUNKS.name, CHUNKS.partitions, 1, MIB)
        for topic in (DOCS_SOURCE.topic, WIKI_SOURCE.topic):
            self.bus.topics().create(topic, 2, 1, MIB)
        self.bus.topics().create(LETTERS.topic, 1, 1, MIB)

    def write(self, source, key, text):
        """None deletes the row."""
        column = source.text[0].name
        value = None if text is None else json.dumps({column: text}).encode()
        place = Partition(source.topic, sum(key.encode()) % 2)
        self.bus.producer().send([Outgoing(place, key.encode(), value)])
        self.rows[f"{source.name}/{key}"] = text or ""

    def garbage(self):
        """An event on the chunk topic whose headers nobody can read."""
        return Outgoing(self.chunk_partitions[0], b"k", b"v", (("chunking", b"\xff"),))

    def chunker(self, sources):
        self.started += 1
        self.chunkers.append(ChunkerProcess(self, sources, self.started))
        return self.chunkers[-1]

    def embedder(self, sources):
        self.embedders.append(EmbedderProcess(self, sources))
        return self.embedders[-1]

    def end(self, process, *, kill=False):
        for running in (self.chunkers, self.embedders):
            if process in running:
                running.remove(process)
        process.kill() if kill else process.stop()

    def turn(self):
        for process in [*self.chunkers, *self.embedders]:
            process.turn()

    def drain(self):
        """Until everybody has what is his, nothing is in flight, and both groups have committed all that is there."""
        deadline = time.monotonic() + SOON_S
        groups = ((CHUNKER, DOCS_SOURCE.topic), (CHUNKER, WIKI_SOURCE.topic), (EMBEDDER, CHUNKS.name))
        quiet = 0
        while quiet < 4:
            assert time.monotonic() < deadline, f"not drained: {[self.lag(*each) for each in groups]}"
            self.turn()
            still = any(self.lag(group, topic) for group, topic in groups if self._read(topic))
            quiet = 0 if still or not all(each.workload.idle for each in self.embedders) else quiet + 1

    def _read(self, topic):
        """Whether somebody is there who reads the topic."""
        return topic != WIKI_SOURCE.topic or any(len(each.watch._sources) > 1 for each in self.chunkers)

    def lag(self, group, topic):
        ends = self.bus.topics().ends(topic)
        done = self.bus.topics().committed(group, list(ends))
        return sum(end - (done[place].offset if place in done else 0) for place, end in ends.items())

    @property
    def texts(self):
        name = collection_name("kb", contract_of(OLD).fingerprint, 1)
        return {doc: " ".join(texts) for doc, texts in live_texts(self.catalog.open(name)).items()}

    @property
    def stored(self):
        name = collection_name("kb", contract_of(OLD).fingerprint, 1)
        return {point.id: point.payload for point in self.catalog.open(name).scroll()}

    @property
    def table(self):
        return {doc: text for doc, text in self.rows.items() if text}

    @property
    def letters(self):
        return self.broker.log(Partition(LETTERS.topic, 0)).read(0, 100)[0]

    def close(self):
        for process in [*self.chunkers, *self.embedders]:
            process.kill()
