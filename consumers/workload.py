"""What an embedder has taken and not finished: the meeting point of its poll thread and its stages.

The poll thread adds records and asks what may be committed; the planning stage takes batches; the applying stage
finishes revisions. One lock guards it all. Nobody waits for a clock: the planner waits for a revision to be ready,
and a batch is whatever arrived meanwhile.

Each assignment of a partition has a number of its own. A revision that was taken under an earlier one (the partition
was lost and came back) finishes without touching the progress of the present one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumers.threads import PYTHONS_OWN, Threads
from schemas.chunk_event import ChunkEvent
from stream.backlog import Backlog
from stream.ports import Committed, Partition, Record
from stream.progress import Progress

_CHARACTERS_A_TOKEN = 4
"""For the budget alone, where a guess does; nothing is cut by it."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A chunk event on its way into the index. ``cost`` is an estimate in tokens."""

    event: ChunkEvent
    record: Record
    assignment: int
    cost: int


@dataclass(slots=True)
class _Held:
    """A partition of ours."""

    number: int
    progress: Progress
    committed: int
    in_flight: int = 0
    leaving: bool = False


class Workload:
    """Safe for any number of threads."""

    def __init__(self, threads: Threads = PYTHONS_OWN) -> None:
        self._changed = threads.condition()
        self._backlog: Backlog[Revision] = Backlog()
        self._held: dict[Partition, _Held] = {}
        self._open: dict[tuple[Partition, int, int], int | None] = {}
        self._assignments = 0
        self._closed = False

    # --- the poll thread ---

    def assign(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        """Partitions arrived; each is read from its committed offset, or from its first record."""
        with self._changed:
            for partition in partitions:
                self._assignments += 1
                start = committed[partition].offset if partition in committed else 0
                self._held[partition] = _Held(self._assignments, Progress(start), start)

    def hold(self, record: Record) -> int:
        """A record was read that is no revision and not done: its dead letter is not acknowledged. Returns the number
        of its partition's assignment, for :meth:`let_go`.
        """
        with self._changed:
            held = self._held[record.partition]
            held.progress.take(record.offset)
            return held.number

    def let_go(self, record: Record, assignment: int) -> None:
        """A record that was held is done."""
        with self._changed:
            held = self._held.get(record.partition)
            if held is not None and held.number == assignment:
                held.progress.finish(record.offset)

    def arrive(self, record: Record, event: ChunkEvent | None) -> None:
        """A record was read; None says that it is done already (it was dropped)."""
        with self._changed:
            held = self._held[record.partition]
            held.progress.take(record.offset)
            if event is None:
                held.progress.finish(record.offset)
                return
            cost = 1 + sum(len(chunk.text) for chunk in event.chunks) // _CHARACTERS_A_TOKEN
            self._open[record.partition, held.number, record.offset] = event.source_ts_ms
            self._backlog.add(event.doc_id, cost, Revision(event, record, held.number, cost))
            self._changed.notify_all()

    def reach(self, ends: Mapping[Partition, int]) -> None:
        """These partitions were read to their ends."""
        with self._changed:
            for partition, end in ends.items():
                if partition in self._held:
                    self._held[partition].progress.reach(end)

    def committable(self) -> dict[Partition, int]:
        """Where each partition may be committed, of those that moved since :meth:`committed`."""
        with self._changed:
            return {
                partition: held.progress.committable
                for partition, held in self._held.items()
                if held.progress.committable > held.committed
            }

    def done(self) -> dict[Partition, int]:
        """Of every partition of ours the offset below which everything is done."""
        with self._changed:
            return {partition: held.progress.committable for partition, held in self._held.items()}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """These were committed."""
        with self._changed:
            for partition, offset in offsets.items():
                if partition in self._held:
                    self._held[partition].committed = offset

    def settle(self, partitions: Sequence[Partition], deadline_s: float) -> bool:
        """Starts nothing more of these partitions and waits for what is in flight; False if it took too long."""
        with self._changed:
            self._forget_waiting(partitions)
            for held in self._held_of(partitions):
                held.leaving = True
            give_up = time.monotonic() + deadline_s
            while any(held.in_flight for held in self._held_of(partitions)) and not self._closed:
                left = give_up - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return False
            return True

    def release(self, partitions: Sequence[Partition]) -> None:
        """They are no longer ours; what is in flight of them finishes without a trace."""
        with self._changed:
            self._forget_waiting(partitions)
            for partition in partitions:
                self._held.pop(partition, None)

    def close(self) -> None:
        """Wakes everybody; nothing is taken any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- the stages ---

    def take(self, budget: int) -> list[Revision]:
        """The next batch; waits until there is one. Empty once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._backlog.ready)
            if self._closed:
                return []
            batch = self._backlog.take(budget)
            for revision in batch:
                held = self._current(revision)
                if held is not None:
                    held.in_flight += 1
            return batch

    def finish(self, revision: Revision) -> None:
        """Applied, stale, or its dead letter is acknowledged."""
        with self._changed:
            self._leave_flight(revision)
            held = self._current(revision)
            if held is not None:
                held.progress.finish(revision.record.offset)
            self._open.pop((revision.record.partition, revision.assignment, revision.record.offset), None)
            self._backlog.finish(revision.event.doc_id)
            self._changed.notify_all()

    def put_back(self, revision: Revision) -> None:
        """To be planned again; dropped, and left open for its next owner, where its partition is gone or going."""
        with self._changed:
            self._leave_flight(revision)
            held = self._current(revision)
            if held is None or held.leaving:
                self._open.pop((revision.record.partition, revision.assignment, revision.record.offset), None)
                self._backlog.finish(revision.event.doc_id)
            else:
                self._backlog.put_back(revision.event.doc_id, revision.cost, revision)
            self._changed.notify_all()

    def owned(self, revision: Revision) -> bool:
        """Whether its partition is still ours, under the assignment it was read in."""
        with self._changed:
            return self._current(revision) is not None

    # --- figures ---

    @property
    def waiting_tokens(self) -> int:
        """Estimated tokens in the backlog."""
        with self._changed:
            return self._backlog.cost

    @property
    def oldest_ts_ms(self) -> int | None:
        """The oldest commit time among what is not applied."""
        with self._changed:
            return min((ts for ts in self._open.values() if ts is not None), default=None)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in flight."""
        with self._changed:
            return not self._open

    def partitions(self) -> list[Partition]:
        """Ours."""
        with self._changed:
            return list(self._held)

    def _current(self, revision: Revision) -> _Held | None:
        held = self._held.get(revision.record.partition)
        return held if held is not None and held.number == revision.assignment else None

    def _held_of(self, partitions: Sequence[Partition]) -> list[_Held]:
        return [self._held[partition] for partition in partitions if partition in self._held]

    def _leave_flight(self, revision: Revision) -> None:
        held = self._current(revision)
        if held is not None:
            held.in_flight -= 1

    def _forget_waiting(self, partitions: Sequence[Partition]) -> None:
        leaving = set(partitions)
        for revision in self._backlog.drop(lambda revision: revision.record.partition in leaving):
            self._open.pop((revision.record.partition, revision.assignment, revision.record.offset), None)
