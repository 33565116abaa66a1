"""Processes: a chunker, an embedder, a purge, each made of production code and run as tasks of the scheduler.

A process can be killed (it is never resumed, and stays a member of its group until it is evicted), stopped as by
SIGSTOP (a *zombie*, once others have its partitions: it goes on later as if nothing had happened), told to end, or
evicted while it runs. Whatever ends it by itself is looked at: only a chunker that was fenced may stop as Fatal.
"""

from contextlib import contextmanager, nullcontext

from simulation.deployment import CHUNKS, INDEX, LETTERS, SOURCE
from simulation.network import Fate, OpenedCatalog, UnreliableBus, UnreliableIndex
from simulation.scheduler import Event

from consumers.chunker import Chunker, ChunkerParts
from consumers.copying import Copies
from consumers.embedder import Embedder, EmbedderParts
from consumers.lineage_watch import LineageWatch, current_lineages
from consumers.opening import open_for_writing
from consumers.pipeline import Pipeline, PipelineParts
from consumers.stages import ShrinkingEncoder
from consumers.workload import Workload
from operations.purge.purging import Purging, Surroundings
from stream.errors import Fatal, Outage

PLAN_MAX_AGE_S = 1_800.0
GRACE_S = 3_600.0


class Process:
    """``state`` is running, stopped, dead or ended."""

    def __init__(self, world, name, pair):
        self.world, self.name, self.pair = world, name, pair
        self.laws = world.laws
        self.state, self.tasks, self.consumer = "running", [], None
        self.stopping = Event(world.scheduler)
        self._main = world.scheduler.spawn(self, name, self.run)

    def __repr__(self):
        return f"{self.name}:{self.state}"

    @property
    def runs(self):
        return self.state == "running"

    @property
    def alive(self):
        return self.state in ("running", "stopped")

    @property
    def idle(self):
        """Whether it has nothing to do that a drain has to wait for."""
        return True

    @property
    def is_member(self):
        return self.consumer is not None and self.consumer.group.has(self.consumer.member)

    def kill(self):
        self.state = "dead"
        self.world.scheduler.forget(self)

    def ended(self, task):
        """One of its tasks is over; by itself it ends only as it should."""
        if task is self._main:
            self.state = "ended"
            self.world.scheduler.forget(self)
        if task.outcome is not None and not self.may_end_with(task.outcome):
            raise task.outcome

    def may_end_with(self, error):
        del error
        return False

    # --- outside effects ---

    def reach(self, effect, until=None):
        """The process stands before an effect; anybody else may run, and it may be for ever. ``until``: it waits for
        that first, as long as it has time.
        """
        self.world.scheduler.pause(until, timed=until is not None)
        fate = self.world.fate(effect)
        if self.world.trace is not None:
            self.world.note(f"{self.name} {effect}{'' if fate is Fate.HAPPENS else f' {fate.name}'}")
        return fate

    def step(self, effect):
        if self.reach(effect) is not Fate.HAPPENS:
            raise Outage(f"Nobody answers ({effect}).")

    def later(self, late):
        self.world.late.append(late)

    @contextmanager
    def writing(self):
        """While a request to the index is under way."""
        task = self.world.scheduler.current
        task.writing = True
        try:
            yield
        finally:
            task.writing = False


class ChunkerProcess(Process):
    def __init__(self, world, pair, slot):
        self.slot = slot
        super().__init__(world, f"chunker-{pair.chunkers}-{slot}.{world.number()}", pair)

    def run(self):
        world, pair = self.world, self.pair
        bus = UnreliableBus(world.broker, self)
        watch = LineageWatch(
            bus.topics(), pair.chunker_group, {SOURCE.topic: SOURCE.name}, pair.accepted, CHUNKS.name, 30.0
        )
        watch.start()
        chunker = Chunker(
            ChunkerParts(
                sources={SOURCE.topic: SOURCE},
                heartbeats={},
                fingerprints=pair.accepted,
                cutter=pair.cutter,
                chunks=CHUNKS,
                letterbox=LETTERS,
                lineage=watch,
                metrics=world.metrics,
                clock=world.clock,
            )
        )
        self.consumer = bus.consumer(pair.chunker_group, [SOURCE.topic], chunker)
        producer = bus.transactional_producer(f"{pair.chunker_group}.{self.slot}", self.consumer)
        try:
            chunker.run(self.consumer, producer, self.stopping, world.poll_records)
        finally:
            self.consumer.close()

    def may_end_with(self, error):
        return isinstance(error, Fatal) and "took over the id" in str(error)


