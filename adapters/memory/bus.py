"""The bus in memory: clients of a ``MemoryBroker`` behind the ports, for tests, examples and the simulation.

They obey the laws of ``stream.ports`` as the Kafka clients do; one suite runs on both. A ``MemoryBus`` is the view of
one process: its ``step`` hook is called, outside every lock, before each effect. What the hook raises stands for what
happens to that process: an error of ``stream.errors`` is handled as if the broker had sent it, anything else is a
crash, which leaves an open transaction open and a member in its group.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from adapters.memory.broker import Expired, MemoryBroker
from adapters.memory.consumer import MemoryConsumer
from stream.errors import EmbedstreamError, Fatal, Misuse
from stream.ports import Assignment, Committed, Consumer, Outgoing, Partition, Step, TopicInfo, no_step

__all__ = [
    "MemoryBroker",
    "MemoryBus",
    "MemoryConsumer",
    "MemoryGroups",
    "MemoryProducer",
    "MemoryTopics",
    "MemoryTransactionalProducer",
]


class MemoryBus:
    """See ``stream.ports.Bus``."""

    def __init__(self, broker: MemoryBroker, *, step: Step = no_step) -> None:
        self._broker = broker
        self._step = step

    def consumer(self, group: str, topics: Sequence[str], assignment: Assignment) -> "MemoryConsumer":
        """Joins the group."""
        return MemoryConsumer(self._broker, group, topics, assignment, step=self._step)

    def producer(self) -> "MemoryProducer":
        """For records outside a transaction."""
        return MemoryProducer(self._broker, step=self._step)

    def transactional_producer(
        self, transactional_id: str, consumer: Consumer, *, timeout_ms: int = 10_000
    ) -> "MemoryTransactionalProducer":
        """Fences the predecessor under this id. Time-outs come when the broker is told so."""
        del timeout_ms
        if not isinstance(consumer, MemoryConsumer):
            raise Misuse("A transaction in memory carries the offsets of a consumer in memory.")
        return MemoryTransactionalProducer(self._broker, transactional_id, consumer, step=self._step)

    def topics(self) -> "MemoryTopics":
        """The administrator's view."""
        return MemoryTopics(self._broker, step=self._step)


class MemoryProducer:
    """See ``stream.ports.Producer``."""

    def __init__(self, broker: MemoryBroker, *, step: Step = no_step) -> None:
        self._broker = broker
        self._step = step

    def send(self, records: Sequence[Outgoing]) -> None:
        """See the port."""
        for record in records:
            self._step(f"produce {record.partition.topic}")
            self._broker.append(record)

    def close(self) -> None:
        """Nothing is kept open."""


class MemoryTransactionalProducer:
    """See ``stream.ports.TransactionalProducer``."""

    def __init__(
        self, broker: MemoryBroker, transactional_id: str, consumer: MemoryConsumer, *, step: Step = no_step
    ) -> None:
        self._broker = broker
        self._id = transactional_id
        self._consumer = consumer
        self._step = step
        self._epoch: int | None = self._opened()

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[Partition, Committed]) -> None:
        """See the port."""
        epoch = self._epoch = self._opened() if self._epoch is None else self._epoch
        try:
            self._step("begin transaction")
            for record in records:
                self._step(f"produce {record.partition.topic}")
                self._broker.append_in_transaction(self._id, epoch, record)
            if offsets:
                self._step("send offsets")
                consumer = self._consumer
                self._broker.offsets_in_transaction(self._id, epoch, consumer.group, consumer.member, offsets)
            self._step("commit transaction")
            self._broker.end_transaction(self._id, epoch, committed=True)
        except Expired:
            self._epoch = None
            raise
        except EmbedstreamError:
            self._step("abort transaction")
            with suppress(Fatal, Expired):  # whoever fenced this one has ended it already
                self._broker.end_transaction(self._id, epoch, committed=False)
            raise

    def close(self) -> None:
        """Nothing is open between calls of ``transact``."""

    def _opened(self) -> int:
        self._step("open transactional producer")
        return self._broker.open_transactional(self._id)


class MemoryGroups:
    """See ``stream.ports.Groups``."""

    def __init__(self, broker: MemoryBroker, *, step: Step = no_step) -> None:
        self._broker = broker
        self._step = step

    def members(self, group: str) -> int:
        with self._broker.changed:
            return self._broker.group(group).size

    def delete(self, group: str) -> bool:
        self._step(f"delete group {group}")
        return self._broker.delete_group(group)


class MemoryTopics:
    """See ``stream.ports.Topics``."""

    def __init__(self, broker: MemoryBroker, *, step: Step = no_step) -> None:
        self._broker = broker
        self._step = step

    def describe(self, names: Sequence[str], *, settings: bool = False) -> Mapping[str, TopicInfo]:
        """See the port. ``config`` then is what the topic was created with."""
        found = {name: self._broker.topic(name) for name in names}
        return {
            name: info if settings else replace(info, config={}) for name, info in found.items() if info is not None
        }

    def create(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        """See the port. Nothing is replicated."""
        del replication
        self._step(f"create topic {name}")
        self._broker.create_topic(name, partitions, config)

    def ends(self, topic: str) -> Mapping[Partition, int]:
        """See the port. Raises Fatal where the topic does not exist."""
        with self._broker.changed:
            return {partition: self._broker.log(partition).stable_end for partition in self._partitions(topic)}

    def log_ends(self, topic: str) -> Mapping[Partition, int]:
        """See the port. Raises Fatal where the topic does not exist."""
        with self._broker.changed:
            return {partition: self._broker.log(partition).end for partition in self._partitions(topic)}

    def low_watermarks(self, topic: str) -> Mapping[Partition, int]:
        """The first offset that is still there, for each partition."""
        with self._broker.changed:
            return {partition: self._broker.log(partition).low for partition in self._partitions(topic)}

    def committed(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """See the port. Offsets inside an open transaction are not seen yet."""
        with self._broker.changed:
            known = self._broker.group(group).committed
            return {partition: known[partition] for partition in partitions if partition in known}

    def _partitions(self, topic: str) -> list[Partition]:
        info = self._broker.topic(topic)
        if info is None:
            raise Fatal(f"Topic {topic} does not exist. Create it, or correct its name.")
        return [Partition(topic, number) for number in range(info.partitions)]
