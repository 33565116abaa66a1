"""The audit: the chunk topic's last state against the index's collection, and what becomes of the differences.

First look: ends are noted; partitions of the topic are read up to them, as many as may be held at once; when the
embedders have passed the ends, the whole collection is scrolled, and each point is met by the documents that are held
(``stream.survey``). Where the topic does not fit at once, the collection is scrolled again for the next partitions:
memory is bounded by ``hold`` or by the largest partition, and the price is one more scroll for each part. The
topic itself is read once. Then the suspects alone are looked at again (``second_look``), what is left is told point
by point (``stream.difference``), and vectors are made anew, of a sample or of all.

A repair publishes, waits until the embedders have applied it, and looks at what was repaired once more. Nothing is
written to the index at any time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from operations.audit.gone_rows import Gone, GoneRows, SnapshotSeen
from operations.audit.reading import TopicReading
from operations.audit.repairing import Repairing
from operations.audit.report import Report
from operations.audit.second_look import Settled, follow, look_again, stored_points
from operations.audit.surroundings import Surroundings
from operations.audit.vectors import VectorCheck, Wanted
from schemas.identity import ChunkId, DocId, Version, document_point_id
from stream.difference import Difference, Kind, differences, orphans
from stream.last_state import LastState
from stream.ports import Partition
from stream.sample import Sample
from stream.survey import Foreign, Survey

_TELLINGS = 3
"""Looks and tellings in turn; what changed during the last one too is left unsettled."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How far an audit goes. ``sample``: vectors that are made again; 0: none. ``salt`` chooses which."""

    sample: int = 0
    all_vectors: bool = False
    after_snapshot: bool = False
    since_ms: int | None = None
    sources: frozenset[str] | None = None
    """Of which alone rows are looked for behind a snapshot; None: of all that can show one."""
    salt: bytes = b""


@dataclass(slots=True)
class _Found:
    """What the first look leaves: the suspects with their state, what is sampled, and what is known already."""

    state: LastState
    suspects: dict[DocId, None] = field(default_factory=dict)
    vectors: list[Difference] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    gone: dict[DocId, Gone] = field(default_factory=dict)


