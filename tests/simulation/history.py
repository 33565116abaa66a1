"""One history: a seed decides what happens, who runs next and what breaks; in the end every law is asked for.

Most of a history's steps let some task run up to its next effect. The others are events of the world: rows, crashes,
stops, rebalances, outages, operators, hours and days. Which kinds of events a history has at all is drawn first, so
that some search deep in two kinds of trouble and others mix all of them.

Time passes by itself in small steps. A *leap* of an hour (a grace) or a day (compaction's minimum lag) first brings
to an end whatever is on its way to the index: the protocol rests on no write being under way for longer than half the
grace. Who was stopped stays so, and finds its plans too old.
"""

import random
from dataclasses import dataclass

from simulation import operators
from simulation.deployment import (
    CHUNKS,
    FIRST,
    LETTERS,
    OTHER_CHUNKS,
    PARTITIONS,
    RECUT,
    SAME_CHUNKS,
    SOURCE,
    Encoder,
)
from simulation.eager_group import EagerGroup
from simulation.events import Events
from simulation.laws import Laws, Violation
from simulation.network import Changes, Fate
from simulation.process import ChunkerProcess, EmbedderProcess
from simulation.rows import Rows
from simulation.scheduler import Scheduler

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.memory.index import MemoryCatalog, MemoryIndex
from adapters.metrics import Metrics
from stream.ports import Partition

_METRICS = Metrics()
"""They decide nothing, and making them anew would be half of a history's time."""
_MIB = {"max.message.bytes": str(1 << 20)}
_TROUBLES = {
    "kill": 0.6,
    "stop": 0.6,
    "members": 0.6,
    "eager": 0.3,
    "evict": 0.4,
    "failures": 0.4,
    "late": 0.5,
    "away": 0.3,
    "rewind": 0.4,
    "garbage": 0.3,
    "venom": 0.4,
    "repair": 0.4,
    "damage": 0.4,
    "purge": 0.5,
    "compaction": 0.4,
    "same-chunks": 0.2,
    "other-chunks": 0.15,
    "transactions": 0.3,
    "queries": 0.2,
}
"""How often a history knows each kind."""
_LONGEST_DRAIN = 2000


@dataclass
class Clock:
    seconds: float = 1_000_000.0

    def now_ms(self):
        return int(self.seconds * 1_000)

    def monotonic(self):
        return self.seconds


