"""One shard of the engine as ``VectorIndex``.

Any number of threads may use it at once. Searches and reads run side by side, each in the engine with Python's
interpreter free; a write, a flush or the optimizer runs alone (see ``gate``). The engine holds the interpreter while
it writes, so a call's writes are applied in portions, between which searches get their turn.

The write-ahead log takes every operation before it is applied: an acknowledged write survives SIGKILL of this process
at once, and loss of power after :meth:`EdgeIndex.flush`. Until somebody optimizes the shard, search is exact.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from qdrant_edge import (
    CountRequest,
    EdgeShard,
    Filter,
    PayloadSelector,
    Query,
    QueryRequest,
    ScrollRequest,
)

from adapters.admission import admit, admit_ids, admit_vector
from adapters.edge.filters import engine_filter
from adapters.edge.gate import Gate
from adapters.edge.points import (
    Operation,
    discards,
    documents_filter,
    field_index,
    operations,
    point_of,
    state_filter,
)
from adapters.edge.room import require_room
from adapters.scores import engine_threshold, scored_enough
from schemas.identity import ChunkId, DocId
from stream.errors import EmbedstreamError, Fatal
from stream.filter import Filter as Wanted
from stream.points import DenseVector, Hit, Point, State, StoredPoint, Write, removed_mark
from stream.ports import FieldType, VectorSpec

PAGE = 2048
"""Records a scroll of ids and states brings at once."""
PAGE_OF_POINTS = 512
"""Whole points are larger."""
POINTS_A_TURN = 64
"""Points that are written before waiting searches get their turn."""

_PLANNING = PayloadSelector.Include(["doc_id", "version", "state", "payload_digest"])

Item = TypeVar("Item")


class EdgeIndex:
    """A collection in this process; ``folder`` is where the shard's files are."""

    def __init__(self, shard: EdgeShard, vector: VectorSpec, fields: Mapping[str, FieldType], folder: Path) -> None:
        self.vector = vector
        self.fields = dict(fields)
        self._shard = shard
        self._folder = folder
        self._gate = Gate()

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        found: dict[DocId, list[StoredPoint]] = {document: [] for document in documents}
        if not found:
            return found
        wanted = documents_filter(list(found))
        with self._reading():
            start: object = None
            while True:
                records, start = self._shard.scroll(_scroll(start, PAGE, wanted, _PLANNING))
                for record in records:
                    stored = StoredPoint.of(ChunkId(str(record.id)), record.payload or {})
                    found[stored.doc_id].append(stored)
                if start is None:
                    return found

    def write(self, writes: Sequence[Write]) -> None:
        self._apply(operations(admit(writes, self.vector), self.vector.name))

    def marks(self) -> Iterator[StoredPoint]:
        """See ``stream.ports.MarkBin``."""
        return walk(lambda start: self.page_of_marks(start, PAGE))

    def page_of_marks(self, start: ChunkId | None, limit: int) -> tuple[list[StoredPoint], ChunkId | None]:
        """At most so many removed marks from id ``start`` on, and the id where the next page starts."""
        with self._reading():
            records, following = self._shard.scroll(
                _scroll(start, limit, state_filter(State.REMOVED.value), _PLANNING)
            )
        found = (removed_mark(ChunkId(str(record.id)), record.payload or {}) for record in records)
        marks = [mark for mark in found if mark is not None]
        return marks, None if following is None else ChunkId(str(following))

    def discard(self, marks: Sequence[StoredPoint]) -> None:
        self._apply(discards(marks))

    def search(
        self,
        vector: DenseVector,
        limit: int,
        wanted: Wanted | None = None,
        *,
        least_score: float | None = None,
    ) -> Sequence[Hit]:
        values = admit_vector(vector, self.vector).values.tolist()
        if limit < 1:
            return []
        request = QueryRequest(
            limit=limit,
            query=Query.Nearest(values, using=self.vector.name),
            filter=None if wanted is None else engine_filter(wanted),
            score_threshold=engine_threshold(least_score),
            with_payload=True,
        )
        with self._reading():
            scored = self._shard.query(request)
        hits = (Hit(ChunkId(str(point.id)), point.score, point.payload or {}) for point in scored)
        return scored_enough(hits, least_score)

    def scroll(self, *, with_vectors: bool = False) -> Iterator[Point]:
        return walk(lambda start: self.page(start, PAGE_OF_POINTS, with_vectors=with_vectors))

    def page(self, start: ChunkId | None, limit: int, *, with_vectors: bool) -> tuple[list[Point], ChunkId | None]:
        """At most ``limit`` points from id ``start`` on, and the id where the next page starts (None: no more)."""
        with self._reading():
            records, following = self._shard.scroll(_scroll(start, limit, None, None, with_vectors=with_vectors))
        points = [point_of(record, self.vector.name) for record in records]
        return points, None if following is None else ChunkId(str(following))

    def points(self, ids: Sequence[ChunkId], *, with_vectors: bool = False) -> Sequence[Point]:
        wanted = admit_ids(ids)
        with self._reading():
            records = self._shard.retrieve(list(wanted), True, with_vectors)
        found = {point.id: point for point in (point_of(record, self.vector.name) for record in records)}
        return [found[point] for point in dict.fromkeys(ids) if point in found]

    def count(self, state: str | None = None) -> int:
        with self._reading():
            return self._shard.count(CountRequest(exact=True, filter=state_filter(state)))

    def flush(self) -> None:
        require_room(self._folder)
        with self._writing():
            self._shard.flush()

    def index_fields(self, fields: Mapping[str, FieldType]) -> None:
        """Makes these payload indexes over what is stored and flushes them, while nobody reads or writes."""
        require_room(self._folder)
        with self._writing():
            for field, kind in fields.items():
                self._shard.update(field_index(field, kind))
            self._shard.flush()
        self.fields.update(fields)

    def optimize(self) -> bool:
        """Merges segments and builds the graph; False where there was nothing to do. Stops every thread: seconds to
        minutes. For an operator's command, never for a process that serves.
        """
        require_room(self._folder, to_copy=self._folder)
        with self._writing():
            return self._shard.optimize()

    @property
    def optimized(self) -> bool:
        """Whether some of it has a graph, which only the optimizer makes."""
        with self._reading():
            return bool(self._shard.info().indexed_vectors_count)

    def close(self) -> None:
        """Waits for whoever is inside; later calls raise Fatal."""
        with self._writing():
            self._shard.close()

    def _apply(self, operations: Iterable[Operation]) -> None:
        for turn in _turns(operations):
            require_room(self._folder)
            with self._writing():
                for operation in turn:
                    self._shard.update(operation.update)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._gate.shared(), engine("read"):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._gate.alone(), engine("change"):
            yield


