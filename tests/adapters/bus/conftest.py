"""The worlds on which the laws of the bus are tested: memory, and a real broker with each group protocol.

A world opens buses and does what only a broker, an operator or time can do: delete a topic, remove old records, kill
a producer in the middle of its transaction, let a transaction time out. Everything opened is closed at the end.
"""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.kafka.bus import KafkaBus
from adapters.kafka.groups import KafkaGroups
from adapters.memory.bus import MemoryBroker, MemoryBus, MemoryGroups
from stream.ports import Bus, Committed, Groups, Outgoing, Partition, Polled, Record, Step, no_step

ROOT = Path(__file__).parents[3]


class Crash(Exception):
    """What a memory world's process dies of."""


class Reader:
    """A member of a group that remembers what it was told and what it read."""

    def __init__(self, bus: Bus, group: str, topics: Sequence[str]) -> None:
        self.told: list[tuple[str, tuple[Partition, ...]]] = []
        self.committed: dict[Partition, Committed] = {}
        self.mine: set[Partition] = set()
        self.records: list[Record] = []
        self.ends: dict[Partition, int] = {}
        self.polls = 0
        self.when_revoked: Callable[[Sequence[Partition]], None] = lambda _partitions: None
        self.when_assigned: Callable[[Sequence[Partition]], None] = lambda _partitions: None
        self.consumer = bus.consumer(group, topics, self)

    def on_assigned(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        self.told.append(("assigned", tuple(partitions)))
        self.mine.update(partitions)
        self.committed.update(committed)
        self.when_assigned(partitions)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        self.told.append(("revoked", tuple(partitions)))
        self.when_revoked(partitions)
        self.mine.difference_update(partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        self.told.append(("lost", tuple(partitions)))
        self.mine.difference_update(partitions)

    def poll(self, max_records: int = 500, timeout_s: float = 0.05) -> Polled:
        polled = self.consumer.poll(max_records, timeout_s)
        self.polls += 1
        self.records.extend(polled.records)
        for record in polled.records:
            self.ends.pop(record.partition, None)
        self.ends.update(polled.ends)
        return polled

    def until(self, condition: Callable[[], Any], what: str, deadline_s: float = 60) -> None:
        read_together([self], condition, what, deadline_s)

    def until_values(self, values: Sequence[bytes | None]) -> None:
        self.until(lambda: len(self.records) >= len(values), f"{len(values)} records")
        assert self.values == list(values)

    def until_end(self, partition: Partition) -> int:
        self.until(lambda: partition in self.ends, "the end of the partition")
        return self.ends[partition]

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]

    @property
    def offsets(self) -> list[int]:
        return [record.offset for record in self.records]

    def kinds(self) -> list[str]:
        return [kind for kind, _partitions in self.told]


def read_together(readers: Sequence[Reader], condition: Callable[[], Any], what: str, deadline_s: float = 60) -> None:
    """Polls all of them in turn until the condition holds."""
    give_up = time.monotonic() + deadline_s
    while not condition():
        for reader in readers:
            reader.poll()
        if time.monotonic() > give_up:
            told = [(reader.told, reader.values[-5:], reader.ends) for reader in readers]
            pytest.fail(f"waited {deadline_s:g} s in vain for {what}; the readers saw {told}")


class World:
    """What both worlds share. ``name`` makes names that no other test uses."""

    def __init__(self, name: Callable[..., str]) -> None:
        self.name = name
        self._close: list[Callable[[], None]] = []

    def bus(self, *, step: Step = no_step, poll_within_ms: int = 300_000) -> Bus:
        raise NotImplementedError

    def reader(self, topics: str | Sequence[str], group: str = "", bus: Bus | None = None) -> Reader:
        names = [topics] if isinstance(topics, str) else list(topics)
        reader = Reader(bus or self.bus(), group or self.name("group"), names)
        self._close.append(reader.consumer.close)
        return reader

    def transactional(self, reader: Reader, transactional_id: str, bus: Bus | None = None, **more: Any) -> Any:
        producer = (bus or self.bus()).transactional_producer(transactional_id, reader.consumer, **more)
        self._close.append(producer.close)
        return producer

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None, name: str = "") -> str:
        name = name or self.name("topic")
        self.bus().topics().create(name, partitions, 1, config or {})
        return name

    def write(self, topic: str, *values: bytes | None, number: int = 0) -> None:
        producer = self.bus().producer()
        producer.send([Outgoing(Partition(topic, number), b"key", value) for value in values])
        producer.close()

    def close(self) -> None:
        for close in reversed(self._close):
            with suppress(Exception):
                close()


class MemoryWorld(World):
    kind = "memory"

    def __init__(self, name: Callable[..., str]) -> None:
        super().__init__(name)
        self.broker = MemoryBroker()

    def bus(self, *, step: Step = no_step, poll_within_ms: int = 300_000) -> Bus:
        return MemoryBus(self.broker, step=step)

    def groups(self) -> Groups:
        return MemoryGroups(self.broker)

    def delete(self, topic: str) -> None:
        self.broker.delete_topic(topic)

    def truncate(self, partition: Partition, before: int) -> None:
        self.broker.truncate(partition, before)

    def stall(self, reader: Reader) -> None:
        reader.consumer.evict()

    def expire(self, topic: str) -> None:
        self.broker.expire_transactions()

    def die_in_transaction(
        self,
        transactional_id: str,
        topic: str,
        values: Sequence[bytes],
        group: str = "",
        offsets: Mapping[Partition, int] | None = None,
        timeout_ms: int = 60_000,
    ) -> None:
        def step(name: str) -> None:
            if name == "commit transaction":
                raise Crash

        bus = self.bus(step=step)
        reader = Reader(bus, group or self.name("group"), [topic])
        producer = bus.transactional_producer(transactional_id, reader.consumer)
        records = [Outgoing(Partition(topic, 0), b"key", value) for value in values]
        with pytest.raises(Crash):
            producer.transact(records, {place: Committed(offset) for place, offset in (offsets or {}).items()})
        reader.consumer.evict()


