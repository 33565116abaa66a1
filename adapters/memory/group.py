"""A consumer group in memory: who should hold which partition, who holds it, and what was committed.

As in Kafka's own protocol (KIP-848) a change of members only moves the *target*; a member that polls first lets go of
what is not its own any more, and takes what is free. So no partition ever has two holders, and nothing stops for the
members that keep theirs. Targets are balanced and sticky, and follow from the order of events alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from stream.ports import Committed, Partition


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """Compared by identity: who joins again is another member."""

    topics: frozenset[str]


@dataclass(slots=True)
class Group:
    """All methods are called under the broker's lock."""

    committed: dict[Partition, Committed] = field(default_factory=dict)
    _members: list[Member] = field(default_factory=list)
    _held: dict[Partition, Member] = field(default_factory=dict)
    _target: dict[Partition, Member] = field(default_factory=dict)

    def join(self, topics: Iterable[str]) -> Member:
        """A new member, without partitions until it polls."""
        member = Member(frozenset(topics))
        self._members.append(member)
        return member

    def remove(self, member: Member) -> None:
        """It left or was evicted; what it held is free."""
        if member in self._members:
            self._members.remove(member)
        self._held = {partition: holder for partition, holder in self._held.items() if holder is not member}

    @property
    def size(self) -> int:
        """How many members there are."""
        return len(self._members)

    def has(self, member: Member) -> bool:
        """False once it left or was evicted."""
        return member in self._members

    def holds(self, member: Member, partition: Partition) -> bool:
        """Whether a commit for this partition is the member's to make."""
        return self._held.get(partition) is member

    def aim(self, partitions: Mapping[str, int]) -> None:
        """Chooses the targets anew. ``partitions`` gives every topic's number of them."""
        self._target = {
            partition: member
            for topic in sorted(partitions)
            for partition, member in self._balanced(topic, partitions[topic]).items()
        }

    def leaving(self, member: Member) -> list[Partition]:
        """What the member holds and has to let go of."""
        return sorted(
            partition
            for partition, holder in self._held.items()
            if holder is member and self._target.get(partition) is not member
        )

    def release(self, member: Member, partitions: Iterable[Partition]) -> None:
        """From now on others may take them."""
        for partition in partitions:
            if self.holds(member, partition):
                del self._held[partition]

    def take(self, member: Member, undecided: Collection[Partition]) -> list[Partition]:
        """What the member gets now. A partition whose offsets stand in an open transaction waits for its end."""
        taken = sorted(
            partition
            for partition, aimed in self._target.items()
            if aimed is member and partition not in self._held and partition not in undecided
        )
        self._held.update(dict.fromkeys(taken, member))
        return taken

    def forget_topic(self, topic: str) -> None:
        """Deleting a topic deletes what was committed for it, metadata included."""
        self.committed = {place: commit for place, commit in self.committed.items() if place.topic != topic}

    def _balanced(self, topic: str, count: int) -> dict[Partition, Member]:
        readers = [member for member in self._members if topic in member.topics]
        if not readers:
            return {}
        share, larger_shares = divmod(count, len(readers))
        load: Counter[int] = Counter()
        target: dict[Partition, Member] = {}
        homeless = []
        for partition in (Partition(topic, number) for number in range(count)):
            holder = self._held.get(partition) or self._target.get(partition)
            place = readers.index(holder) if holder in readers else -1
            if place >= 0 and load[place] < share:
                target[partition] = readers[place]
            elif place >= 0 and load[place] == share and larger_shares:
                target[partition] = readers[place]
                larger_shares -= 1
            else:
                homeless.append(partition)
                continue
            load[place] += 1
        for partition in homeless:
            place = min(range(len(readers)), key=lambda index: (load[index], index))
            target[partition] = readers[place]
            load[place] += 1
        return target
