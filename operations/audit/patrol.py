"""The continuous audit: one live point after another, at leisure, for as long as an embedder runs.

It walks the collection in order of ids, again and again. Each point is held against what it proves about itself
(``stream.self_evidence``) and its vector against one that is made anew. What contradicts itself may be a revision
that is just being written, so the ends of the chunk topic are noted, and once the embedders have committed past them
the point is looked at again: it is damaged if the contradiction stands and no point of its document has moved.

It repairs nothing and says nothing but what it counts: ``embedstream audit`` tells more, and repairs. It holds one
point at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.identity import DocId, Version
from stream.caught_up import behind
from stream.difference import Difference, Kind
from stream.intake import Admission
from stream.points import DenseVector, Point, State, StoredPoint
from stream.ports import DeviceFull, Partition, Topics, VectorIndex
from stream.probes import LEAST_COSINE, cosine
from stream.self_evidence import evidence

Verdict = Literal["equal", "different", "unsettled"]


@dataclass(frozen=True, slots=True)
class Walked:
    """What became of one point. ``unsettled``: it changed while it was looked at, or nobody caught up."""

    verdict: Verdict
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """What a patrol works with. ``admitted`` tells what the collection accepts now."""

    index: VectorIndex
    topics: Topics
    chunk_topic: str
    group: str
    admitted: Callable[[], Admission]
    fit_title: Callable[[str | None], str | None]
    encode: Callable[[Sequence[str]], Sequence[DenseVector]]
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""


@dataclass(slots=True)
class Patrol:
    """Of one collection."""

    beat: Beat
    _way: Iterator[Point] | None = None

    def step(self) -> Walked | None:
        """The next point that is no mark; None where a walk has come to its end. Raises Outage."""
        while (passed := self._next()) is not None:
            if not _is_mark(passed):
                return self._walked(passed)
        return None

    def _next(self) -> Point | None:
        """The next point. A walk that an outage ends is begun again: it has not come to its end."""
        way = iter(self.beat.index.scroll()) if self._way is None else self._way
        self._way = None
        passed = next(way, None)
        if passed is not None:
            self._way = way
        return passed

    def _walked(self, passed: Point) -> Walked:
        first, before = self._look(passed)
        if not first:
            return Walked("equal")
        ends = self.beat.topics.ends(self.beat.chunk_topic)
        lows = self.beat.topics.low_watermarks(self.beat.chunk_topic)
        if not self.beat.patience(lambda: self._passed(ends, lows)):
            return Walked("unsettled")
        again, after = self._look(passed)
        if not again:
            return Walked("equal")
        return Walked("different", tuple(again)) if before == after else Walked("unsettled")

    def _passed(self, ends: Mapping[Partition, int], lows: Mapping[Partition, int]) -> bool:
        committed = self.beat.topics.committed(self.beat.group, list(ends))
        return not behind(ends, lows, committed, self.beat.admitted().sources)

    def _look(self, passed: Point) -> tuple[list[Difference], Sequence[StoredPoint]]:
        """What the point contradicts now, and its document's points; nothing where it is no longer live."""
        index = self.beat.index
        named = passed.payload.get("doc_id")
        document = DocId(named if isinstance(named, str) else "")
        stored = sorted(index.read([document]).get(document, ()), key=lambda one: one.id)
        (point,) = index.points([passed.id], with_vectors=True) or (None,)
        if point is None or _is_mark(point):
            return [], stored
        proved = evidence(point, stored, self.beat.fit_title)
        return [*proved.contradictions, *self._vector(point, document, proved.text)], stored

    def _vector(self, point: Point, document: DocId, text: str | None) -> Iterator[Difference]:
        if text is None:
            return
        try:
            (made,) = self.beat.encode([text])
        except DeviceFull:
            # The stream's batches come first; another walk comes by.
            return
        if point.vector is None or cosine(point.vector.values, made.values) < LEAST_COSINE:
            told = point.payload.get("version")
            version = Version(told if isinstance(told, int) else 0)
            yield Difference(Kind.VECTOR, document, point.id, version, "it is not the vector of its text")


def _is_mark(point: Point) -> bool:
    """A point without a readable state is none: somebody damaged it, so it is looked at."""
    return point.payload.get("state") in (State.REMOVED, State.DELETED)