class EmbedderProcess(Process):
    def __init__(self, world, pair):
        self.workload = None
        super().__init__(world, f"embedder-{pair.name}.{world.number()}", pair)

    @property
    def idle(self):
        return self.workload is None or self.workload.idle

    def run(self):
        world, pair = self.world, self.pair
        bus = UnreliableBus(world.broker, self)
        admission = self._opened(bus)
        threads = world.scheduler.threads(self)
        self.workload = Workload(threads)
        index = UnreliableIndex(world.tables[pair], self)
        replaced = pair.replaces and UnreliableIndex(world.tables[pair.replaces], self)
        watched = self.laws.watched_encoder(pair, world.encoders[pair], index, replaced)
        shared = {
            "index": index,
            "producer": bus.producer(),
            "letterbox": LETTERS,
            "metrics": world.metrics,
            "clock": world.clock,
        }
        pipeline = Pipeline(
            PipelineParts(
                collection=pair.collection,
                encoder=ShrinkingEncoder(watched, lambda: None),
                fit_title=pair.cutter.embedded_title,
                store_text=True,
                batch_tokens=world.batch_tokens,
                plan_max_age_s=PLAN_MAX_AGE_S,
                copies=replaced and Copies(OpenedCatalog(replaced), pair.replaces.collection),
                **shared,
            ),
            self.workload,
            threads,
        )
        embedder = Embedder(
            EmbedderParts(
                admission=admission,
                backlog_tokens=world.backlog_tokens,
                flush_interval_s=world.flush_interval_s,
                drain_deadline_s=1e9,
                **shared,
            ),
            self.workload,
        )
        self.consumer = bus.consumer(pair.embedder_group, [CHUNKS.name], embedder)
        try:
            embedder.run(self.consumer, pipeline, self.stopping, world.poll_records, 0.0)
        finally:
            self.consumer.close()

    def _opened(self, bus):
        """The collection is opened as in production by the first embedder of a pair, and found open by the others."""
        world, pair = self.world, self.pair
        if pair not in world.admissions:
            lineage = current_lineages(bus.topics(), {SOURCE.topic: SOURCE.name}, CHUNKS.name)
            opened = open_for_writing(
                world.catalog, INDEX, 1, pair.contract, lineage, SOURCE.fields, world.encoders[pair]
            )
            world.admissions[pair] = opened.admission
            world.tables[pair] = world.laws.watched(pair, world.catalog._collection(opened.name).table)
        return world.admissions[pair]


class PurgeProcess(Process):
    """One run of DESIGN 5's purge; killed, it is begun anew by somebody else."""

    def __init__(self, world, pair):
        super().__init__(world, f"purge-{pair.name}.{world.number()}", pair)

    def run(self):
        world, pair = self.world, self.pair
        around = Surroundings(
            collection=pair.collection,
            opened=lambda: nullcontext(UnreliableIndex(world.tables[pair], self)),
            accepted=frozenset(world.admissions[pair].sources),
            topics=UnreliableBus(world.broker, self).topics(),
            chunk_topic=CHUNKS.name,
            group=pair.embedder_group,
            grace_s=GRACE_S,
            now_s=world.clock.monotonic,
            patience=lambda condition: world.scheduler.pause(condition) or True,
        )
        Purging(around).run()

    def may_end_with(self, error):
        return isinstance(error, Outage)
