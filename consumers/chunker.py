"""The chunker: CDC records in, one chunk event a revision out, in one Kafka transaction with the input offsets.

It keeps no state. What a poll brings is turned into events by the pure core; the revisions of one document among them
coalesce to the last good one; poison becomes a dead letter in the same transaction. Readers see the events of a
document in version order, each once, whoever was killed on the way: a late duplicate would otherwise be the record
that compaction keeps.

The lineage of every source is committed in each transaction, as metadata of partition 0 of the *chunk* topic (a CDC
topic that is deleted takes its own offsets and metadata with it), and compared with the broker's topic ids at start,
at assignment and every second.

After an aborted transaction the consumer is rewound to what was taken, and the same records are read again.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from adapters.metrics import Metrics
from consumers.lineage_watch import LineageWatch
from schemas.chunk_codec import traceparent_of
from schemas.identity import Fingerprint, Version
from stream.change import Delete, Ignore, Upsert, read_change
from stream.errors import Fatal, Outage, Poison
from stream.framed import NoRegistry
from stream.letterbox import Letterbox, undeliverable
from stream.ports import (
    Clock,
    Committed,
    Outgoing,
    Partition,
    Polled,
    Reader,
    Record,
    TransactionalProducer,
    Unframer,
)
from stream.revision import ChunkTopic, Cutter
from stream.source import Source

_LOG = logging.getLogger("embedstream.chunker")
_STAGE = "chunker"
_RECOMMIT_LINEAGE_S = 3600.0
"""The group does not subscribe to the chunk topic, so the broker forgets its metadata there after a week."""
_PORTION_BYTES = 8 << 20


class Stopping(Protocol):
    """Whether the process was told to stop; ``wait`` returns early then."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class ChunkerParts:
    """What a chunker is made of."""

    sources: Mapping[str, Source]
    """CDC topic → source."""
    heartbeats: Mapping[str, Sequence[str]]
    """Heartbeat topic → names of the sources whose connector writes it."""
    fingerprints: Mapping[str, Fingerprint]
    """Source name → header fingerprint."""
    cutter: Cutter
    chunks: ChunkTopic
    letterbox: Letterbox
    lineage: LineageWatch
    metrics: Metrics
    clock: Clock
    unframer: Unframer = field(default_factory=NoRegistry)
    """Takes keys and values out of the frames of a schema registry, where they are in one."""


@dataclass(slots=True)
class _Transaction:
    """What one poll comes to."""

    events: dict[str, Outgoing] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    letters: list[Outgoing] = field(default_factory=list)
    poisons: list[Poison] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)
    ignored: int = 0


