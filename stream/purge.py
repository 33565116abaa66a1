"""When the mark of a removed chunk may be taken away for good: the one hard delete there is, and never on the way.

A mark refuses the late write of an older version, so it may go once no such write can come. Removed marks are listed
with their versions; then the ends of the chunk topic are noted. A listed mark may go when

* the grace is over since: a writer throws away a plan older than half of it before each attempt, so whoever planned
  before the listing has written by then, or never will; and
* the group is done with all below those ends, for every source that the collection accepts (``stream.caught_up``):
  what was in the topic is applied, and read again it is stale; and
* the point is still *removed at the version that was listed*, which the index checks at the moment of the delete.

Marks of deleted documents stay for ever: such a mark alone says how new its document was, and without it any older
revision that is read or published again would bring the document back. A removed chunk needs no such memory, because
the other points of its document carry its newest version.

Law: a purge changes nothing that a search or a planner of any later revision sees (invariants 1 and 2). It keeps
nothing; one that is killed is begun anew. Source: DESIGN 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.identity import Fingerprint
from stream.caught_up import behind
from stream.points import StoredPoint
from stream.ports import Committed, Partition


@dataclass(frozen=True, slots=True)
class Purge:
    """Marks listed at ``listed_at_s`` (monotonic seconds), and the ends of the chunk topic, noted *after* them.

    ``lows`` are the first offsets there, ``accepted`` the headers of the events that the collection accepts.
    """

    marks: tuple[StoredPoint, ...]
    ends: Mapping[Partition, int]
    lows: Mapping[Partition, int]
    accepted: frozenset[Fingerprint]
    listed_at_s: float
    grace_s: float

    def due(self, now_s: float, committed: Mapping[Partition, Committed]) -> bool:
        """Whether the marks may be discarded now. ``committed`` is that of the group which writes the collection."""
        return self.is_old_enough(now_s) and not self.behind(committed)

    def is_old_enough(self, now_s: float) -> bool:
        return now_s - self.listed_at_s > self.grace_s

    def behind(self, committed: Mapping[Partition, Committed]) -> Mapping[Partition, int]:
        """Partition → how many offsets the group has still to do of what was there; empty: all is done."""
        return behind(self.ends, self.lows, committed, self.accepted)
