"""One partition in memory: records at offsets, transactions with their markers, compaction.

It keeps Kafka's arithmetic, because offsets are what the core reasons about: a marker takes an offset that no record
has, an aborted record keeps the one it took, compaction and truncation leave gaps. A reader of committed records sees
the log up to its *stable end*, the first record of the oldest transaction that is still open.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from operator import attrgetter

from stream.ports import Record


@dataclass(slots=True, eq=False)
class Transaction:
    """Shared by all partitions it wrote to; ``committed`` is None while it is open."""

    committed: bool | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    offset: int
    record: Record
    transaction: Transaction | None

    @property
    def visible(self) -> bool:
        return self.transaction is None or self.transaction.committed is True


@dataclass(slots=True)
class PartitionLog:
    """``low`` is the first offset that can still be asked for, ``end`` the next one to be given."""

    low: int = 0
    end: int = 0
    _entries: list[_Entry] = field(default_factory=list)
    _open: dict[Transaction, int] = field(default_factory=dict)

    @property
    def stable_end(self) -> int:
        """Where a reader of committed records stops."""
        return min(self._open.values(), default=self.end)

    def append(self, record: Record, transaction: Transaction | None = None) -> None:
        """Writes one record, whose offset is :attr:`end`."""
        self._entries.append(_Entry(self.end, record, transaction))
        if transaction is not None:
            self._open.setdefault(transaction, self.end)
        self.end += 1

    def mark(self, transaction: Transaction) -> None:
        """Writes the marker of a transaction that has ended, where it wrote here."""
        if self._open.pop(transaction, None) is not None:
            self.end += 1

    def read(self, position: int, limit: int) -> tuple[list[Record], int]:
        """At most ``limit`` committed records from ``position`` on, and the position behind them."""
        stable = self.stable_end
        found: list[Record] = []
        for entry in self._entries[bisect_left(self._entries, position, key=attrgetter("offset")) :]:
            if entry.offset >= stable:
                break
            if len(found) == limit:
                return found, entry.offset
            if entry.visible:
                found.append(entry.record)
        return found, max(position, stable)

    def compact(self, *, drop_tombstones: bool = False, before_ms: int | None = None) -> None:
        """Keeps the last committed record of each key and all that is not decided yet; offsets stay. From the first
        record on that was written at ``before_ms`` or later nothing is looked at: Kafka's minimum lag.
        """
        stable = self.stable_end
        if before_ms is not None:
            young = (entry.offset for entry in self._entries if entry.record.timestamp_ms >= before_ms)
            stable = min(stable, next(young, stable))
        settled = [entry for entry in self._entries if entry.offset < stable and entry.visible]
        newest = {entry.record.key: entry.offset for entry in settled}
        self._entries = [
            entry
            for entry in settled
            if newest[entry.record.key] == entry.offset and not (drop_tombstones and entry.record.value is None)
        ] + [entry for entry in self._entries if entry.offset >= stable]

    def truncate(self, before: int) -> None:
        """What retention does: everything below ``before`` is gone."""
        self.low = max(self.low, min(before, self.end))
        self._entries = [entry for entry in self._entries if entry.offset >= self.low]
