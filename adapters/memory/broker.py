"""A Kafka without Kafka: topics, groups and transactions in memory, for tests and for the simulation.

It is deterministic: what it does follows from the order of calls alone, and it starts no thread and reads no clock.
One lock makes every operation atomic, so that threads may share it. What Kafka does by itself after a while (ending a
transaction that is too old, evicting a member that does not poll, compacting, deleting old records) happens here when
it is told to, by the methods under "What time brings".

Only clients (``adapters.memory.bus``) use the operations in the middle; a test uses the first and the last part.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from adapters.memory.group import Group, Member
from adapters.memory.partition_log import PartitionLog, Transaction
from stream.errors import Fatal, Outage, Poison
from stream.ports import Committed, Outgoing, Partition, Record, TopicInfo

_DEFAULT_MAX_BYTES = 1_048_588


class Expired(Outage):
    """The transaction was ended by its time-out; nobody else opened the id since."""


@dataclass(slots=True)
class _Topic:
    info: TopicInfo
    logs: list[PartitionLog]


@dataclass(slots=True)
class _Holder:
    """Of one transactional id. Whoever opened it last has ``epoch``."""

    epoch: int = 0
    expired_epoch: int = -1
    transaction: Transaction | None = None
    offsets: list[tuple[Group, dict[Partition, Committed]]] = field(default_factory=list)


class MemoryBroker:
    """``now_ms`` stamps records; it is 0 for ever unless given."""

    def __init__(self, now_ms: Callable[[], int] = lambda: 0) -> None:
        self.changed = threading.Condition(threading.RLock())
        """The lock, notified after every change that a waiting reader may care for."""
        self._now_ms = now_ms
        self._topics: dict[str, _Topic] = {}
        self._created = 0
        self._groups: dict[str, Group] = {}
        self._holders: dict[str, _Holder] = {}

    # --- Topics ---

    def create_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        """Nothing happens where it exists. The id is new each time."""
        if partitions < 1:
            raise Fatal(f"Topic {name} cannot have {partitions} partitions; give it at least one.")
        with self.changed:
            if name in self._topics:
                return
            self._created += 1
            info = TopicInfo(f"memory-topic-{self._created}", partitions, dict(config))
            self._topics[name] = _Topic(info, [PartitionLog() for _ in range(partitions)])
            self._aim()

    def topic(self, name: str) -> TopicInfo | None:
        """None where it does not exist."""
        with self.changed:
            return self._topics[name].info if name in self._topics else None

    def log(self, partition: Partition) -> PartitionLog:
        """Raises Fatal where topic or partition do not exist."""
        topic = self._topics.get(partition.topic)
        if topic is None or not 0 <= partition.number < len(topic.logs):
            raise Fatal(
                f"Partition {partition.number} of topic {partition.topic} does not exist. "
                "Create the topic, or correct its name."
            )
        return topic.logs[partition.number]

    # --- Records and transactions ---

    def append(self, outgoing: Outgoing, transaction: Transaction | None = None) -> None:
        """Raises Fatal for an unknown partition, Poison for a record that the topic does not take. Sizes are counted
        without compression, so a real broker may take a little more.
        """
        with self.changed:
            log = self.log(outgoing.partition)
            config = self._topics[outgoing.partition.topic].info.config
            size = len(outgoing.key or b"") + len(outgoing.value or b"")
            size += sum(len(name) + len(value or b"") for name, value in outgoing.headers)
            if size > int(config.get("max.message.bytes", _DEFAULT_MAX_BYTES)):
                raise Poison(
                    "too-large", f"A record of {size} bytes is larger than {outgoing.partition.topic} takes."
                )
            if outgoing.key is None and config.get("cleanup.policy") == "compact":
                raise Poison("refused-by-broker", f"{outgoing.partition.topic} is compacted: a record needs a key.")
            log.append(
                Record(outgoing.partition, log.end, outgoing.key, outgoing.value, outgoing.headers, self._now_ms()),
                transaction,
            )
            self.changed.notify_all()

    def open_transactional(self, transactional_id: str) -> int:
        """Aborts what the predecessor left open and fences it. The epoch is the caller's pass."""
        with self.changed:
            holder = self._holders.setdefault(transactional_id, _Holder())
            self._finish(holder, committed=False)
            holder.epoch += 1
            return holder.epoch

    def append_in_transaction(self, transactional_id: str, epoch: int, outgoing: Outgoing) -> None:
        """Invisible until :meth:`end_transaction`. Raises Fatal for one that was fenced, or Expired."""
        with self.changed:
            holder = self._holder(transactional_id, epoch)
            holder.transaction = holder.transaction or Transaction()
            self.append(outgoing, holder.transaction)

    def offsets_in_transaction(
        self, transactional_id: str, epoch: int, group: Group, member: Member, offsets: Mapping[Partition, Committed]
    ) -> None:
        """Raises Outage where the group went on without the member; the topics need not be its own."""
        with self.changed:
            holder = self._holder(transactional_id, epoch)
            if not group.has(member):
                raise Outage("The group went on without this member; its transaction is tried again by another.")
            holder.transaction = holder.transaction or Transaction()
            holder.offsets.append((group, dict(offsets)))

    def end_transaction(self, transactional_id: str, epoch: int, *, committed: bool) -> None:
        """Writes the markers; records and offsets become visible at once, or never."""
        with self.changed:
            self._finish(self._holder(transactional_id, epoch), committed=committed)

    # --- Groups ---

    def group(self, name: str) -> Group:
        """Made when first asked for."""
        return self._groups.setdefault(name, Group())

    def join(self, group: Group, topics: Iterable[str]) -> Member:
        """A new member; targets move."""
        with self.changed:
            member = group.join(topics)
            self._aim()
            return member

    def leave(self, group: Group, member: Member) -> None:
        """Targets move; what it held is free."""
        with self.changed:
            group.remove(member)
            self._aim()

    def delete_group(self, name: str) -> bool:
        """Whether it is gone: one with members stays."""
        with self.changed:
            if self.group(name).size:
                return False
            del self._groups[name]
            return True

    def undecided(self, group: Group) -> set[Partition]:
        """Partitions with offsets in an open transaction."""
        return {
            partition
            for holder in self._holders.values()
            for owner, offsets in holder.offsets
            if owner is group
            for partition in offsets
        }

    # --- What time brings ---

    def expire_transactions(self) -> None:
        """Ends every open transaction as its time-out would; its producer hears of it at its next call."""
        with self.changed:
            for holder in self._holders.values():
                if holder.transaction is not None:
                    self._finish(holder, committed=False)
                    holder.expired_epoch = holder.epoch
                    holder.epoch += 1

    def compact(self, topic: str, *, drop_tombstones: bool = False, before_ms: int | None = None) -> None:
        """Runs the log cleaner to its end, or up to the first record written at ``before_ms`` or later."""
        with self.changed:
            for log in self._topics[topic].logs:
                log.compact(drop_tombstones=drop_tombstones, before_ms=before_ms)

    def truncate(self, partition: Partition, before: int) -> None:
        """Deletes old records, as retention does."""
        with self.changed:
            self.log(partition).truncate(before)

    def delete_topic(self, name: str) -> None:
        """Takes the groups' offsets and their metadata with it."""
        with self.changed:
            self._topics.pop(name, None)
            for group in self._groups.values():
                group.forget_topic(name)
            self._aim()

    def _aim(self) -> None:
        for group in self._groups.values():
            group.aim({name: topic.info.partitions for name, topic in self._topics.items()})
        self.changed.notify_all()

    def _holder(self, transactional_id: str, epoch: int) -> _Holder:
        holder = self._holders[transactional_id]
        if epoch == holder.epoch:
            return holder
        if epoch == holder.expired_epoch and holder.epoch == epoch + 1:
            raise Expired("The transaction outlived its time-out, so the broker ended it; it is tried again.")
        raise Fatal(
            f'Another chunker with the same [chunker] instance took over the id "{transactional_id}". '
            "Stop one of the two, or rename one's instance."
        )

    def _finish(self, holder: _Holder, *, committed: bool) -> None:
        transaction, offsets = holder.transaction, holder.offsets
        holder.transaction, holder.offsets = None, []
        if transaction is None:
            return
        transaction.committed = committed
        for topic in self._topics.values():
            for log in topic.logs:
                log.mark(transaction)
        for group, places in offsets if committed else ():
            group.committed.update(places)
        self.changed.notify_all()
