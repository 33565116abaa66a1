"""A member of a consumer group in memory.

It reads what is committed and stable, tells the end of a partition once each time it is reached, and moves between
members as in Kafka's own protocol: a poll first hears that the member was evicted, then lets go of what is to leave,
then takes what is free, and reads only after that. Its owner's methods are called without the broker's lock.
"""

import time
from collections.abc import Collection, Mapping, Sequence

from adapters.memory.broker import MemoryBroker
from adapters.memory.partition_log import PartitionLog
from stream.errors import Fatal
from stream.ports import Assignment, Committed, Partition, Polled, Record, Step, no_step


class MemoryConsumer:
    """See ``stream.ports.Consumer``."""

    def __init__(
        self, broker: MemoryBroker, group: str, topics: Sequence[str], assignment: Assignment, *, step: Step = no_step
    ) -> None:
        self._broker = broker
        self.group = broker.group(group)
        self.member = broker.join(self.group, topics)
        self._topics = tuple(topics)
        self._owner = assignment
        self._step = step
        self._positions: dict[Partition, int] = {}
        self._told_end: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._turn = 0
        self._closed = False

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """See the port."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._reconcile()
            with self._broker.changed:
                polled = self._read(max_records)
                if polled.records or polled.ends:
                    return polled
                left = deadline - time.monotonic()
                if left <= 0:
                    return polled
                self._broker.changed.wait(left)

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Partitions that are not assigned are passed over."""
        self._paused.update(partition for partition in partitions if partition in self._positions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Partitions that are not assigned are passed over."""
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._told_end.pop(partition, None)

    def rewind(self, offsets: Mapping[Partition, int | None]) -> None:
        """Partitions that are not assigned are passed over."""
        for partition, offset in offsets.items():
            if partition in self._positions:
                self._positions[partition] = self._broker.log(partition).low if offset is None else offset
                self._told_end.pop(partition, None)

    def commit(self, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """See the port."""
        if not any(partition in self._positions for partition in offsets):
            return ()
        self._step("commit offsets")
        with self._broker.changed:
            held = {place: at for place, at in offsets.items() if self.group.holds(self.member, place)}
            self.group.committed.update(held)
        return held.keys()

    def close(self) -> None:
        """See the port."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._lose_if_evicted():
                self._give_up(sorted(self._positions))
        finally:
            self._broker.leave(self.group, self.member)

    def evict(self) -> None:
        """What happens to a member that does not poll for too long: the group goes on without it."""
        self._broker.leave(self.group, self.member)

    def _reconcile(self) -> None:
        if self._lose_if_evicted():
            self.member = self._broker.join(self.group, self._topics)
        with self._broker.changed:
            leaving = self.group.leaving(self.member)
        self._give_up(leaving)
        with self._broker.changed:
            arrived = self.group.take(self.member, self._broker.undecided(self.group))
            committed = {place: self.group.committed[place] for place in arrived if place in self.group.committed}
            for partition in arrived:
                commit = committed.get(partition)
                self._positions[partition] = commit.offset if commit else self._broker.log(partition).low
        if arrived:
            self._owner.on_assigned(arrived, committed)

    def _lose_if_evicted(self) -> bool:
        if self.group.has(self.member):
            return False
        lost = sorted(self._positions)
        self._forget(lost)
        if lost:
            self._owner.on_lost(lost)
        return True

    def _give_up(self, leaving: Sequence[Partition]) -> None:
        if not leaving:
            return
        try:
            self._owner.on_revoked(leaving)
        finally:
            self._forget(leaving)
            with self._broker.changed:
                self.group.release(self.member, leaving)
                self._broker.changed.notify_all()

    def _forget(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
            self._told_end.pop(partition, None)
            self._paused.discard(partition)

    def _read(self, max_records: int) -> Polled:
        """Begins with another partition each time, so that a full one does not starve the rest."""
        order = sorted(partition for partition in self._positions if partition not in self._paused)
        first = self._turn % len(order) if order else 0
        self._turn += 1
        records: list[Record] = []
        ends: dict[Partition, int] = {}
        for partition in order[first:] + order[:first]:
            topic = self._broker.topic(partition.topic)
            if topic is None or partition.number >= topic.partitions:
                continue  # deleted: the next poll takes it away
            log = self._broker.log(partition)
            position = self._positions[partition]
            self._check(partition, position, log)
            found, position = log.read(position, max_records - len(records))
            records.extend(found)
            self._positions[partition] = position
            if position >= log.stable_end and self._told_end.get(partition) != position:
                ends[partition] = self._told_end[partition] = position
        return Polled(tuple(records), ends)

    def _check(self, partition: Partition, position: int, log: PartitionLog) -> None:
        if not log.low <= position <= log.end:
            raise Fatal(
                f"Partition {partition.number} of {partition.topic} has offsets {log.low} to {log.end}, and not "
                f"{position} to go on from, so records may be lost to this group. Build the next generation "
                "of the index, or reset the group's offsets if you know that nothing is missing."
            )
