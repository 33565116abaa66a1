"""Runs the three stages side by side, each on a thread of its own, with room for one batch between two of them.

While batch k is on the device, k + 1 is looked up and k − 1 is written. There is no timer: the planner takes whatever
is ready the moment the stage behind it has room. An outage is waited out inside the stage that met it, so the stages
before it fill up and the poll thread pauses its partitions. The first Fatal, or anything unforeseen, stops all three
and is raised in the poll thread by :meth:`Pipeline.check`.
"""

import logging
import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from adapters.metrics import Metrics
from consumers.copying import Copies
from consumers.retries import Patience
from consumers.stages import (
    Applied,
    Encoded,
    Planned,
    Refused,
    ShrinkingEncoder,
    apply_batch,
    encode_batch,
    plan_batch,
)
from consumers.threads import PYTHONS_OWN, Threads
from consumers.workload import Revision, Workload
from stream.delta import Plan
from stream.errors import Poison
from stream.letterbox import Letterbox, undeliverable
from stream.ports import Clock, Producer, VectorIndex

Item = TypeVar("Item")
_LOG = logging.getLogger("embedstream.embedder")
_STAGE = "embedder"


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """What the stages work with. ``batch_tokens`` is the budget of a batch, ``plan_max_age_s`` half of the grace."""

    index: VectorIndex
    collection: str
    encoder: ShrinkingEncoder
    fit_title: Callable[[str | None], str | None]
    producer: Producer
    letterbox: Letterbox
    clock: Clock
    metrics: Metrics
    store_text: bool
    batch_tokens: int
    plan_max_age_s: float
    copies: Copies | None = None
    """Where vectors of another collection serve as well."""


class Pipeline:
    """Three threads between a workload and an index."""

    def __init__(self, parts: PipelineParts, workload: Workload, threads: Threads = PYTHONS_OWN) -> None:
        self._parts = parts
        self._workload = workload
        self._stopping = threads.event()
        self._patience = Patience(self._stopping, parts.metrics)
        self._planned: queue.Queue[list[Planned] | None] = threads.room()
        self._encoded: queue.Queue[list[Encoded] | None] = threads.room()
        self._failure: BaseException | None = None
        self._threads = [
            threads.thread(partial(self._guarded, stage), f"embedder-{name}")
            for name, stage in (("plan", self._plan), ("encode", self._encode), ("apply", self._apply))
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Raises what stopped a stage, if anything did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ends the threads; what is in flight is left for whoever reads it next. Drain first if it should not be."""
        self._stopping.set()
        self._workload.close()
        _put_last(self._planned)
        _put_last(self._encoded)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    # --- the threads ---

    def _plan(self) -> None:
        parts = self._parts
        while batch := self._workload.take(parts.batch_tokens):
            planned = self._patience.until_available("index", partial(self._planned_of, batch))
            if not self._hand_over(self._planned, planned):
                return

    def _planned_of(self, batch: Sequence[Revision]) -> list[Planned]:
        parts = self._parts
        return plan_batch(
            parts.index,
            batch,
            parts.fit_title,
            parts.clock,
            store_text=parts.store_text,
            collection=parts.collection,
            copies=parts.copies,
        )

    def _encode(self) -> None:
        parts = self._parts
        while (batch := self._planned.get()) is not None:
            began = parts.clock.monotonic()
            encoded, refused = self._patience.until_available("encoder", partial(encode_batch, parts.encoder, batch))
            missing = sum(len(item.vectors) - len(item.planned.copied) for item in encoded)
            if missing:
                tokens = sum(item.planned.revision.cost for item in encoded)
                parts.metrics.batch(len(batch), missing, tokens, parts.clock.monotonic() - began)
            self._dead_letter(refused)
            if encoded and not self._hand_over(self._encoded, encoded):
                return

    def _apply(self) -> None:
        while (batch := self._encoded.get()) is not None:
            began = self._parts.clock.monotonic()
            owned = []
            for item in batch:
                revision = item.planned.revision
                if self._workload.owned(revision):
                    owned.append(item)
                else:
                    self._workload.finish(revision)
            applied = self._patience.until_available("index", partial(self._applied, owned))
            self._dead_letter(applied.refused)
            for revision in applied.expired:
                self._workload.put_back(revision)
            for item in applied.done:
                self._workload.finish(item.planned.revision)
            self._count(applied, self._parts.clock.monotonic() - began)

    def _applied(self, batch: Sequence[Encoded]) -> Applied:
        return apply_batch(self._parts.index, batch, self._parts.clock, self._parts.plan_max_age_s)

    def _dead_letter(self, refused: Sequence[Refused]) -> None:
        """A revision is done only when its letter is acknowledged: until then its offset is not committed."""
        parts = self._parts
        for item in refused:
            event = item.revision.event
            letter = parts.letterbox.letter(item.revision.record, _STAGE, item.poison, event.version, event.lineage)
            try:
                self._patience.until_available("dead letters", partial(parts.producer.send, [letter]))
            except Poison as poison:
                raise undeliverable(poison) from poison
            _LOG.warning("Dead letter of %s at version %d: %s", event.doc_id, event.version, item.poison)
            parts.metrics.dead_letter(_STAGE, item.poison.kind)
            parts.metrics.events("poison")
            self._workload.finish(item.revision)

    def _count(self, applied: Applied, seconds: float) -> None:
        metrics = self._parts.metrics
        metrics.written(applied.writes, seconds)
        for item in applied.done:
            plan = item.planned.plan
            if isinstance(plan, Plan):
                metrics.events("applied")
                metrics.chunks("embedded", len(plan.missing) - len(item.planned.copied))
                metrics.chunks("copied", len(item.planned.copied))
                metrics.chunks("kept", plan.kept_count)
                metrics.chunks("removed", plan.removed_count)
                metrics.searchable(item.planned.revision.event.source_ts_ms)
            else:
                metrics.events("stale")

    def _hand_over(self, to: "queue.Queue[list[Item] | None]", batch: list[Item]) -> bool:
        while not self._stopping.is_set():
            try:
                to.put(batch, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # noqa: BLE001 - kept for the poll thread, which raises it
            if not self._stopping.is_set():
                self._failure = error
                self._stopping.set()
                self._workload.close()
                _put_last(self._planned)
                _put_last(self._encoded)


def _put_last(hand_over: "queue.Queue[list[Item] | None]") -> None:
    """Wakes a stage that waits for a batch; what it had not taken is dropped."""
    while True:
        try:
            return hand_over.put_nowait(None)
        except queue.Full:
            try:
                hand_over.get_nowait()
            except queue.Empty:
                continue
