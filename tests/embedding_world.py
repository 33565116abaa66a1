"""What the embedder's tests work with: an index that fails on demand, and encoders that refuse, stall or run full."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from stream_world import CHUNKS, CONTRACT, CUTTER, ENCODER, LETTERS, LINEAGE, PLACE, HeldClock, outgoing

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.memory.index import MemoryIndex
from adapters.memory.table import PointTable
from adapters.metrics import Metrics
from consumers.embedder import Embedder, EmbedderParts
from consumers.pipeline import Pipeline, PipelineParts
from consumers.stages import ShrinkingEncoder
from consumers.workload import Revision, Workload
from schemas import dead_letter
from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId
from stream.errors import Poison
from stream.intake import Admission
from stream.points import DenseVector, Put, State, StoredPoint, Write
from stream.ports import DeviceFull, Partition, Record, TextKind, VectorIndex, VectorSpec, no_step

SPEC = VectorSpec(ENCODER.contract.vector_name, ENCODER.contract.dimensions)
SOON_S = 20.0
GROUP = "kb.embedder"
ADMISSION = Admission({CONTRACT.header_fingerprint("docs"): "docs"}, {"docs": LINEAGE})
MIB = {"max.message.bytes": str(1 << 21)}


def memory_index() -> MemoryIndex:
    return MemoryIndex(PointTable(SPEC, {}))


def live_texts(index: VectorIndex) -> dict[str, list[str]]:
    """Document → its live passages in order of position."""
    found: dict[str, list[tuple[int, str]]] = {}
    for point in index.scroll():
        if point.payload["state"] == State.LIVE:
            place = (int(str(point.payload["position"])), str(point.payload["text"]))
            found.setdefault(str(point.payload["doc_id"]), []).append(place)
    return {doc: [text for _, text in sorted(places)] for doc, places in found.items()}


def as_revision(event: ChunkEvent, offset: int = 0) -> Revision:
    return Revision(event, Record(Partition("kb.chunks", 0), offset, b"k", b"v"), 1, 1)


@dataclass
class TroubledIndex:
    """A memory index behind trouble: each of ``failures`` is raised once by the next call of its kind; a call that
    would put a passage with ``refused`` in it is poison, before anything of it is written.
    """

    inner: MemoryIndex = field(default_factory=memory_index)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    refused: str | None = None
    calls: list[str] = field(default_factory=list)
    written: int = 0

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        self._meet("read")
        return self.inner.read(documents)

    def write(self, writes: Sequence[Write]) -> None:
        self._meet("write")
        if self.refused and any(
            isinstance(write, Put) and self.refused in str(write.payload["text"]) for write in writes
        ):
            raise Poison("refused-by-index", f"The index takes no {self.refused}.")
        self.inner.write(writes)
        self.written += len(writes)

    def flush(self) -> None:
        self._meet("flush")

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def _meet(self, call: str) -> None:
        self.calls.append(call)
        if waiting := self.failures.get(call):
            raise waiting.pop(0)


@dataclass
class TroubledEncoder:
    """Encodes as :data:`stream_world.ENCODER` does, but for what it is told, and remembers what it encoded."""

    poison: str | None = None
    nan: str | None = None
    room: int = 1_000_000
    """Texts that fit the device at once."""
    failures: list[Exception] = field(default_factory=list)
    before: Callable[[], object] = lambda: None
    asked: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    contract = ENCODER.contract

    def count_tokens(self, kind: TextKind, texts: Sequence[str]) -> Sequence[int]:
        return ENCODER.count_tokens(kind, texts)

    def encode(self, kind: TextKind, texts: Sequence[str]) -> Sequence[DenseVector]:
        self.before()
        self.sizes.append(len(texts))
        if self.failures:
            raise self.failures.pop(0)
        if len(texts) > self.room:
            raise DeviceFull
        if self.poison and any(self.poison in text for text in texts):
            raise Poison("text", f"The model takes no {self.poison}.")
        self.asked.extend(texts)
        return [
            DenseVector(np.full(SPEC.dimensions, np.nan, np.float32)) if self.nan and self.nan in text else vector
            for text, vector in zip(texts, ENCODER.encode(kind, texts), strict=True)
        ]


@dataclass
class Gate:
    """Holds whoever passes until it is opened; ``reached`` tells that somebody stands before it."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(SOON_S), "nobody opened the gate"


class Loop:
    """An embedder on a bus in memory; its turns are called by hand unless it runs."""

    def __init__(self, *, broker=None, index=None, encoder=None, step=no_step, stopping=None, **parts):
        self.broker = broker or MemoryBroker()
        self.bus = MemoryBus(self.broker, step=step)
        for topic in (CHUNKS.name, LETTERS.topic):
            self.bus.topics().create(topic, 1, 1, MIB)
        self.index = index or TroubledIndex()
        self.encoder = encoder or TroubledEncoder()
        self.clock, self.metrics, self.workload = HeldClock(), Metrics(), Workload()
        self.stopping = stopping or threading.Event()
        shared = {"index": self.index, "letterbox": LETTERS, "metrics": self.metrics, "clock": self.clock}
        self.producer = self.bus.producer()
        self.pipeline = Pipeline(
            PipelineParts(
                collection="docs__x__g1",
                encoder=ShrinkingEncoder(self.encoder, lambda: None),
                fit_title=CUTTER.embedded_title,
                producer=self.producer,
                store_text=True,
                batch_tokens=1_000,
                plan_max_age_s=float("inf"),
                **shared,
            ),
            self.workload,
        )
        given = {"backlog_tokens": 1_000, "flush_interval_s": 1.0, "drain_deadline_s": SOON_S, **parts}
        self.embedder = Embedder(
            EmbedderParts(
                admission=ADMISSION,
                producer=self.producer,
                **shared,
                **given,
            ),
            self.workload,
        )
        self.consumer = self.bus.consumer(GROUP, [CHUNKS.name], self.embedder)
        self.embedder._consumer = self.consumer

    def __enter__(self):
        self.pipeline.start()
        return self

    def __exit__(self, *_):
        self.pipeline.stop()

    def publish(self, *events):
        self.bus.producer().send([event if hasattr(event, "partition") else outgoing(event) for event in events])

    def turn(self):
        self.clock.seconds += 1.0
        self.embedder.turn(500, 0.0)

    def until(self, condition):
        give_up = time.monotonic() + SOON_S
        while not condition():
            self.pipeline.check()
            self.turn()
            assert time.monotonic() < give_up, "it did not happen"

    def drain(self):
        """Until everything published is committed."""
        self.until(lambda: self.committed == self.bus.topics().ends(CHUNKS.name)[PLACE])

    @property
    def committed(self):
        found = self.bus.topics().committed(GROUP, [PLACE]).get(PLACE)
        return None if found is None else found.offset

    @property
    def letters(self):
        found, _ = self.broker.log(replace(PLACE, topic=LETTERS.topic)).read(0, 100)
        decoded = [dead_letter.decode(one.key, one.value, one.headers) for one in found]
        return [(letter.offset, letter.error_class, letter.value) for letter in decoded]

    @property
    def live(self):
        return live_texts(self.index)

    def counted(self, family, **labels):
        return self.metrics.registry.get_sample_value(f"embedstream_{family}_total", labels) or 0
