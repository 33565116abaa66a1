"""A consumer group under the eager protocol: when members come or go, everybody lets go of everything first.

The shipped group is cooperative. Here nothing is taken before each member has rejoined, which it does at its next
poll; one that does not poll holds up the others until it is evicted.
"""

from adapters.memory.group import Group


class EagerGroup(Group):
    def __init__(self):
        super().__init__()
        self._to_rejoin = []
        self._seen = []

    def aim(self, partitions):
        super().aim(partitions)
        if self._seen != self._members:
            self._seen = list(self._members)
            self._to_rejoin = list(self._members)

    def leaving(self, member):
        held = sorted(partition for partition, holder in self._held.items() if holder is member)
        if member not in self._to_rejoin:
            return []
        if not held:
            self._to_rejoin.remove(member)
        return held

    def release(self, member, partitions):
        super().release(member, partitions)
        if member in self._to_rejoin:
            self._to_rejoin.remove(member)

    def take(self, member, undecided):
        return [] if self._to_rejoin else super().take(member, undecided)
