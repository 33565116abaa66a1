"""When the mark of a removed chunk may be taken away for good: the one hard delete there is, and never on the way.

A mark refuses the late write of an older version, so it may go once no such write can come. Removed marks are listed
with their versions; then the ends of the chunk topic are noted. A listed mark may go when

* the grace is over since: a writer throws away a plan older than half of it before each attempt, so whoever planned
  before the listing has written by then, or never will; and
* the group has committed past those ends in every partition: what was in the topic is applied, and none of it is read
  again; and
* the point is still *removed at the version that was listed*, which the index checks at the moment of the delete.

Marks of deleted documents stay for ever: such a mark alone says how new its document was, and without it any older
revision that is read or published again would bring the document back. A removed chunk needs no such memory, because
the other points of its document carry its newest version.

Law: a purge changes nothing that a search or a planner of any later revision sees (invariants 1 and 2). It keeps
nothing; one that is killed is begun anew. Source: DESIGN 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stream.points import StoredPoint
from stream.ports import Committed, Partition


@dataclass(frozen=True, slots=True)
class Purge:
    """Marks listed at ``listed_at_s`` (monotonic seconds), and the ends of the chunk topic, noted *after* them."""

    marks: tuple[StoredPoint, ...]
    ends: Mapping[Partition, int]
    listed_at_s: float
    grace_s: float

    def due(self, now_s: float, committed: Mapping[Partition, Committed]) -> bool:
        """Whether the marks may be discarded now. ``committed`` is that of the group which writes the collection."""
        return now_s - self.listed_at_s > self.grace_s and not self.behind(committed)

    def behind(self, committed: Mapping[Partition, Committed]) -> list[Partition]:
        """Partitions of which the group has not committed all that was there."""
        return [
            place
            for place, end in self.ends.items()
            if end > 0 and (place not in committed or committed[place].offset < end)
        ]