class KafkaWorld(World):
    def __init__(self, name: Callable[..., str], address: str, protocol: str) -> None:
        super().__init__(name)
        self.kind = protocol
        self.address = address

    def given(self, poll_within_ms: int = 300_000) -> dict[str, str | int]:
        given: dict[str, str | int] = {
            "bootstrap.servers": self.address,
            "group.protocol": self.kind,
            "max.poll.interval.ms": poll_within_ms,
        }
        return given | ({"session.timeout.ms": 6000} if self.kind == "classic" else {})

    def bus(self, *, step: Step = no_step, poll_within_ms: int = 300_000) -> Bus:
        return KafkaBus(self.given(poll_within_ms), step=step)

    def groups(self) -> Groups:
        return KafkaGroups(self.given())

    def delete(self, topic: str) -> None:
        admin = self._admin()  # it must outlive its answers
        admin.delete_topics([topic])[topic].result()
        give_up = time.monotonic() + 20
        while self.bus().topics().describe([topic]):
            assert time.monotonic() < give_up, "the topic is still there"

    def truncate(self, partition: Partition, before: int) -> None:
        from confluent_kafka import TopicPartition

        place = TopicPartition(partition.topic, partition.number, before)
        admin = self._admin()
        for future in admin.delete_records([place]).values():
            future.result()

    def stall(self, reader: Reader) -> None:
        """Whoever does not poll is evicted after ``poll_within_ms``: nothing to do but not to poll."""

    def expire(self, topic: str) -> None:
        """The broker looks for transactions to end every ten seconds."""
        topics, place, give_up = self.bus().topics(), Partition(topic, 0), time.monotonic() + 40
        before = topics.ends(topic)[place]
        while topics.ends(topic)[place] == before:
            assert time.monotonic() < give_up, "the transaction did not time out"

    def die_in_transaction(
        self,
        transactional_id: str,
        topic: str,
        values: Sequence[bytes],
        group: str = "",
        offsets: Mapping[Partition, int] | None = None,
        timeout_ms: int = 60_000,
    ) -> None:
        script = f"""
            import os, signal, time
            from adapters.kafka.bus import KafkaBus
            from stream.ports import Committed, Outgoing, Partition

            class Owner:
                mine = ()
                def on_assigned(self, partitions, committed): self.mine = partitions
                def on_revoked(self, partitions): pass
                def on_lost(self, partitions): pass

            def step(name):
                if name == "commit transaction":
                    while bus.topics().ends({topic!r}) == ends and time.monotonic() < flushed:
                        producer._client.poll(0.05)
                    os.kill(os.getpid(), signal.SIGKILL)

            owner, bus = Owner(), KafkaBus({self.given()!r}, step=step)
            consumer = bus.consumer({group or self.name("group")!r}, [{topic!r}], owner)
            while not owner.mine:
                consumer.poll(1, 0.1)
            producer = bus.transactional_producer({transactional_id!r}, consumer, timeout_ms={timeout_ms})
            ends, flushed = bus.topics().ends({topic!r}), time.monotonic() + 1
            offsets = {{Partition(*place): Committed(offset) for place, offset in {self._places(offsets)!r}}}
            place = Partition({topic!r}, 0)
            producer.transact([Outgoing(place, b"key", value) for value in {list(values)!r}], offsets)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -9, done.stderr.decode()

    @staticmethod
    def _places(offsets: Mapping[Partition, int] | None) -> list[tuple[tuple[str, int], int]]:
        return [((place.topic, place.number), offset) for place, offset in (offsets or {}).items()]

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.address})


def _world(request: pytest.FixtureRequest, name: Callable[..., str]) -> Iterator[World]:
    if request.param == "memory":
        world: World = MemoryWorld(name)
    else:
        world = KafkaWorld(name, request.getfixturevalue("kafka"), request.param)
    yield world
    world.close()


_CONSUMER = pytest.param("consumer", marks=pytest.mark.kafka)
_CLASSIC = pytest.param("classic", marks=pytest.mark.kafka)


@pytest.fixture(params=["memory", _CONSUMER])
def world(request: pytest.FixtureRequest, unique_name: Callable[..., str]) -> Iterator[World]:
    """Memory, and Kafka with its own group protocol."""
    yield from _world(request, unique_name)


@pytest.fixture(params=["memory", _CONSUMER, _CLASSIC])
def group_world(request: pytest.FixtureRequest, unique_name: Callable[..., str]) -> Iterator[World]:
    """The same with the classic group protocol beside it: for laws in which the group matters."""
    yield from _world(request, unique_name)


@pytest.fixture
def together() -> Callable[..., None]:
    """``together(readers, condition, what)`` polls several readers in turn."""
    return read_together
