"""When the last snapshot of a source began, where that is in its CDC topic, and at which version a missing row goes.

A row that is deleted while no connector listens leaves no event: neither a slot that was dropped nor a log that was
cut tells of it. A snapshot of the whole table tells, by silence: each row that exists is written again. So once such
a snapshot is complete, a document of which nothing was written since it began is gone, whatever the chunk topic says.

When it began is told by the clock of the records, which one connector writes to all partitions; a partition in which
the snapshot has no row has a beginning too, and a row that is inserted meanwhile lies behind it. The instant need not
be exact, only not too late: from an earlier one more rows are seen and fewer are taken for gone. Any snapshot but an
*incremental* one holds the log up, so it began behind the last record of the log before its newest row; a record
that cannot be read may be either's, and neither begins a snapshot nor ends one. Records of an incremental snapshot
have the log's own between them, and a row that changed in its first window has its record before any of them; so it
began a margin before the first of them behind any other snapshot. Several incremental snapshots cannot be told apart,
nor can records that were flattened; there the operator says since when.

The delete's version is that of the first record since then in the document's partition: it is above the document's
own and above that of any letter from before, no other event of the document has it (that record is another row's),
and whatever comes later is above it. Where the partition holds nothing since then, its end takes the place.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.identity import Version
from schemas.row_event import RowEvent, RowWritten
from stream.errors import Misuse
from stream.ports import Partition

MARGIN_MS = 3_600_000
"""How long before its first record an incremental snapshot is taken to have begun, an hour. What changes in a window
is written at once and its row's own record never; the window's other rows follow when the log has been read up to its
end: in seconds, or as late as the connector is behind. Who has a connector further behind says since when."""

_Kind = Literal["snapshot", "log", "unread"]


@dataclass(slots=True)
class _Run:
    """Records of a partition, one after the other: of snapshots that hold the log up, or not. Times in ms."""

    kind: _Kind
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class SnapshotBegin:
    """Of one source: takes every record, each partition's in order."""

    source: str
    _runs: dict[Partition, list[_Run]] = field(default_factory=dict)
    _incremental: dict[Partition, int] = field(default_factory=dict)
    _newest: tuple[int, bool] | None = None
    """When the newest row of a snapshot was written, and whether that was an incremental one."""
    _untold: bool = False

    def take(self, place: Partition, timestamp_ms: int, event: RowEvent | None) -> None:
        """``event`` is None where the record could not be read, or tells of no row."""
        if event is None:
            self._extend(place, timestamp_ms, "unread")
            return
        read = isinstance(event, RowWritten) and event.snapshot
        incremental = isinstance(event, RowWritten) and bool(event.incremental)
        self._extend(place, timestamp_ms, "snapshot" if read and not incremental else "log")
        if not read:
            return
        self._untold = self._untold or (isinstance(event, RowWritten) and event.incremental is None)
        if self._newest is None or timestamp_ms >= self._newest[0]:
            self._newest = timestamp_ms, incremental
        if incremental:
            self._incremental.setdefault(place, timestamp_ms)
        else:
            self._incremental.pop(place, None)

    def began_ms(self) -> int | None:
        """None where the topic tells of no snapshot. Raises Misuse where the operator has to say since when."""
        if self._newest is None:
            return None
        if self._untold:
            raise Misuse(
                f"The records of source {self.source!r} do not tell one kind of snapshot from another; say with "
                "--since when the last one was started, or a little before."
            )
        newest_ms, incremental = self._newest
        if incremental:
            return min(self._incremental.values(), default=newest_ms) - MARGIN_MS
        runs = [run for of_partition in self._runs.values() for run in of_partition]
        logged = sorted(moment for run in runs if run.kind == "log" for moment in (run.first_ms, run.last_ms))
        began = max((run for run in runs if run.kind == "snapshot"), key=lambda run: run.last_ms).first_ms
        for run in sorted((run for run in runs if run.kind != "log"), key=lambda run: run.last_ms, reverse=True):
            after = bisect_right(logged, run.last_ms)
            if after < len(logged) and logged[after] < began:
                break
            began = min(began, run.first_ms)
        return began

    def _extend(self, place: Partition, timestamp_ms: int, kind: _Kind) -> None:
        runs = self._runs.setdefault(place, [])
        if runs and runs[-1].kind == kind:
            runs[-1].last_ms = timestamp_ms
        else:
            runs.append(_Run(kind, timestamp_ms, timestamp_ms))


@dataclass(slots=True)
class Since:
    """Of one topic: where ``began_ms`` lies in each partition. Takes every record, each partition's in order."""

    began_ms: int
    rows: int = 0
    """Since then, that a snapshot wrote."""
    untold: int = 0
    """Rows since then that do not tell whether a snapshot wrote them."""
    _first: dict[Partition, int] = field(default_factory=dict)
    _since: dict[Partition, int] = field(default_factory=dict)

    def take(self, place: Partition, offset: int, timestamp_ms: int, event: RowEvent | None = None) -> None:
        """``event`` as for :meth:`SnapshotBegin.take`."""
        self._first.setdefault(place, offset)
        if timestamp_ms >= self.began_ms:
            self._since.setdefault(place, offset)
            if isinstance(event, RowWritten):
                self.rows += event.snapshot
                self.untold += event.incremental is None and not event.snapshot

    def starts(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        """Partition → first offset since then; its end where there is none."""
        return {place: self._since.get(place, end) for place, end in ends.items()}

    def cut_off(self, starts: Mapping[Partition, int], lows: Mapping[Partition, int]) -> Partition | None:
        """A partition that has lost its beginning, perhaps a part of the snapshot with it: nothing in front of the
        start is left that would show otherwise.
        """
        for place, start in starts.items():
            if lows.get(place, 0) > 0 and self._first.get(place, start) >= start:
                return place
        return None


def delete_version(known: Version, start: int, end: int) -> Version | None:
    """At which version a document is deleted whose newest revision is ``known``; ``start`` and ``end`` are those of
    the partition in which its rows stand. None where no version is free before the partition's next record.
    """
    version = min(start + 1, end)
    return Version(version) if known <= start and version > known else None
