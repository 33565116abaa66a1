"""The embedder: chunk events in, vectors in the index, offsets committed behind them.

One thread polls. It sorts records (what is not for this collection passes by its headers alone), hands revisions to
the pipeline, and commits: only what is done without a gap, only after the index was flushed, at most once an
interval. It never waits for the pipeline while it holds partitions, so the group sees it alive; a backlog above its
bound pauses the partitions, and polling goes on.

A commit says of which sources everything below it is done (``stream.claim``). A partition whose committed offset
claims less than this embedder admits, because a source joined since, is read again from where the claim ends. Where
the collection accepts more by now, because another embedder, started with a newer configuration, joined a source, all
partitions are taken anew: this embedder, or one before it, may have let that source's events pass.

When partitions are revoked it starts nothing more of theirs, lets what is in flight finish within a deadline, commits
and lets go. Lost partitions are dropped as they are and nothing is committed.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.metrics import Metrics
from consumers.pipeline import Pipeline
from consumers.workload import Workload
from stream.claim import Claim, claim_of
from stream.errors import Fatal, Outage, Poison
from stream.intake import Admission, Erased, Mismatched, OtherLineage, Repeated, Work
from stream.letterbox import Letterbox, undeliverable
from stream.ports import Clock, Committed, Consumer, Outgoing, Partition, Polled, Producer, Record, VectorIndex

_LOG = logging.getLogger("embedstream.embedder")
_STAGE = "embedder"
RECORDS_A_POLL = 500
"""At most; by so much what waits in memory may go above ``backlog_tokens``."""


class Stopping(Protocol):
    """Whether the process was told to stop; ``wait`` returns early then."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class EmbedderParts:
    """What the poll thread works with; times in seconds."""

    admission: Admission
    index: VectorIndex
    producer: Producer
    letterbox: Letterbox
    metrics: Metrics
    clock: Clock
    backlog_tokens: int
    flush_interval_s: float
    drain_deadline_s: float
    admitted: Callable[[], Admission] | None = None
    """What the collection accepts, as somebody looked not long ago; the poll thread waits for nobody."""
    every_while: Callable[[], None] = lambda: None
    """Called once a flush interval, for what is looked at now and then (lag, lineage)."""


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A dead letter that nobody has acknowledged, and the assignment under which its record was read."""

    record: Record
    poison: Poison
    letter: Outgoing
    assignment: int


class Embedder:
    """Implements ``stream.ports.Assignment``. Its methods belong to the poll thread."""

    def __init__(self, parts: EmbedderParts, workload: Workload) -> None:
        self._parts = parts
        self._workload = workload
        self._consumer: Consumer | None = None
        self._admission = parts.admission
        self._claims: dict[Partition, Claim] = {}
        self._paused: set[Partition] = set()
        self._unsent: deque[_Unsent] = deque()
        self._commit_due = float("-inf")

    # --- assignment ---

    def on_assigned(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        """Each goes on behind its committed offset, or goes back where that does not claim all that is admitted."""
        back = self._assign(partitions, committed)
        if back:
            _LOG.info("%d partitions are read again for a source that joined.", len(back))
            self._go_back(back)

    def _assign(
        self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]
    ) -> dict[Partition, int | None]:
        """Takes them; gives those that have to be read from before their offset, and from where."""
        self._paused.difference_update(partitions)
        self._claims.update({partition: claim_of(committed.get(partition)) for partition in partitions})
        back: dict[Partition, int | None] = {}
        for partition, known in committed.items():
            start = self._claims[partition].start(self._admission.sources)
            if start is None or start < known.offset:
                back[partition] = start
        starts = {**committed, **{partition: Committed(start or 0) for partition, start in back.items()}}
        self._workload.assign(partitions, starts)
        return back

    def _go_back(self, places: Mapping[Partition, int | None], paused: Sequence[Partition] = ()) -> None:
        """Not tried again: what came from behind these places meanwhile would pass for all that there is."""
        try:
            self._bound().rewind(places)
            self._bound().resume(paused)
        except Outage as outage:
            raise Fatal(
                f"A partition cannot be read again for a source that joined ({outage}); start again."
            ) from outage

    def _take_anew(self, admission: Admission) -> None:
        """As if every partition left and came back: what is in flight is finished, the rest read again."""
        mine = self._workload.partitions()
        self._workload.settle(mine, self._parts.drain_deadline_s)
        done = {place: self._claim(place, offset) for place, offset in self._workload.done().items()}
        paused = sorted(self._paused)
        self._forget(mine)
        self._admission = admission
        back = self._assign(mine, done)
        _LOG.info("The collection accepts a source more: %d partitions are taken anew for it.", len(mine))
        # A partition of which nothing was read has no position yet but its first record.
        self._go_back({**{place: known.offset or None for place, known in done.items()}, **back}, paused)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Drains, commits, lets go."""
        if not self._workload.settle(partitions, self._parts.drain_deadline_s):
            _LOG.warning(
                "%d partitions leave with work in flight, which their next owner does again.", len(partitions)
            )
        leaving = set(partitions)
        try:
            self._commit({place: at for place, at in self._workload.committable().items() if place in leaving})
        except Outage as outage:
            _LOG.warning("Partitions leave without a commit, their last work is done again: %s", outage)
        self._forget(partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """They are another member's already."""
        self._forget(partitions)

    def _forget(self, partitions: Sequence[Partition]) -> None:
        leaving = set(partitions)
        self._unsent = deque(unsent for unsent in self._unsent if unsent.record.partition not in leaving)
        self._workload.release(partitions)
        self._paused.difference_update(partitions)
        for partition in partitions:
            self._claims.pop(partition, None)

    # --- work ---

    def run(
        self,
        consumer: Consumer,
        pipeline: Pipeline,
        stopping: Stopping,
        max_records: int = RECORDS_A_POLL,
        timeout_s: float = 0.1,
    ) -> None:
        """Until told to stop, then drains and commits. Raises Fatal."""
        self._consumer = consumer
        pipeline.start()
        try:
            while not stopping.is_set():
                pipeline.check()
                try:
                    self.turn(max_records, timeout_s)
                except Outage as outage:
                    self._parts.metrics.outage(_STAGE)
                    _LOG.warning("%s", outage)
                    stopping.wait(outage.retry_after_s or 0.5)
            # Leaving the group revokes everything, and that drains and commits.
            consumer.close()
            pipeline.check()
        finally:
            pipeline.stop()

    def turn(self, max_records: int, timeout_s: float) -> None:
        """One poll, and a commit if one is due. Raises Outage; what was polled by then is taken."""
        polled = self._bound().poll(max_records, timeout_s)
        self._take(polled)
        self._send_letters()
        self._press_back()
        now = self._parts.clock.monotonic()
        if now >= self._commit_due:
            self._commit_due = now + self._parts.flush_interval_s
            self._parts.metrics.oldest_unapplied(self._workload.oldest_ts_ms)
            self._commit(self._workload.committable())
            self._take_new_sources()
            self._parts.every_while()

    def _take_new_sources(self) -> None:
        if self._parts.admitted is None:
            return
        admission = self._parts.admitted()
        if not admission.sources.keys() <= self._admission.sources.keys():
            self._take_anew(admission)

    def _take(self, polled: Polled) -> None:
        for record in polled.records:
            try:
                intake = self._admission.of(record, self._claims[record.partition])
            except Poison as poison:
                letter = self._parts.letterbox.letter(record, _STAGE, poison)
                self._unsent.append(_Unsent(record, poison, letter, self._workload.hold(record)))
                continue
            match intake:
                case Work(event):
                    self._workload.arrive(record, event)
                    continue
                case Mismatched(fingerprint):
                    self._parts.metrics.mismatched(fingerprint)
                case OtherLineage():
                    self._parts.metrics.events("other_lineage")
                case Erased() | Repeated():
                    self._parts.metrics.events("ignored")
            self._workload.arrive(record, None)
        self._workload.reach(polled.ends)

    def _send_letters(self) -> None:
        """One try a turn, so that polling goes on while nobody takes them: their offsets stay open, and nothing more
        is read.
        """
        parts = self._parts
        while self._unsent:
            unsent = self._unsent[0]
            try:
                parts.producer.send([unsent.letter])
            except Outage as outage:
                parts.metrics.outage("dead letters")
                _LOG.warning("A dead letter waits: %s", outage)
                return
            except Poison as poison:
                raise undeliverable(poison) from poison
            self._unsent.popleft()
            self._workload.let_go(unsent.record, unsent.assignment)
            parts.metrics.dead_letter(_STAGE, unsent.poison.kind)
            parts.metrics.events("poison")
            place, offset = unsent.record.partition, unsent.record.offset
            _LOG.warning("Dead letter of %s [%s] @%d: %s", place.topic, place.number, offset, unsent.poison)

    def _press_back(self) -> None:
        waiting = self._workload.waiting_tokens
        self._parts.metrics.backlog(waiting)
        if self._unsent or waiting > self._parts.backlog_tokens:
            running = [place for place in self._workload.partitions() if place not in self._paused]
            if running:
                self._bound().pause(running)
                self._paused.update(running)
        elif self._paused and waiting <= self._parts.backlog_tokens // 2:
            self._bound().resume(sorted(self._paused))
            self._paused.clear()
        self._parts.metrics.paused(len(self._paused))

    def _commit(self, offsets: Mapping[Partition, int]) -> None:
        """The offsets were read before the flush, so all below them is in what is flushed. What the group did not
        take, because it moved, is committed the next time if it is still ours then.
        """
        if not offsets:
            return
        self._parts.index.flush()
        taken = self._bound().commit({place: self._claim(place, offset) for place, offset in offsets.items()})
        self._workload.committed({place: offsets[place] for place in taken})

    def _claim(self, partition: Partition, offset: int) -> Committed:
        return self._claims[partition].at(offset, self._admission.sources).committed(offset)

    def _bound(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("An embedder polls only within run().")
        return self._consumer