class History(Events):
    """``trace`` collects what happened, for :mod:`simulation.replay`."""

    def __init__(self, seed, trace=None):
        self.seed, self.trace = seed, trace
        self.rng = rng = random.Random(seed)
        self.has = {name for name, often in _TROUBLES.items() if rng.random() < often}
        self.clock = Clock()
        self.metrics = _METRICS
        self.scheduler = Scheduler(rng)
        self.broker = MemoryBroker(self.clock.now_ms)
        self.broker.changed = Changes()
        self.bus = MemoryBus(self.broker)
        self.catalog = MemoryCatalog()
        self.rows = Rows(self.broker, rng, keys=rng.choice((1, 1, 2, 3)), venom="venom" in self.has)
        self.pairs = [FIRST, *self._other_pairs()]
        self.encoders = {pair: Encoder(pair.model) for pair in self.pairs}
        self.admissions, self.tables = {}, {}
        self.groups = [
            *((pair, pair.chunker_group, SOURCE.topic) for pair in self.pairs if pair is not SAME_CHUNKS),
            *((pair, pair.embedder_group, CHUNKS.name) for pair in self.pairs),
        ]
        self.places = [Partition(CHUNKS.name, number) for number in range(PARTITIONS)] + [Partition(LETTERS.topic, 0)]
        self.laws = Laws(self)
        self.processes, self.late = [], []
        self.to_repair = set()
        self.begun = []
        self.index_away = self.redriven = False
        self.calm = True
        self.fails = rng.choice((0.02, 0.06, 0.15)) if "failures" in self.has else 0.0
        self.lands_later = rng.choice((0.03, 0.1, 0.25)) if "late" in self.has else 0.0
        self.poll_records = rng.choice((1, 2, 5))
        self.batch_tokens = rng.choice((1, 5, 1_000))
        self.backlog_tokens = rng.choice((2, 1_000))
        self.flush_interval_s = rng.choice((0.0, 1.0, 5.0))
        self._writes = rng.randint(5, 16)
        self.haste = rng.choice((0.03, 0.06, 0.12))
        self._numbers = 0
        self.searcher = operators.Searcher(self)

    def _other_pairs(self):
        others = [pair for pair in (SAME_CHUNKS, OTHER_CHUNKS) if pair.name in self.has]
        # By dice of its own: what else a seed decides stays as it was.
        recut = random.Random(f"recut {self.seed}").random() < 0.5
        return [RECUT if recut and pair is OTHER_CHUNKS else pair for pair in others]

    # --- what its processes ask ---

    def number(self):
        self._numbers += 1
        return self._numbers

    def fate(self, effect):
        """Calm weather never fails. What opens or aborts is left alone: it fails by its process being killed."""
        if self.calm:
            return Fate.HAPPENS
        if self.index_away and effect.startswith("index"):
            return Fate.FAILS
        if effect in ("abort transaction", "open transactional producer"):
            return Fate.HAPPENS
        drawn = self.rng.random() if self.fails or self.lands_later else 1.0
        if drawn < self.fails:
            return Fate.FAILS
        return Fate.LATER if drawn < self.fails + self.lands_later else Fate.HAPPENS

    def note(self, sentence):
        if self.trace is not None:
            self.trace.append(f"{self.scheduler.resumed:5} {sentence}")

    def index(self, pair):
        return MemoryIndex(self.tables[pair])

    def stored(self, pair):
        table = self.tables[pair]
        inner = MemoryIndex(table)
        return [inner._stored(point) for point in table.ids()]

    # --- the history ---

    def run(self):
        """Raises :class:`Violation`, or whatever a process died of."""
        try:
            self._set_up()
            self.calm = False
            while self._writes:
                self._move()
            for _ in range(self.rng.randint(0, 120)):
                self._move()
            self._end()
        finally:
            self.scheduler.close(self.processes)

    def _set_up(self):
        for name in (SOURCE.topic, CHUNKS.name):
            self.broker.create_topic(name, PARTITIONS, _MIB)
        self.broker.create_topic(LETTERS.topic, 1, _MIB)
        if "eager" in self.has:
            self.broker._groups.update({group: EagerGroup() for _, group, _ in self.groups})
        self._begin(FIRST)

    def _begin(self, pair):
        """Its processes start; beside another index that is searched an operator made the collection."""
        if pair is not FIRST:
            operators.create_beside(self, pair)
        self.begun.append(pair)
        self._start_chunker(pair)
        self._start_embedder(pair)

    def _move(self):
        self.clock.seconds += 0.1
        if self.rng.random() >= self.haste and self.scheduler.turn():
            self.laws.look()
            return
        events = self._events()
        if events:
            chosen = self.rng.choices([event for event, _ in events], [weight for _, weight in events])[0]
            self.note(f"-- {chosen.__name__.strip('_')}")
            chosen()
        self.laws.look()

    def _events(self):
        """What may happen, with its weight."""
        has = self.has
        events = [(self._write, 8.0)] if self._writes else []
        events += [(self.rows.rewind, 1.0)] if "rewind" in has else []
        events += [(self.rows.write_garbage, 1.0)] if "garbage" in has else []
        events += [(self._kill, 1.5), (self._start, 2.0)] if "kill" in has else []
        events += [(self._stop, 2.0), (self._continue, 1.0)] if "stop" in has else []
        events += [(self._start, 1.0), (self._tell_to_end, 1.0)] if "members" in has else []
        events += [(self._evict, 1.0)] if "evict" in has else []
        events += [(self._evict_silent, 2.5)] if has & {"kill", "stop"} else []
        events += [(self._land, 3.0)] if self.late else []
        events += [(self._turn_away, 1.0)] if "away" in has else []
        events += [(self.broker.expire_transactions, 0.7)] if "transactions" in has else []
        events += [(self._redrive, 1.5), (self._cure, 0.4)] if "venom" in has else []
        if FIRST in self.tables:
            events += [(self._begin_next, 1.0), (self._cut_over, 3.0)] if len(self.pairs) > 1 else []
            events += [(self._repair, 1.0)] if "repair" in has else []
            events += [(self._damage, 1.0)] if "damage" in has else []
            events += [(self._repair_damage, 4.0)] if self.to_repair else []
            events += [(self._purge, 1.0), (self._hour, 1.0)] if "purge" in has else []
            events += [(self._day, 0.7)] if "compaction" in has else []
            events += [(self.searcher.query, 1.0)] if "queries" in has else []
        return events

    # --- the end ---

    def _end(self):
        """Drained, every law holds; and again once whoever was stopped has done the rest of it, and once what could
        not be embedded was cured, redriven and repaired.
        """
        self.calm, self.index_away = True, False
        if len(self.begun) < len(self.pairs):
            self._drain()
        while len(self.begun) < len(self.pairs):
            self._begin_next()
        stopped = any(process.state == "stopped" for process in self.processes)
        if (stopped or self.late) and self.rng.random() < 0.5:
            self._drain()
            self._check()
        for process in self.processes:
            if process.state == "stopped":
                process.state = "running"
        while self.late:
            self._land()
        self._drain()
        self._check()
        operators.cut_over(self)
        letters = [(pair, kept) for pair in self.begun for kept in operators.letters_of(self, pair)]
        if letters or self.to_repair:
            self._cure()
            self.redriven = True
            for pair, kept in letters:
                operators.redrive(self, pair, kept)
            for pair, document in sorted(self.to_repair, key=str):
                operators.repair(self, pair, document)
            self._drain()
            self._check()

    def _drain(self):
        """Until all that was written is applied and committed, by processes that nothing happens to any more."""
        self.note("-- drain")
        for process in self.processes:
            if process.state in ("dead", "stopped") and process.is_member:
                process.consumer.evict()
        self.broker.expire_transactions()
        self._revive()
        quiet = 0
        for _ in range(_LONGEST_DRAIN):
            self.clock.seconds += 1.0
            busy = self.scheduler.round()
            self.laws.look()
            if not busy:
                self._revive()
            quiet = quiet + 1 if not busy and self._still() else 0
            if quiet == 2:
                return
        raise Violation(f"convergence: it never drains; {self.processes} are left")

    def _revive(self):
        for pair in self.begun:
            self._ensure(ChunkerProcess, FIRST if pair is SAME_CHUNKS else pair)
            self._ensure(EmbedderProcess, pair)

    def _ensure(self, kind, pair):
        if not any(isinstance(process, kind) and process.pair is pair and process.runs for process in self.processes):
            (self._start_chunker if kind is ChunkerProcess else self._start_embedder)(pair)

    def _still(self):
        return all(process.idle for process in self.processes if process.runs) and all(
            pair in self.tables and operators.caught_up(self, pair) for pair in self.begun
        )

    def _check(self):
        for pair in self.begun:
            damaged = {document for of, document in self.to_repair if of is pair}
            uncured = set() if self.redriven else self.laws.venomous
            self.laws.check_settled(pair, leave_out=damaged | uncured)
