"""Both collections, document by document, while both are written: what differs and was not only in flight.

The whole of both is read once, in portions that fit into memory; what differs is looked at again, each time behind a
watermark that both pairs have passed (see ``stream.parity``). A document that differs twice, with nothing of it
having moved in between, differs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from operations.upgrade.surroundings import Surroundings, passed, watermark
from schemas.identity import DocId
from stream.errors import Fatal
from stream.parity import ABSENT, Portion, Standing, portions, standing_of, standings, suspects
from stream.points import Point, State
from stream.ports import VectorIndex
from stream.upgrade import Pair

_LOOKS = 5
_TOGETHER = 64
"""Documents that are read at once."""


@dataclass(frozen=True, slots=True)
class Unlike:
    """A document of which the two say other things: ``here`` is searched now, ``there`` is to be."""

    document: DocId
    here: Standing
    there: Standing

    def __str__(self) -> str:
        return f"{self.document}: {_told(self.here)} in the one, {_told(self.there)} in the other"


@dataclass(slots=True)
class Comparison:
    """``documents`` and ``chunks`` are live, ``deleted`` documents have their mark; each (here, there)."""

    documents: list[int] = field(default_factory=lambda: [0, 0])
    chunks: list[int] = field(default_factory=lambda: [0, 0])
    deleted: list[int] = field(default_factory=lambda: [0, 0])
    alike: int = 0
    """Live chunks that are there under the same id in both: those whose vectors could be copied."""
    unlike: list[Unlike] = field(default_factory=list)
    unsettled: list[DocId] = field(default_factory=list)

    @property
    def resurrected(self) -> list[DocId]:
        """Documents that are deleted here and searchable there."""
        return [one.document for one in self.unlike if one.here.deleted and one.there.live and not one.here.live]


def compare(around: Surroundings, here: Pair, there: Pair, *, hold: int) -> Comparison:
    """``hold``: documents that are held in memory at once, roughly. Raises Fatal where a pair does not catch up."""
    one, other = around.index(here), around.index(there)
    cut_alike = here.headers == there.headers
    found = Comparison()
    waiting: dict[DocId, tuple[Standing, Standing]] = {}
    for portion in portions(max(one.count(), other.count()), hold):
        mine, ids = _read(one, portion)
        theirs, their_ids = _read(other, portion)
        found.alike += len(ids & their_ids)
        for side, stands in enumerate((mine, theirs)):
            found.documents[side] += sum(standing.live > 0 for standing in stands.values())
            found.chunks[side] += sum(standing.live for standing in stands.values())
            found.deleted[side] += sum(standing.deleted and not standing.live for standing in stands.values())
        for document in suspects(mine, theirs, cut_alike=cut_alike):
            waiting[document] = (mine.get(document, ABSENT), theirs.get(document, ABSENT))
    for _ in range(_LOOKS):
        if not waiting:
            break
        await_passed(around, here, there)
        now = dict(_again(one, other, list(waiting)))
        moved = {}
        for document, (here_now, there_now) in now.items():
            if here_now.equals(there_now, cut_alike=cut_alike):
                continue
            if (here_now, there_now) == waiting[document]:
                found.unlike.append(Unlike(document, here_now, there_now))
            else:
                moved[document] = (here_now, there_now)
        waiting = moved
    found.unsettled = list(waiting)
    return found


def await_passed(around: Surroundings, *pairs: Pair) -> None:
    """All that is committed at the source now is applied to the collections of these pairs. Raises Fatal."""
    mark = watermark(around)
    for pair in pairs:
        if not passed(around, pair, mark):
            raise Fatal(
                f"The pair of {pair.collection} did not catch up with what was committed when this began; see "
                "`embedstream upgrade status` for how far it is, start its chunkers and embedders if they do not "
                "run, or give them more time (--wait)."
            )


def _read(index: VectorIndex, portion: Portion) -> tuple[dict[DocId, Standing], set[str]]:
    ids: set[str] = set()

    def live_ones(points: Iterable[Point]) -> Iterator[Point]:
        for point in points:
            if point.payload.get("state") == State.LIVE and portion.has(str(point.payload.get("doc_id"))):
                ids.add(point.id)
            yield point

    return standings(live_ones(index.scroll()), portion), ids


def _again(
    one: VectorIndex, other: VectorIndex, documents: Sequence[DocId]
) -> Iterator[tuple[DocId, tuple[Standing, Standing]]]:
    for start in range(0, len(documents), _TOGETHER):
        some = documents[start : start + _TOGETHER]
        mine, theirs = one.read(some), other.read(some)
        for document in some:
            yield document, (standing_of(mine.get(document, ())), standing_of(theirs.get(document, ())))


def _told(standing: Standing) -> str:
    if standing == ABSENT:
        return "nothing"
    state = f"{standing.live} chunks" if standing.live else ("deleted" if standing.deleted else "no chunk")
    return f"{state} at version {standing.version}"
