"""From Faust's event loop to the thread of the chunker and back: records one way, what is published the other.

To the chunker it is ``stream.ports.Reader``: records wait here until they are polled, are kept until the next poll
(what a poll brought is published or rewound by then), and are shown again after ``rewind``. To Faust it tells which
offsets may be committed: those below which everything was published and acknowledged, and nothing else; Faust's own
acknowledgements do not count, because a stream acknowledges what it skips during a rebalance, and what a failed agent
held.

Faust hands over records and never tells of a partition's end. Behind the last record there may be transaction markers
and records of aborted transactions, which take offsets too; so where nothing comes, somebody else looks what lies
behind (``Behind``), and an end without a record is told as the port wants it.

Laws: records of a partition are shown in offset order, from its committed offset on, or from its first record; a
record of a former assignment is not shown (Faust may hand one over late: where the first record is not the one that
is due, the partition is read again from there, and only a second answer like the first is believed); a committed
offset that the topic no longer has is Fatal, never a jump.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.errors import Fatal, Outage
from stream.ports import Assignment, Committed, Partition, Polled, Record, Topics

_WAITING = 1_000
"""Records that wait at most; Faust's own buffers stand before them."""
_LOOKED_BEHIND_EVERY_S = 2.0

Behind = Callable[[Mapping[Partition, int]], Mapping[Partition, int]]
"""Offsets to read from → for those partitions in which no committed record follows, the position at their end."""


@dataclass(slots=True)
class _Held:
    """One assigned partition. ``due`` is the offset that comes next; None until it is known where reading begins."""

    due: int | None = None
    first: bool = True
    idle: bool = False
    doubted: int | None = None
    taken: deque[Record] = field(default_factory=deque)
    published: int | None = None


