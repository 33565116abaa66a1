"""Documents whose rows are gone without an event, as the last snapshot of their source tells (``--after-snapshot``).

When each source's last snapshot began, and where, is found out once, below ends that are noted once: whatever part of
the chunk topic is looked at later is held against the same snapshot. A source of which nothing shows a snapshot since
then is passed over, and so is one whose records cannot show it, unless the operator names it: silence proves
something only where every row was asked. That the snapshot was one of the whole table, and that it is complete, is
the operator's word: an incremental snapshot leaves no mark of either among its records.

Of each part's documents the CDC topic is read for their last records; a document with text of which nothing was
written since is gone. What is published is a delete revision, at the version that ``stream.snapshot_start`` gives;
none, where it is not known in which partition the rows stand, or where a record since then may be any row's.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from operations.audit.surroundings import Surroundings
from schemas.identity import DocId, Version, source_of
from schemas.row_event import RowEvent
from stream.change import document_told
from stream.errors import Fatal, Poison
from stream.last_state import LastState
from stream.ports import Partition, Record
from stream.snapshot_start import Since, SnapshotBegin, delete_version
from stream.source import Source


@dataclass(frozen=True, slots=True)
class Gone:
    """``version``: that of the delete; None where there is none, and ``why``. ``known``: the newest revision."""

    document: DocId
    known: Version
    version: Version | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotSeen:
    """What one source's topic told: when its last snapshot began, and where that is, and how many of its rows stand
    there. ``passed_over`` is the clause that says why nothing was looked for; then the rest is empty.
    """

    source: str
    began_ms: int | None
    starts: Mapping[Partition, int]
    rows: int = 0
    passed_over: str = ""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a record says. ``nameless``: it may be of any row."""

    document: DocId | None = None
    event: RowEvent | None = None
    nameless: bool = False


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Of a source that is looked at. ``nameless``: partitions with a record since the start that names no row."""

    source: Source
    starts: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    nameless: frozenset[Partition]


class GoneRows:
    """Of one audit. ``seen`` says what each source's topic told, in their order."""

    def __init__(
        self, around: Surroundings, since_ms: int | None = None, named: Collection[str] | None = None
    ) -> None:
        """``named``: only these sources. Raises Misuse where ``since_ms`` is needed, Fatal where rows are lost."""
        self._around = around
        self.seen: list[SnapshotSeen] = []
        self._snapshots: list[_Snapshot] = []
        for source in around.sources:
            if named is None or source.name in named:
                self._look_at(source, since_ms, named=named is not None)

    def of(self, state: LastState) -> Iterator[Gone]:
        """Of the documents of ``state``. Raises Fatal where a topic has lost a part of the snapshot meanwhile."""
        for snapshot in self._snapshots:
            yield from self._gone(snapshot, state)

    def _look_at(self, source: Source, since_ms: int | None, *, named: bool) -> None:
        ends = self._around.topics.ends(source.topic)
        began_ms = self._began_ms(source, ends) if since_ms is None else since_ms
        if began_ms is None:
            self._pass_over(source, "its topic tells of none")
            return
        since = Since(began_ms)
        nameless: set[Partition] = set()
        for record in self._records(ends):
            told = self._told(source, record)
            since.take(record.partition, record.offset, record.timestamp_ms, told.event)
            if told.nameless and record.timestamp_ms >= began_ms:
                nameless.add(record.partition)
        if not since.rows and not (named and since.untold):
            named_by = f"; say --source {source.name} if one did"
            why = f"its records since then do not tell whether a snapshot wrote them{named_by}"
            self._pass_over(source, why if since.untold else "its topic has no row of a snapshot since then")
            return
        starts = since.starts(ends)
        self.seen.append(SnapshotSeen(source.name, began_ms, starts, since.rows or since.untold))
        lows = self._around.topics.low_watermarks(source.topic)
        if (place := since.cut_off(starts, lows)) is not None:
            raise _lost(source, place, lows[place])
        self._snapshots.append(_Snapshot(source, starts, ends, frozenset(nameless)))

    def _pass_over(self, source: Source, why: str) -> None:
        self.seen.append(SnapshotSeen(source.name, None, {}, passed_over=why))

    def _began_ms(self, source: Source, ends: Mapping[Partition, int]) -> int | None:
        begin = SnapshotBegin(source.name)
        for record in self._records(ends):
            begin.take(record.partition, record.timestamp_ms, self._told(source, record).event)
        return begin.began_ms()

    def _gone(self, snapshot: _Snapshot, state: LastState) -> Iterator[Gone]:
        asked: dict[DocId, Version] = {}
        for document in state.documents():
            revision = state.get(document)
            if revision is not None and len(revision) and source_of(document) == snapshot.source.name:
                asked[document] = revision.version
        if not asked:
            return
        last: dict[DocId, tuple[Partition, int]] = {}
        for record in self._records(snapshot.ends):
            told = self._told(snapshot.source, record)
            if told.document is not None and told.document in asked:
                last[told.document] = record.partition, record.offset
        lows = self._around.topics.low_watermarks(snapshot.source.topic)
        for place, start in snapshot.starts.items():
            if lows.get(place, 0) > start:
                raise _lost(snapshot.source, place, lows[place])
        for document, known in asked.items():
            stood = last.get(document)
            if stood is None or stood[1] < snapshot.starts[stood[0]]:
                yield _as_gone(snapshot, document, known, None if stood is None else stood[0])

    def _records(self, ends: Mapping[Partition, int]) -> Iterator[Record]:
        return (record for record in self._around.records(sorted(ends), {}) if record.offset < ends[record.partition])

    def _told(self, source: Source, record: Record) -> _Told:
        """A record that cannot be read still says, by its key, that the row is there."""
        unframer = self._around.unframer
        try:
            key, value = unframer.unframed(record)
            told = document_told(source, key, value, record.headers)
        except Poison:
            try:
                key, _ = unframer.unframed(replace(record, value=None))
                named = document_told(source, key, None, record.headers)
            except Poison:
                return _Told(nameless=True)
            return _Told(nameless=True) if named is None else _Told(named[0])
        return _Told() if told is None else _Told(*told)


def _as_gone(snapshot: _Snapshot, document: DocId, known: Version, place: Partition | None) -> Gone:
    if place is None and len(snapshot.starts) == 1:
        (place,) = snapshot.starts
    if place is None:
        return Gone(
            document,
            known,
            None,
            "its row is gone, and the CDC topic has no record left that says in which partition its rows stand, so "
            "no version is safe for the delete; insert a row under its key and delete it again",
        )
    if place in snapshot.nameless:
        return Gone(
            document,
            known,
            None,
            f"its row is in no record since the snapshot began, but a record of partition {place.number} of "
            f"{place.topic} names no row and may be this one; take another snapshot",
        )
    version = delete_version(known, snapshot.starts[place], snapshot.ends[place])
    why = (
        "its row is gone and no version is free for the delete; audit again once something was written to its "
        "partition of the CDC topic"
    )
    return Gone(document, known, version, why if version is None else "")


def _lost(source: Source, place: Partition, low: int) -> Fatal:
    return Fatal(
        f"The CDC topic {source.topic} has lost records below offset {low} in partition {place.number}, and some of "
        "the snapshot may be among them, so rows that exist would pass for gone; give the topic more retention and "
        "take another snapshot."
    )
