"""The other processes' side of the socket: the same ports, carried out by the owner of the data directory.

Any number of threads may use a catalog and its indexes at once: each call takes a connection of its own from those
that are idle, or opens one. Whatever ends a connection is an Outage: the owner may have carried the call out or not.
Writes and reads may simply be made again. A compare-and-set that is made again answers False where the first attempt
won, so its caller looks at what is stored before it believes that it lost.

Writes are checked here too, before they are encoded: JSON would make null of a NaN.
"""

import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adapters.admission import admit, admit_fields, admit_ids, admit_metadata, admit_name, admit_vector
from adapters.edge import socket_file, wire
from adapters.edge.frames import Disconnected, Frame, no_vectors, receive, send
from adapters.edge.index import PAGE, PAGE_OF_POINTS, walk
from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId
from stream.errors import Fatal, Outage
from stream.filter import Filter
from stream.points import DenseVector, Hit, Point, StoredPoint, Write
from stream.ports import FieldType, VectorSpec

PATIENCE_S = 60.0
"""How long one answer may take before the owner counts as down."""


class Line:
    """Calls to one owner over as many connections as there are calls at once."""

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._closed = False

    def call(
        self,
        call: str,
        arguments: Mapping[str, Any],
        *,
        collection: str | None = None,
        vectors: wire.Rows | None = None,
    ) -> Frame:
        document = {"protocol": wire.PROTOCOL, "call": call, "arguments": arguments, "collection": collection}
        frame = Frame(document, no_vectors() if vectors is None else vectors)
        connection = self._take()
        try:
            send(connection, frame)
            answer = receive(connection)
        except BaseException as error:
            # An interrupted conversation cannot be taken up again: the next answer would be this call's.
            connection.close()
            if isinstance(error, Disconnected):
                raise self._outage(error) from error
            raise
        self._give_back(connection)
        if "error" in answer.document:
            raise wire.error_in(answer.document)
        return answer

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> socket.socket:
        while True:
            with self._lock:
                if self._closed:
                    raise Fatal("This index was closed; open the catalog again.")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                try:
                    return socket_file.connect(self._folder, self._timeout_s)
                except OSError as error:
                    raise self._outage(error) from error
            # An idle connection has nothing to say; if it does, it is its end: that owner is gone.
            ended = select.poll()
            ended.register(connection, select.POLLIN)
            if not ended.poll(0):
                return connection
            connection.close()

    def _give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _outage(self, error: Exception) -> Outage:
        return Outage(
            f"The process that owns the index in {self._folder} does not answer ({error}); start it again, or wait."
        )


class SocketCatalog:
    """``IndexCatalog`` of another process. Construction raises Outage where nobody serves the directory."""

    def __init__(self, folder: Path, timeout_s: float = PATIENCE_S) -> None:
        self._line = Line(folder, timeout_s)
        try:
            self.owner = int(self._line.call("hello", {}).document["result"])
            """Process id of the owner."""
        except BaseException:
            self._line.close()
            raise

    def collections(self) -> Sequence[str]:
        return list(self._result("collections"))

    def create(
        self, name: str, vector: VectorSpec, fields: Mapping[str, FieldType], metadata: Mapping[str, Json]
    ) -> None:
        admit_name(name)
        admit_fields(fields)
        admit_metadata(metadata)
        spec = {"name": vector.name, "dimensions": vector.dimensions}
        self._result("create", name=name, vector=spec, fields=dict(fields), metadata=metadata)

    def ensure_fields(self, name: str, fields: Mapping[str, FieldType]) -> None:
        admit_fields(fields)
        self._result("ensure_fields", name=name, fields=dict(fields))

    def metadata(self, name: str) -> Mapping[str, Json]:
        metadata: dict[str, Json] = self._result("metadata", name=name)
        return metadata

    def replace_metadata(self, name: str, expected: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
        admit_metadata(expected)
        admit_metadata(wanted)
        return bool(self._result("replace_metadata", name=name, expected=expected, wanted=wanted))

    def aliases(self) -> Mapping[str, str]:
        return dict(self._result("aliases"))

    def switch_alias(self, alias: str, expected: str | None, wanted: str | None) -> bool:
        admit_name(alias)
        return bool(self._result("switch_alias", alias=alias, expected=expected, wanted=wanted))

    def drop(self, name: str) -> None:
        self._result("drop", name=name)

    def open(self, name: str) -> "SocketIndex":
        return SocketIndex(self._line, name, VectorSpec(**self._result("open", name=name)["vector"]))

    def bin(self, name: str) -> "SocketIndex":
        return self.open(name)

    def close(self) -> None:
        self._line.close()

    def _result(self, call: str, **arguments: object) -> Any:  # noqa: ANN401  JSON of the call
        return self._line.call(call, arguments).document["result"]


class SocketIndex:
    """``VectorIndex`` of another process."""

    def __init__(self, line: Line, name: str, vector: VectorSpec) -> None:
        self._line = line
        self._name = name
        self._vector = vector

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        found = self._call("read", {"documents": list(documents)}).document["result"]
        return {DocId(document): wire.stored_in(DocId(document), points) for document, points in found.items()}

    def write(self, writes: Sequence[Write]) -> None:
        documents, vectors = wire.writes_out(admit(writes, self._vector))
        self._call("write", {"writes": documents}, vectors)

    def search(
        self,
        vector: DenseVector,
        limit: int,
        wanted: Filter | None = None,
        *,
        least_score: float | None = None,
    ) -> Sequence[Hit]:
        query = admit_vector(vector, self._vector).values[np.newaxis]
        asked = None if wanted is None else wire.filter_out(wanted)
        answer = self._call("search", {"limit": limit, "wanted": asked, "least_score": least_score}, query)
        return wire.hits_in(answer.document["result"])

    def scroll(self, *, with_vectors: bool = False) -> Iterator[Point]:
        return walk(lambda start: self._page(start, with_vectors=with_vectors))

    def points(self, ids: Sequence[ChunkId], *, with_vectors: bool = False) -> Sequence[Point]:
        admit_ids(ids)
        answer = self._call("points", {"ids": list(ids), "with_vectors": with_vectors})
        return wire.points_in(answer.document["result"], answer.vectors)

    def count(self, state: str | None = None) -> int:
        return int(self._call("count", {"state": state}).document["result"])

    def flush(self) -> None:
        self._call("flush", {})

    def marks(self) -> Iterator[StoredPoint]:
        """See ``stream.ports.MarkBin``."""
        return walk(self._page_of_marks)

    def discard(self, marks: Sequence[StoredPoint]) -> None:
        self._call("discard", {"marks": wire.marks_out(marks)})

    def _page_of_marks(self, start: ChunkId | None) -> tuple[list[StoredPoint], ChunkId | None]:
        answer = self._call("marks", {"start": start, "limit": PAGE})
        return wire.marks_in(answer.document["result"]), answer.document["next"]

    def _page(self, start: ChunkId | None, *, with_vectors: bool) -> tuple[list[Point], ChunkId | None]:
        asked = {"start": start, "limit": PAGE_OF_POINTS, "with_vectors": with_vectors}
        answer = self._call("page", asked)
        return wire.points_in(answer.document["result"], answer.vectors), answer.document["next"]

    def _call(self, call: str, arguments: Mapping[str, Any], vectors: wire.Rows | None = None) -> Frame:
        return self._line.call(call, arguments, collection=self._name, vectors=vectors)