class HandOver:
    """See ``stream.ports.Reader``; ``seek`` asks Faust to read a partition again from an offset, in its loop."""

    def __init__(self, group: str, topics: Topics, behind: Behind, now: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._topics = topics
        self._behind = behind
        self._now = now
        self._look_due = now() + _LOOKED_BEHIND_EVERY_S
        self._refused: Fatal | None = None
        self._assignment: Assignment | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seek: Callable[[Partition, int], None] = lambda _partition, _offset: None
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._held: dict[Partition, _Held] = {}
        self._waiting: deque[Record] = deque()
        self._gaps: dict[Partition, int] = {}
        self._news: deque[tuple[bool, list[Partition]]] = deque()
        self._closed = False

    # --- Faust's side: all of it in its event loop ---

    def attach(self, loop: asyncio.AbstractEventLoop, seek: Callable[[Partition, int], None]) -> None:
        """Before the first record."""
        self._loop, self._seek = loop, seek

    def assigned(self, partitions: Iterable[Partition]) -> None:
        """Records of these come from now on."""
        with self._changed:
            new = sorted(set(partitions))
            for partition in new:
                self._held[partition] = _Held()
            self._news.append((True, new))
            self._changed.notify_all()

    def revoked(self, partitions: Iterable[Partition]) -> None:
        """They are another member's; what was not published yet is read there again."""
        with self._changed:
            gone = sorted(set(partitions))
            for partition in gone:
                self._held.pop(partition, None)
            self._waiting = deque(record for record in self._waiting if record.partition in self._held)
            self._news.append((False, gone))
            self._changed.notify_all()
        self._room.set()

    async def offer(self, record: Record) -> None:
        """Returns once there is room for it, or no use."""
        while not self._taken(record):
            self._room.clear()
            await self._room.wait()

    def committable(self) -> dict[Partition, int]:
        """For each partition the offset below which everything was published, where there is one."""
        with self._changed:
            return {place: held.published for place, held in self._held.items() if held.published is not None}

    def refuse(self, failure: Fatal) -> None:
        """What Faust was told and no retry mends; the chunker's next poll raises it."""
        with self._changed:
            self._refused = failure
            self._changed.notify_all()

    def _taken(self, record: Record) -> bool:
        with self._changed:
            held = self._held.get(record.partition)
            if held is None or self._closed:
                return True
            if held.due is None or len(self._waiting) >= _WAITING:
                return False
            if record.offset < held.due:
                return True
            if held.first and record.offset > held.due and held.doubted != record.offset:
                if held.doubted is None or record.offset < held.doubted:
                    held.doubted = record.offset
                    self._seek(record.partition, held.due)
                return True
            if record.offset > held.due:
                self._gaps.setdefault(record.partition, held.due)
            held.first, held.idle, held.doubted, held.due = False, False, None, record.offset + 1
            self._waiting.append(record)
            self._changed.notify_all()
            return True

    # --- the chunker's side: all of it in its thread ---

    def connect(self, assignment: Assignment) -> None:
        """Whom to tell of partitions; before the first poll."""
        self._assignment = assignment

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """See the port. Raises Outage and Fatal."""
        self._tell()
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting or self._news or self._refused), timeout_s)
            if self._refused is not None:
                raise self._refused
            if self._news:
                return Polled()
            gaps, self._gaps = self._gaps, {}
        self._refuse_lost(gaps)
        with self._changed:
            records = [self._waiting.popleft() for _ in range(min(max_records, len(self._waiting)))]
            for held in self._held.values():
                held.taken.clear()
            for record in records:
                self._held[record.partition].taken.append(record)
        self._wake()
        return Polled(tuple(records), {} if records else self._ends_behind())

    def rewind(self, offsets: Mapping[Partition, int | None]) -> None:
        """Shows again what was taken from these offsets on; None: all of it."""
        with self._changed:
            again: list[Record] = []
            for partition, offset in offsets.items():
                held = self._held.get(partition)
                if held is not None:
                    least = -1 if offset is None else offset
                    again.extend(record for record in held.taken if record.offset >= least)
                    held.taken = deque(record for record in held.taken if record.offset < least)
            self._waiting.extendleft(reversed(again))

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Everything below is published: Faust commits it with its next round, without the metadata."""
        with self._changed:
            for partition, place in offsets.items():
                held = self._held.get(partition)
                if held is None:
                    continue
                held.published = max(place.offset, held.published or 0)

    def close(self) -> None:
        """Nothing is taken any more."""
        with self._changed:
            self._closed = True
        self._wake()

    def _tell(self) -> None:
        """What Faust said of partitions. A note that cannot be acted on now is kept, so that the next poll tries."""
        while self._news:
            mine, partitions = self._news[0]
            if self._assignment is None:
                raise AssertionError("connect comes before poll")
            if not mine:
                self._assignment.on_revoked(partitions)
            else:
                committed = self._topics.committed(self._group, partitions)
                starts = self._starts(partitions, committed)
                self._assignment.on_assigned(partitions, committed)
                with self._changed:
                    for partition, start in starts.items():
                        held = self._held.get(partition)
                        if held is not None and held.due is None:
                            held.due = start
            self._news.popleft()
        self._wake()

    def _refuse_lost(self, due: Mapping[Partition, int]) -> None:
        """Offsets without records are usual (markers, compaction); below the topic's beginning they were lost."""
        try:
            for topic in {partition.topic for partition in due}:
                for partition, low in self._topics.low_watermarks(topic).items():
                    if low > due.get(partition, low):
                        raise Fatal(_gone(partition, due[partition], low))
        except Outage:
            with self._changed:
                self._gaps = {**self._gaps, **due}
            raise

    def _ends_behind(self) -> dict[Partition, int]:
        """Of partitions that brought nothing since the last look. Raises Outage and Fatal."""
        if self._now() < self._look_due:
            return {}
        self._look_due = self._now() + _LOOKED_BEHIND_EVERY_S
        with self._changed:
            quiet = {place: held.due for place, held in self._held.items() if held.idle and held.due is not None}
            for held in self._held.values():
                held.idle = held.due is not None
        longer = {
            place: quiet[place]
            for topic in {place.topic for place in quiet}
            for place, end in self._topics.log_ends(topic).items()
            if end > quiet.get(place, end)
        }
        if not longer:
            return {}
        self._refuse_lost(longer)
        found = self._behind(longer)
        with self._changed:
            ends = {
                place: end
                for place, end in found.items()
                if place in self._held and self._held[place].due == longer[place] < end
            }
            for place, end in ends.items():
                self._held[place].due = end
        return ends

    def _starts(
        self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]
    ) -> dict[Partition, int]:
        """Where reading begins. Raises Fatal where that is gone."""
        lows: dict[Partition, int] = {}
        for topic in {partition.topic for partition in partitions}:
            lows.update(self._topics.low_watermarks(topic))
        for partition, place in committed.items():
            if place.offset < lows.get(partition, 0):
                raise Fatal(_gone(partition, place.offset, lows[partition]))
        return {
            partition: committed[partition].offset if partition in committed else lows.get(partition, 0)
            for partition in partitions
        }

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)


def _gone(partition: Partition, offset: int, low: int) -> str:
    return (
        f"The offset {offset} of {partition.topic} [{partition.number}] is gone before it was read: the topic begins "
        f"at {low}; take a new snapshot of the source, then reset the group to the earliest offset."
    )
