"""One run of a purge: list the marks, note the ends, wait for the grace and the group, take away what is unchanged.

When the marks may go, and why, is decided in ``stream.purge``; this is its loop. It keeps nothing: one that is killed
is begun anew. The collection is open only while it is looked at, never during the wait, so whoever owns an index in a
folder may come and go.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from stream.errors import Outage
from stream.ports import MarkBin, Topics
from stream.purge import Purge

MARKS_A_RUN = 1_000_000
"""Marks that are held in memory between listing and discarding, some 300 bytes each."""
_MARKS_A_CALL = 4_096
_LOG = logging.getLogger("embedstream.purge")


def _once(call: Callable[[], int]) -> int:
    return call()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a purge of one collection works with."""

    collection: str
    opened: Callable[[], AbstractContextManager[MarkBin]]
    """The collection, for the length of a block."""
    accepted: frozenset[Fingerprint]
    """Headers of the events that it accepts."""
    topics: Topics
    chunk_topic: str
    group: str
    """Of the embedders that write it."""
    grace_s: float
    now_s: Callable[[], float]
    """Monotonic seconds."""
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""
    begun: Callable[[Purge], None] = lambda _purge: None
    """Told when the marks are listed, before the wait."""
    outlasting: Callable[[Callable[[], int]], int] = _once
    """Makes a call that may be made again, over outages."""


@dataclass(frozen=True, slots=True)
class Report:
    """``left`` of the ``listed`` marks are there as they were listed. ``unfinished`` says why none was taken away."""

    collection: str
    listed: int
    left: int
    unfinished: str | None = None

    @property
    def done(self) -> bool:
        return self.unfinished is None and not self.left

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "listed": self.listed,
            "left": self.left,
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
        with around.opened() as bin_:
            marks = tuple(islice(bin_.marks(), self._most))
        ends = around.topics.ends(around.chunk_topic)
        lows = around.topics.low_watermarks(around.chunk_topic)
        return Purge(marks, ends, lows, around.accepted, around.now_s(), around.grace_s)

    def run(self) -> Report:
        """Raises Outage and Fatal of bus and index; marks that were taken away by then stay away."""
        around = self._around
        purge = self.listed()
        if not purge.marks:
            return Report(around.collection, 0, 0)
        around.begun(purge)
        if not around.patience(lambda: self._is_due(purge)):
            return Report(around.collection, len(purge.marks), len(purge.marks), self._why(purge))
        left = around.outlasting(lambda: self._taken(purge))
        return Report(around.collection, len(purge.marks), left)

    def _is_due(self, purge: Purge) -> bool:
        """An outage of the broker is no answer, and the grace is not waited for twice because of it."""
        around = self._around
        if not purge.is_old_enough(around.now_s()):
            return False
        try:
            return purge.due(around.now_s(), around.topics.committed(around.group, list(purge.ends)))
        except Outage as outage:
            _LOG.warning("Where the embedders are cannot be asked: %s", outage)
            return False

    def _taken(self, purge: Purge) -> int:
        """Takes them away; how many are left as they were listed. Made twice it does no more than once."""
        with self._around.opened() as bin_:
            for start in range(0, len(purge.marks), _MARKS_A_CALL):
                bin_.discard(purge.marks[start : start + _MARKS_A_CALL])
            versions = {mark.id: mark.version for mark in purge.marks}
            return sum(versions.get(mark.id) == mark.version for mark in bin_.marks())

    def _why(self, purge: Purge) -> str:
        around = self._around
        if not purge.is_old_enough(around.now_s()):
            return "the grace is not over yet; wait longer."
        try:
            behind = purge.behind(around.topics.committed(around.group, list(purge.ends)))
        except Outage:
            behind = {}
        if not behind:
            return "the broker did not say in time where the embedders are; say it again."
        place, offsets = min(behind.items())
        return (
            f"group {around.group} has {offsets} offsets of {place.topic} [{place.number}] before it that were there "
            "when the marks were listed; let its embedders catch up, then say it again."
        )
