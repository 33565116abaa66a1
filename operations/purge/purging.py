"""One run of a purge: list the marks, note the ends, wait for the grace and the group, take away what is unchanged.

When the marks may go, and why, is decided in ``stream.purge``; this is its loop. It keeps nothing: one that is killed
is begun anew. It waits as long as the patience that it was given, and where that ends first, nothing was taken away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from schemas.chunk_event import Json
from stream.ports import MarkBin, Topics
from stream.purge import Purge

MARKS_A_RUN = 1_000_000
"""Marks that are held in memory between listing and discarding, some 300 bytes each."""
_MARKS_A_CALL = 4_096


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a purge of one collection works with."""

    collection: str
    bin: MarkBin
    topics: Topics
    chunk_topic: str
    group: str
    """Of the embedders that write the collection."""
    grace_s: float
    now_s: Callable[[], float]
    """Monotonic seconds."""
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""
    begun: Callable[[Purge], None] = lambda _purge: None
    """Told when the marks are listed, before the wait."""


@dataclass(frozen=True, slots=True)
class Report:
    """``listed`` marks, of which ``discarded`` are gone. ``unfinished`` says why none was taken away."""

    collection: str
    listed: int
    discarded: int = 0
    unfinished: str | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "listed": self.listed,
            "discarded": self.discarded,
            "unfinished": self.unfinished,
        }


class Purging:
    """Of one collection."""

    def __init__(self, around: Surroundings, most: int = MARKS_A_RUN) -> None:
        self._around = around
        self._most = most

    def listed(self) -> Purge:
        """The marks, then the ends: in this order, so that what wrote a mark lies below the ends."""
        around = self._around
        marks = tuple(islice(around.bin.marks(), self._most))
        ends = around.topics.ends(around.chunk_topic)
        return Purge(marks, ends, around.now_s(), around.grace_s)

    def run(self) -> Report:
        """Raises Outage and Fatal of bus and index; marks that were taken away by then stay away."""
        around = self._around
        purge = self.listed()
        if not purge.marks:
            return Report(around.collection, 0)
        around.begun(purge)
        if not around.patience(lambda: self._is_due(purge)):
            return Report(around.collection, len(purge.marks), unfinished=self._behind(purge))
        for start in range(0, len(purge.marks), _MARKS_A_CALL):
            around.bin.discard(purge.marks[start : start + _MARKS_A_CALL])
        versions = {mark.id: mark.version for mark in purge.marks}
        # A mark that was revived, or marked anew at another version, is not of those that were listed.
        left = sum(versions.get(mark.id) == mark.version for mark in around.bin.marks())
        return Report(around.collection, len(purge.marks), len(purge.marks) - left)

    def _is_due(self, purge: Purge) -> bool:
        around = self._around
        if around.now_s() - purge.listed_at_s <= purge.grace_s:
            # The group is asked only once its answer matters.
            return False
        return purge.due(around.now_s(), around.topics.committed(around.group, list(purge.ends)))

    def _behind(self, purge: Purge) -> str:
        behind = purge.behind(self._around.topics.committed(self._around.group, list(purge.ends)))
        if not behind:
            return "the grace is not over yet; wait longer."
        first = behind[0]
        return (
            f"group {self._around.group} has not committed past offset {purge.ends[first]} of "
            f"{first.topic} [{first.number}]; let its embedders catch up, then say it again."
        )