class Chunker:
    """Implements ``stream.ports.Assignment``. One thread; a poll is finished before the next one begins, so nothing
    is in flight when partitions leave.
    """

    def __init__(self, parts: ChunkerParts) -> None:
        self._parts = parts
        self._mine: set[Partition] = set()
        self._positions: dict[Partition, int] = {}
        self._arrived: list[tuple[list[Partition], Mapping[Partition, Committed]]] = []
        self._committed_at = float("-inf")

    # --- assignment ---

    def on_assigned(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        """Notes them; nothing of theirs is turned into an event before their lineage and history were checked."""
        mine = [partition for partition in partitions if partition.topic in self._parts.sources]
        self._arrived.append((mine, committed))
        self._mine.update(partitions)
        self._positions.update({partition: place.offset for partition, place in committed.items()})

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Nothing is in flight between two polls."""
        self._mine.difference_update(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """As :meth:`on_revoked`: there is nothing to commit."""
        self.on_revoked(partitions)

    # --- work ---

    def run(
        self, consumer: Reader, producer: TransactionalProducer, stopping: Stopping, max_records: int = 500
    ) -> None:
        """Until told to stop. Raises Fatal."""
        while not stopping.is_set():
            try:
                self.turn(consumer, producer, max_records, timeout_s=0.2)
            except Outage as outage:
                self._parts.metrics.outage(_STAGE)
                _LOG.warning("%s", outage)
                stopping.wait(outage.retry_after_s or 0.5)

    def turn(self, consumer: Reader, producer: TransactionalProducer, max_records: int, timeout_s: float) -> None:
        """One poll and, if it brought anything, one transaction. Raises Outage after rewinding."""
        parts = self._parts
        parts.lineage.check_when_due(parts.clock.monotonic())
        try:
            polled = consumer.poll(max_records, timeout_s)
        except Fatal:
            # Where offsets are gone because the topic was made anew, that is what has to be told.
            with suppress(Outage):
                parts.lineage.check()
            raise
        portions = _portions(polled)
        for number, portion in enumerate(portions):
            try:
                self._check_arrived()
                self._transact(producer, portion)
            except Outage:
                consumer.rewind(_first(portions[number:]))
                raise

    def _transact(self, producer: TransactionalProducer, portion: Polled) -> None:
        parts = self._parts
        began = parts.clock.monotonic()
        transaction = self._read(portion)
        said = began - self._committed_at < _RECOMMIT_LINEAGE_S and not parts.lineage.overwritten
        silent = not self._mine or said
        if not transaction.offsets and silent:
            return
        offsets = {
            **parts.lineage.commit(),
            **{partition: Committed(offset) for partition, offset in transaction.offsets.items()},
        }
        if not offsets:
            return
        try:
            producer.transact([*transaction.events.values(), *transaction.letters], offsets)
        except Outage:
            parts.metrics.transaction("aborted", parts.clock.monotonic() - began)
            raise
        except Poison as poison:
            raise undeliverable(poison) from poison
        parts.lineage.committed()
        self._committed_at = parts.clock.monotonic()
        self._positions.update(transaction.offsets)
        self._count(transaction, self._committed_at - began)

    def _check_arrived(self) -> None:
        while self._arrived:
            self._parts.lineage.on_assigned(*self._arrived[0])
            self._arrived.pop(0)

    def _read(self, polled: Polled) -> _Transaction:
        transaction = _Transaction()
        for record in polled.records:
            if self._is_heartbeat(record):
                transaction.ignored += 1
                continue
            transaction.offsets[record.partition] = record.offset + 1
            source = self._parts.sources[record.partition.topic]
            self._read_record(source, record, transaction)
        for partition, end in polled.ends.items():
            if partition.topic in self._parts.sources and end > transaction.offsets.get(
                partition, self._positions.get(partition, -1)
            ):
                transaction.offsets[partition] = end
        return transaction

    def _is_heartbeat(self, record: Record) -> bool:
        """They move one metric and are never committed: nothing depends on where their topic was read to."""
        names = self._parts.heartbeats.get(record.partition.topic, ())
        for name in names:
            self._parts.metrics.source_watermark(name, record.timestamp_ms)
        return bool(names)

    def _read_record(self, source: Source, record: Record, transaction: _Transaction) -> None:
        version = Version(record.offset + 1)
        try:
            key, value = self._parts.unframer.unframed(record)
            change = read_change(source, key, value, record.headers, version, record.timestamp_ms)
            if isinstance(change, Ignore):
                transaction.ignored += 1
                return
            if _only_repeats(change, transaction):
                transaction.ignored += 1
                return
            outgoing = self._event(source, change, record)
        except Poison as poison:
            lineage = self._parts.lineage.of(source.name)
            transaction.letters.append(self._parts.letterbox.letter(record, _STAGE, poison, version, lineage))
            transaction.poisons.append(poison)
            _LOG.warning("Dead letter of %s [%s] @%d: %s", *_place(record), poison)
            return
        if change.source_ts_ms is not None:
            self._parts.metrics.source_watermark(source.name, change.source_ts_ms)
        # The last good revision of a document stands where its last record stood.
        transaction.events.pop(change.doc_id, None)
        transaction.events[change.doc_id] = outgoing
        if isinstance(change, Delete):
            transaction.deleted.add(change.doc_id)
        else:
            transaction.deleted.discard(change.doc_id)

    def _event(self, source: Source, change: Upsert | Delete, record: Record) -> Outgoing:
        parts = self._parts
        parts.chunks.refuse_hopeless(change)
        event = parts.cutter.event(source.name, change, parts.lineage.of(source.name))
        return parts.chunks.outgoing(event, parts.fingerprints[source.name], traceparent_of(record.headers))

    def _count(self, transaction: _Transaction, seconds: float) -> None:
        metrics = self._parts.metrics
        metrics.transaction("committed", seconds)
        metrics.events("ignored", transaction.ignored)
        metrics.events("poison", len(transaction.poisons))
        for poison in transaction.poisons:
            metrics.dead_letter(_STAGE, poison.kind)


def _only_repeats(change: Upsert | Delete, transaction: _Transaction) -> bool:
    """A tombstone behind its delete: the delete says the same, and when and whose."""
    return isinstance(change, Delete) and change.source_ts_ms is None and change.doc_id in transaction.deleted


def _portions(polled: Polled) -> list[Polled]:
    """A transaction has to end within its time-out, so what one carries is bounded in bytes; the ends come last."""
    portions: list[Polled] = []
    records: list[Record] = []
    size = 0
    for record in polled.records:
        length = len(record.value or b"")
        if records and size + length > _PORTION_BYTES:
            portions.append(Polled(tuple(records)))
            records, size = [], 0
        records.append(record)
        size += length
    return [*portions, Polled(tuple(records), polled.ends)]


def _first(portions: Sequence[Polled]) -> dict[Partition, int]:
    """Where to read again. An end is told once, so a partition of which only the end was told goes back to it."""
    first: dict[Partition, int] = {}
    for portion in portions:
        for record in portion.records:
            first.setdefault(record.partition, record.offset)
        for partition, end in portion.ends.items():
            first.setdefault(partition, end)
    return first


def _place(record: Record) -> tuple[str, int, int]:
    return record.partition.topic, record.partition.number, record.offset