@contextmanager
def engine(doing: str) -> Iterator[None]:
    """The engine raises bare Exception and says what it is in text alone; whatever it is, a person has to look."""
    try:
        yield
    except EmbedstreamError:
        raise
    except Exception as error:
        if "not initialized" in str(error):
            raise Fatal("This index was closed; open the catalog again.") from error
        raise Fatal(
            f"The index engine could not {doing} its files ({error}); see to disk space and rights, then start again."
        ) from error


def walk(page: Callable[[ChunkId | None], tuple[list[Item], ChunkId | None]]) -> Iterator[Item]:
    """Every one, page after page."""
    start: ChunkId | None = None
    while True:
        items, start = page(start)
        yield from items
        if start is None:
            return


def _scroll(
    start: object, limit: int, wanted: Filter | None, payload: PayloadSelector | None, *, with_vectors: bool = False
) -> ScrollRequest:
    return ScrollRequest(
        offset=cast("str | None", start),
        limit=limit,
        filter=wanted,
        with_payload=True if payload is None else payload,
        with_vector=with_vectors,
    )


def _turns(applied: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Operations in order, in portions of some points: one portion is one step to every reader."""
    turn: list[Operation] = []
    points = 0
    for operation in applied:
        if turn and points + operation.points > POINTS_A_TURN:
            yield turn
            turn, points = [], 0
        turn.append(operation)
        points += operation.points
    if turn:
        yield turn
