"""One collection of a server as ``VectorIndex``.

Any number of threads and processes may use it at once: conditions are checked by the server. The writes of a call are
sent in waves (see ``requests``), each request acknowledged when it is applied (``wait``), so whoever reads after
``write`` returned sees it. With replicas, writes go through one leader to the majority, and reads ask the majority
(see ``layout``).

An acknowledged write is in the server's write-ahead log: it survives SIGKILL of the server. Loss of the server's
power may cost what was not on its disk yet, some seconds by Qdrant's default; a server offers no call that waits for
its disk, so ``flush`` does nothing, and a consumer group that is rewound by some minutes mends it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from qdrant_client import QdrantClient, models

from adapters.admission import admit, admit_ids, admit_vector
from adapters.qdrant.connection import Connection
from adapters.qdrant.failures import TooLarge
from adapters.qdrant.filters import server_filter
from adapters.qdrant.layout import Manner, vector_name
from adapters.qdrant.points import (
    RECORD,
    discarding,
    documents_filter,
    operations,
    payload_of,
    point_of,
    state_filter,
)
from adapters.qdrant.requests import halves, requests, waves
from adapters.scores import engine_threshold, scored_enough
from schemas.identity import ChunkId, DocId
from stream.errors import Outage, Poison
from stream.filter import Filter
from stream.points import DenseVector, Hit, Point, State, StoredPoint, Write, removed_mark
from stream.ports import Step, VectorSpec, no_step

PAGE = 2048
"""Records a scroll of ids and states brings at once."""
PAGE_OF_POINTS = 512
"""Whole points are larger."""
DOCUMENTS_A_FILTER = 1024

_PLANNING = ["doc_id", "version", "state", "payload_digest"]


class QdrantIndex:
    """A collection on a server. ``step`` is called before every request that writes."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        vector: VectorSpec,
        manner: Manner,
        step: Step = no_step,
    ) -> None:
        self.name = name
        self.vector = vector
        self._connection = connection
        self._vector_name = vector_name(vector)
        self._manner = manner
        self._step = step

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        found: dict[DocId, dict[ChunkId, StoredPoint]] = {document: {} for document in documents}
        asked = list(found)
        for start in range(0, len(asked), DOCUMENTS_A_FILTER):
            wanted = documents_filter(asked[start : start + DOCUMENTS_A_FILTER])
            for record in self._walk(wanted, PAGE, with_payload=_PLANNING):
                stored = StoredPoint.of(ChunkId(str(record.id)), payload_of(record))
                found[stored.doc_id][stored.id] = stored
        return {document: list(points.values()) for document, points in found.items()}

    def write(self, writes: Sequence[Write]) -> None:
        pace = self._connection.pace
        for wave in waves(admit(writes, self.vector), pace.batch_points):
            portions = requests(wave, pace.batch_points, pace.request_bytes, binary=self._connection.binary)
            self._connection.side_by_side([partial(self._send, portion) for portion in portions])

    def search(
        self,
        vector: DenseVector,
        limit: int,
        wanted: Filter | None = None,
        *,
        least_score: float | None = None,
    ) -> Sequence[Hit]:
        values = admit_vector(vector, self.vector).values.tolist()
        if limit < 1:
            return []
        asked = None if wanted is None else server_filter(wanted)

        def ask(client: QdrantClient) -> models.QueryResponse:
            return client.query_points(
                self.name,
                query=values,
                using=self._vector_name,
                limit=limit,
                query_filter=asked,
                score_threshold=engine_threshold(least_score),
                search_params=self._manner.search,
                with_payload=True,
                # Of any replica: a majority that has to agree on a payload would hide what is being written.
            )

        answer = self._connection.call("searching", ask)
        hits = (Hit(ChunkId(str(point.id)), point.score, payload_of(point)) for point in answer.points)
        return scored_enough(hits, least_score)

    def scroll(self, *, with_vectors: bool = False) -> Iterator[Point]:
        for record in self._walk(state_filter(None), PAGE_OF_POINTS, with_payload=True, with_vectors=with_vectors):
            yield point_of(record, self._vector_name)

    def points(self, ids: Sequence[ChunkId], *, with_vectors: bool = False) -> Sequence[Point]:
        admit_ids(ids)
        asked = [point for point in dict.fromkeys(ids) if point != RECORD]
        found: dict[ChunkId, Point] = {}
        for start in range(0, len(asked), PAGE_OF_POINTS):
            portion: list[models.ExtendedPointId] = list(asked[start : start + PAGE_OF_POINTS])

            def ask(client: QdrantClient, portion: list[models.ExtendedPointId] = portion) -> list[models.Record]:
                return client.retrieve(
                    self.name,
                    portion,
                    with_payload=True,
                    with_vectors=with_vectors,
                    consistency=self._manner.reads,
                )

            for record in self._connection.call("reading points", ask):
                found[ChunkId(str(record.id))] = point_of(record, self._vector_name)
        return [found[point] for point in asked if point in found]

    def count(self, state: str | None = None) -> int:
        """Asks one replica, which is all that the client offers: a figure, on which no write rests."""
        wanted = state_filter(state)
        answer = self._connection.call("counting", lambda client: client.count(self.name, wanted, exact=True))
        return int(answer.count)

    def marks(self) -> Iterator[StoredPoint]:
        """See ``stream.ports.MarkBin``."""
        for record in self._walk(state_filter(State.REMOVED.value), PAGE, with_payload=_PLANNING):
            mark = removed_mark(ChunkId(str(record.id)), payload_of(record))
            if mark is not None:
                yield mark

    def discard(self, marks: Sequence[StoredPoint]) -> None:
        size = self._connection.pace.batch_points
        for start in range(0, len(marks), size):
            self._step("index.discard")
            self._update("discarding marks", [discarding(marks[start : start + size])])

    def flush(self) -> None:
        """Nothing a server could be asked for; see above what outlives what."""
        self._step("index.flush")

    def _send(self, portion: list[Write]) -> None:
        """One request; two smaller ones where the server takes none of that size."""
        self._step("index.write")
        update = list(operations(portion, self._vector_name))
        try:
            self._update("writing", update)
        except TooLarge as error:
            smaller = halves(portion)
            if smaller is None:
                raise Poison("size", f"A point is larger than the server takes: {error}") from error
            for half in smaller:
                self._send(half)

    def _update(self, doing: str, update: list[models.UpdateOperation]) -> None:
        """One request, acknowledged when it is applied."""
        results = self._connection.call(
            doing,
            lambda client: client.batch_update_points(self.name, update, wait=True, ordering=self._manner.writes),
            points=True,
        )
        waited_for = [result.status for result in results if result.status != models.UpdateStatus.COMPLETED]
        if waited_for:
            raise Outage(f"Qdrant at {self._connection.where} took a write and has not applied it ({waited_for[0]}).")

    def _walk(
        self,
        wanted: models.Filter,
        page: int,
        *,
        with_payload: bool | list[str],
        with_vectors: bool = False,
    ) -> Iterator[models.Record]:
        """Every record that the filter names, page after page, in order of id."""
        start: models.ExtendedPointId | None = None
        while True:

            def ask(
                client: QdrantClient, start: models.ExtendedPointId | None = start
            ) -> tuple[list[models.Record], models.ExtendedPointId | None]:
                return client.scroll(
                    self.name,
                    wanted,
                    limit=page,
                    offset=start,
                    with_payload=with_payload,
                    with_vectors=with_vectors,
                    consistency=self._manner.reads,
                )

            records, start = self._connection.call("reading", ask)
            yield from records
            if start is None:
                return