class Audit:
    """One run, for one collection. Raises Fatal where the embedders do not come to the ends noted, and Outage."""

    def __init__(self, around: Surroundings, scope: Scope) -> None:
        self._around = around
        self._scope = scope
        self._reading = TopicReading(around)
        self._vectors = None if around.encode is None else VectorCheck(around, self._reading, around.encode)
        self._report = Report(around.collection)

    def run(self) -> Report:
        """Looks, repairs where there is a producer, and looks at that again."""
        ends = dict(self._reading.ends())
        self._reading.await_passed(ends)
        found = self._first_look(ends)
        report = self._report
        told, positions = self._look_again(found.state, found.suspects, ends)
        foreign = [Difference(Kind.FOREIGN, one.doc_id, one.id, Version(0), one.why) for one in found.foreign]
        report.differences = [*foreign, *told, *_of_gone(found.gone), *found.vectors]
        if self._around.producer is not None and report.differences:
            repairing = Repairing(self._around, self._reading, self._around.producer)
            repairing.publish(report.differences, found.state, found.gone)
            report.repair = repairing.done
            self._look_at_repaired(found.state, positions)
        self._count_vectors()
        return report

    # --- the first look ---

    def _first_look(self, ends: dict[Partition, int]) -> _Found:
        lost = self._lost()
        found = _Found(LastState(self._around.admission, self._around.store_text, lost))
        gone_rows = self._gone_rows()
        sample: Sample[tuple[Partition, int, ChunkId]] = Sample(self._scope.sample, self._scope.salt)
        waiting = sorted(ends)
        while waiting:
            state, places = self._next_portion(waiting, ends, lost)
            mine = {place.number for place in places}
            survey = Survey(state, partial(self._is_in, mine))
            for point in self._around.index.scroll():
                survey.meet(point)
            suspects = survey.finish()
            if not self._report.passes:
                found.foreign = survey.foreign
            for one in survey.foreign:
                # No planner could read what is stored of it, nor can a second look.
                suspects.pop(one.doc_id, None)
            self._sum_up(survey, state)
            if gone_rows is not None:
                found.gone.update((gone.document, gone) for gone in gone_rows.of(state))
            self._choose_vectors(found, sample, state)
            found.suspects.update(suspects)
            state.hand_over({**suspects, **found.gone, **_documents(found.vectors)}, found.state)
        if not self._scope.all_vectors:
            self._check_sample(found, sample)
        return found

    def _is_in(self, numbers: Collection[int], document: DocId) -> bool:
        return self._around.place_of(document).number in numbers

    def _next_portion(
        self, waiting: list[Partition], ends: dict[Partition, int], lost: Callable[[DocId], bool]
    ) -> tuple[LastState, list[Partition]]:
        """Partitions until enough is held, one at least."""
        state = LastState(self._around.admission, self._around.store_text, lost)
        taken: list[Partition] = []
        while waiting and state.held <= self._around.hold:
            place = waiting.pop(0)
            taken.append(place)
            for record in self._reading.records({place: ends[place]}, {}):
                state.take(record)
        return state, taken

    def _sum_up(self, survey: Survey, state: LastState) -> None:
        report = self._report
        report.passes += 1
        report.points += survey.points
        report.live += survey.live
        report.unknown += survey.unknown
        report.unknown += (one for one in state.unknown_documents() if one not in survey.unknown)
        for document in state.documents():
            revision = state.get(document)
            report.documents += 1
            report.chunks += 0 if revision is None else len(revision)

    def _gone_rows(self) -> GoneRows | None:
        """What the snapshots are, once for all parts, and behind the ends of the chunk topic that were noted."""
        if not self._scope.after_snapshot:
            return None
        rows = GoneRows(self._around, self._scope.since_ms, self._scope.sources)
        self._report.notes += map(_snapshot_line, rows.seen)
        return rows

    def _lost(self) -> Callable[[DocId], bool]:
        """Whether the beginning of a document's partition is gone, and its revision perhaps with it."""
        lows = self._reading.lows()
        cut = frozenset(place for place, low in lows.items() if low > 0)
        return lambda document: self._around.place_of(document) in cut

    # --- vectors ---

    def _choose_vectors(
        self, found: _Found, sample: "Sample[tuple[Partition, int, ChunkId]]", state: LastState
    ) -> None:
        if self._vectors is None:
            return
        everything: dict[Partition, dict[int, frozenset[ChunkId] | None]] = {}
        for document in state.documents():
            revision = state.get(document)
            if revision is None:
                continue
            if self._scope.all_vectors:
                everything.setdefault(revision.place, {})[revision.offset] = None
                continue
            for position in range(len(revision)):
                chunk = revision.chunk(position)
                sample.offer(chunk, (revision.place, revision.offset, chunk))
        found.vectors += self._vectors.differing(everything)

    def _check_sample(self, found: _Found, sample: "Sample[tuple[Partition, int, ChunkId]]") -> None:
        if self._vectors is None:
            return
        wanted: dict[Partition, dict[int, frozenset[ChunkId] | None]] = {}
        for place, offset, chunk in sample.items():
            chunks = wanted.setdefault(place, {})
            chunks[offset] = (chunks.get(offset) or frozenset()) | {chunk}
        found.vectors += self._vectors.differing(wanted)
        self._hold(found.state, found.vectors)

    def _hold(self, state: LastState, differing: Sequence[Difference]) -> None:
        """A repair needs to know where the revisions of these documents lie; they are read again for it."""
        documents = [one.doc_id for one in differing if state.get(one.doc_id) is None]
        if documents:
            ends = self._reading.ends()
            wanted = {place: ends[place] for place in map(self._around.place_of, documents)}
            for document in dict.fromkeys(documents):
                state.learn(document, {}, unreadable=False)
            for record in self._reading.records(wanted, {}):
                told = state.told_of(record)
                if told is not None and state.follows(told):
                    state.take(record)

    def _count_vectors(self) -> None:
        self._report.vectors = 0 if self._vectors is None else self._vectors.checked

    # --- what differs ---

    def _look_again(
        self, state: LastState, suspects: Iterable[DocId], positions: Mapping[Partition, int]
    ) -> tuple[list[Difference], Mapping[Partition, int]]:
        """What differs, and up to where ``state`` is known then. What changes while it is told is looked at again."""
        told: list[Difference] = []
        waiting = dict.fromkeys(suspects)
        for _ in range(_TELLINGS):
            settled = look_again(self._around, self._reading, state, waiting, positions)
            self._report.unsettled += settled.unsettled
            found, replaced = self._told(settled)
            moved = {**replaced, **follow(self._reading, settled, settled.damaged)}
            told += [one for one in found if one.doc_id not in moved]
            waiting, positions = moved, settled.positions
            if not waiting:
                break
        self._report.unsettled += waiting
        return told, positions

    def _told(self, settled: Settled) -> tuple[list[Difference], dict[DocId, None]]:
        """Point by point, and the documents whose revision compaction has taken meanwhile, for a newer one's sake.

        A point under another document's name is told where its id belongs.
        """
        around = self._around
        told: list[Difference] = []
        wanted: dict[Partition, dict[int, DocId]] = {}
        for document in settled.damaged:
            revision = settled.state.get(document)
            if revision is None:
                told += orphans(document, stored_points(around, [document]))
            else:
                wanted.setdefault(revision.place, {})[revision.offset] = document
        replaced = {document: None for offsets in wanted.values() for document in offsets.values()}
        for document, event in self._reading.events(wanted):
            del replaced[document]
            ids = [*(chunk.id for chunk in event.chunks), document_point_id(document)]
            points = {point.id: point for point in (*around.index.points(ids), *stored_points(around, [document]))}
            told += differences(event, list(points.values()), store_text=around.store_text)
        strays = (Kind.ORPHANED, Kind.DUPLICATED)
        return [one for one in told if not (one.kind in strays and one.id in settled.unmet)], replaced

    def _look_at_repaired(self, state: LastState, positions: Mapping[Partition, int]) -> None:
        """What still differs of that which was published stays a difference."""
        report = self._report
        published = report.repair.published if report.repair is not None else {}
        if not published:
            return
        still, _ = self._look_again(state, published, positions)
        if self._vectors is not None:
            still += self._vectors.differing(_whole(state, published))
        damaged = {one.doc_id for one in still}
        mended = published.keys() - damaged - set(report.unsettled)
        report.repaired = [one for one in report.differences if one.doc_id in mended]
        report.differences = [*(one for one in report.differences if one.doc_id not in published), *still]


def _whole(state: LastState, documents: Iterable[DocId]) -> Wanted:
    wanted: dict[Partition, dict[int, frozenset[ChunkId] | None]] = {}
    for document in documents:
        revision = state.get(document)
        if revision is not None and len(revision):
            wanted.setdefault(revision.place, {})[revision.offset] = None
    return wanted


def _of_gone(gone: dict[DocId, Gone]) -> list[Difference]:
    return [
        Difference(Kind.GONE, one.document, document_point_id(one.document), one.known, "no row in the snapshot")
        for one in gone.values()
    ]


def _documents(found: Iterable[Difference]) -> dict[DocId, None]:
    return {one.doc_id: None for one in found}


def _snapshot_line(seen: SnapshotSeen) -> str:
    if seen.began_ms is None:
        return f"snapshot    source {seen.source}: {seen.passed_over}, so nothing was looked for"
    began = datetime.fromtimestamp(seen.began_ms / 1000, UTC).isoformat(timespec="milliseconds")
    places = ", ".join(f"[{place.number}] @{start}" for place, start in sorted(seen.starts.items()))
    return (
        f"snapshot    source {seen.source}: rows of which nothing was written since {began}, that is {places}; "
        f"{seen.rows:,} rows of a snapshot stand there"
    )
