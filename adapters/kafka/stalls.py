"""Which partition of a member stands still although it has records that nobody paused.

librdkafka can leave a partition paused, or not fetch it any more, where assignments, pauses and resumptions follow
each other closely (its issue 5591 is one way there). Nothing tells of it: polls come back empty as at the end of the
partition, and lag grows until somebody starts the process again. So a partition that is silent for the patience is
compared with its end as the broker knows it, and one that was below that end once, and still is a patience later,
with an empty local queue both times, stands still. Time in which nobody found the queue empty does not count, and a
pause begins the patience anew: what was fetched is dropped with it.

No I/O: whoever reads tells what happened and what the broker answered.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from stream.ports import Partition

PATIENCE_S = 15.0
"""Between two questions about a partition, and so how long one is silent before it may be found to stand."""
_MOST_PATIENCE_S = 600.0
_BETWEEN_QUESTIONS_S = 1.0
_LONGEST_PAUSE = 0.5
"""Of the patience: looks that are further apart say nothing of the time between them."""


@dataclass(slots=True)
class _Silence:
    """``reached``: offset below which all was handed over. ``end``: what the broker said when it was asked last."""

    reached: int
    since: float
    end: int | None = None


class StallWatch:
    """Over the partitions of one member; those that are paused on purpose are not watched."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._watched: dict[Partition, _Silence] = {}
        self._paused: set[Partition] = set()
        self._found: dict[Partition, int] = {}
        """How often each was found to stand since it last moved."""
        self._asked_at = self._looked_at = float("-inf")

    def start(self, partition: Partition, offset: int, now: float) -> None:
        """It is read from this offset on, or again from there."""
        self._watched[partition] = _Silence(offset, now)

    def forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._watched.pop(partition, None)
            self._paused.discard(partition)

    def moved(self, partition: Partition, reached: int, now: float) -> None:
        """Records below this offset were handed over, or its end was seen there."""
        self._watched[partition] = _Silence(reached, now)
        self._found.pop(partition, None)

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition], now: float) -> None:
        for partition in self._paused.intersection(partitions):
            self._paused.discard(partition)
            self._watched[partition] = _Silence(self._watched[partition].reached, now)

    def to_ask(self, now: float) -> Partition | None:
        """Called when the local queue is empty: the partition whose end should be asked for, if any."""
        paused_s, self._looked_at = now - self._looked_at, now
        if paused_s > _LONGEST_PAUSE * self._patience_s:
            for silence in self._watched.values():
                silence.since, silence.end = now, None
        if now - self._asked_at < min(_BETWEEN_QUESTIONS_S, self._patience_s):
            return None
        silent = [
            partition
            for partition, silence in self._watched.items()
            if partition not in self._paused and now - silence.since >= self._patience(partition)
        ]
        if not silent:
            return None
        self._asked_at = now
        return min(silent, key=lambda partition: self._watched[partition].since)

    def stands(self, partition: Partition, end: int | None, now: float) -> bool:
        """Whether it stands still, now that the broker says that committed records end there; None: no answer."""
        silence = self._watched[partition]
        before, silence.since = silence.end, now
        if end is None:
            self._asked_at = now + self._patience_s
            return False
        silence.end = end
        found = before is not None and silence.reached < before
        if found:
            self._found[partition] = self._found.get(partition, 0) + 1
        return found

    def _patience(self, partition: Partition) -> float:
        """Twice as long each time that reading it anew did not move it: it may only be slow."""
        return float(min(self._patience_s * 2 ** min(self._found.get(partition, 0), 16), _MOST_PATIENCE_S))
