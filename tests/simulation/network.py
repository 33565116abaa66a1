"""What lies between a process and the bus and index in memory: requests that fail, and requests that land later.

These adapters stand in for those of Kafka and Qdrant. Before every single effect the process stands still
(``Process.reach``), so that it can be killed, stopped or overtaken there, and then the effect's fate is known:

    HAPPENS   it takes place now
    FAILS     the caller hears of an outage; nothing more of the request takes place
    LATER     the caller hears of an outage; the rest of the request is carried out at any later time, write by write,
              each under its condition at that moment, or is lost on the way from some write on

Nothing is decided here about documents: every effect is the shipped adapter's own.
"""

import threading
from dataclasses import dataclass
from enum import Enum

from stored_state import singles

from adapters.admission import admit
from adapters.memory.bus import MemoryBus, MemoryProducer
from adapters.memory.consumer import MemoryConsumer
from adapters.memory.index import MemoryIndex
from stream.errors import Outage


class Fate(Enum):
    HAPPENS = 1
    FAILS = 2
    LATER = 3


class Late:
    """A request under way of which its caller gave up hope."""

    def __init__(self, name, effects):
        self.name, self.effects = name, list(effects)

    def land(self):
        """The next effect of it takes place. True where none is left."""
        self.effects.pop(0)()
        return not self.effects


class Changes(threading.Condition):
    """A broker's lock that counts what happened."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def notify_all(self):
        self.count += 1


class UnreliableBus(MemoryBus):
    """One process's view of the broker."""

    def __init__(self, broker, process):
        super().__init__(broker, step=process.step)
        self._process = process

    def consumer(self, group, topics, assignment):
        return UnreliableConsumer(self._broker, group, topics, assignment, self._process)

    def producer(self):
        return UnreliableProducer(self._broker, self._process)


class UnreliableConsumer(MemoryConsumer):
    def __init__(self, broker, group, topics, assignment, process):
        super().__init__(broker, group, topics, assignment)
        self._process = process
        self._commits = 0
        self._nothing_since = None

    def poll(self, max_records, timeout_s):
        """Waits for anything to happen at the broker, or for its time to be over."""
        del timeout_s
        changed = self._broker.changed
        if self._process.reach("poll", lambda: changed.count != self._nothing_since) is not Fate.HAPPENS:
            raise Outage("The broker does not answer.")
        seen = changed.count
        polled = super().poll(max_records, 0.0)
        self._nothing_since = None if polled.records else seen
        return polled

    def commit(self, offsets):
        if not any(partition in self._positions for partition in offsets):
            return ()
        fate = self._process.reach("commit offsets")
        self._commits += 1
        member, number = self.member, self._commits

        def land():
            # A coordinator carries out the commits of a member in order: this one, or a later one before it.
            if number != self._commits:
                return
            held = {place: at for place, at in offsets.items() if self.group.holds(member, place)}
            self.group.committed.update(held)

        if fate is Fate.LATER:
            self._process.later(Late("commit offsets", [land]))
        if fate is not Fate.HAPPENS:
            raise Outage("The coordinator did not answer.")
        return super().commit(offsets)


class UnreliableProducer(MemoryProducer):
    def __init__(self, broker, process):
        super().__init__(broker)
        self._process = process

    def send(self, records):
        for record in records:
            fate = self._process.reach(f"produce {record.partition.topic}")
            if fate is Fate.LATER:
                self._process.later(Late("produce", [lambda record=record: self._broker.append(record)]))
            if fate is not Fate.HAPPENS:
                raise Outage("The broker did not acknowledge.")
            super().send([record])


@dataclass(frozen=True)
class OpenedCatalog:
    """Of one collection, opened by one process."""

    index: "UnreliableIndex"

    def open(self, _name):
        return self.index


class UnreliableIndex:
    """One process's view of a collection: ``VectorIndex`` as far as an embedder uses it."""

    def __init__(self, table, process):
        self._table = table
        self._inner = MemoryIndex(table)
        self._process = process
        self.found_live = {}
        """Document → the ids that were live when this process last looked, for the law against waste."""
        self.points_live = {}
        """Id → whether that point was live when this process last asked for it."""

    def read(self, documents):
        self._process.step("index.read")
        stored = self._inner.read(documents)
        for document, points in stored.items():
            self.found_live[document] = {point.id for point in points if point.state == "live"}
        # The answer is on its way while others write.
        self._process.step("index.read answered")
        return stored

    def write(self, writes):
        whole = singles(admit(writes, self._table.vector))
        with self._process.writing():
            for number, write in enumerate(whole):
                fate = self._process.reach(f"index.{type(write).__name__.lower()}")
                if fate is Fate.LATER:
                    rest = [lambda write=write: self._table.apply(write) for write in whole[number:]]
                    self._process.later(Late("index.write", rest))
                if fate is not Fate.HAPPENS:
                    raise Outage("The index did not answer.")
                self._table.apply(write)
            self._process.step("index.write answered")

    def flush(self):
        self._process.step("index.flush")
        self._table.watch.unflushed.clear()

    def marks(self):
        listed = tuple(self._inner.marks())
        self._process.step("index.marks answered")
        return iter(listed)

    def discard(self, marks):
        for mark in marks:
            self._process.step("index.discard")
            self._inner.discard([mark])

    def points(self, ids, *, with_vectors=False):
        self._process.step("index.points")
        found = self._inner.points(ids, with_vectors=with_vectors)
        self.points_live.update(dict.fromkeys(ids, False))
        self.points_live.update({point.id: point.payload["state"] == "live" for point in found})
        self._process.step("index.points answered")
        return found

    def scroll(self, *, with_vectors=False):
        return self._inner.scroll(with_vectors=with_vectors)

    def count(self, state=None):
        return self._inner.count(state)
