"""The points of one collection in memory, and the one place where a write meets its condition.

Everything happens under the table's lock, so no other write comes between a condition and its effect. Payloads are
copied on the way in (by admission) and on the way out, so nobody holds a piece of the stored state. Vectors are
scaled to unit length when stored, as every engine with cosine distance does; a mark has none.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId, Version
from stream.points import DenseVector, Mark, Payload, Put, Repaint, State, Touch, Write
from stream.ports import FieldType, VectorSpec


class PointTable:
    """Rows by id and by document. ``lock`` is to be held around every call."""

    def __init__(self, vector: VectorSpec, fields: dict[str, FieldType]) -> None:
        self.lock = threading.RLock()
        self.vector = vector
        self.fields = fields
        self.vectors = VectorRows(vector.dimensions)
        self._payloads: dict[ChunkId, dict[str, Json]] = {}
        self._documents: defaultdict[DocId, dict[ChunkId, None]] = defaultdict(dict)

    def apply(self, write: Write) -> None:
        """Carries the write out where its condition holds, and does nothing elsewhere."""
        match write:
            case Put():
                if self._newest(write.id) <= write.version:
                    self._store(write.id, dict(write.payload))
                    self.vectors.set(write.id, write.vector.values)
            case Mark():
                if self._newest(write.id) <= write.version:
                    self._store(write.id, write.payload)
                    self.vectors.drop(write.id)
            case Touch():
                for point in write.ids:
                    if self._accepts(point, write.version):
                        merged = {**self._payloads[point], **write.payload}
                        self._store(point, {name: value for name, value in merged.items() if value is not None})
            case Repaint():
                if self._accepts(write.id, write.version):
                    self._store(write.id, dict(write.payload))

    def clear(self) -> None:
        """Everything is gone."""
        self.vectors = VectorRows(self.vector.dimensions)
        self._payloads.clear()
        self._documents.clear()

    def discard(self, point: ChunkId, version: Version) -> None:
        """Deletes the mark where it is still removed at this version."""
        payload = self._payloads.get(point)
        if payload is not None and payload["state"] == State.REMOVED and _version(payload) == version:
            del self._payloads[point]
            self._documents[DocId(str(payload["doc_id"]))].pop(point, None)

    def ids(self) -> list[ChunkId]:
        """All, in order."""
        return sorted(self._payloads)

    def of_document(self, document: DocId) -> list[ChunkId]:
        return list(self._documents.get(document, ()))

    def payload(self, point: ChunkId) -> dict[str, Json] | None:
        """The stored one itself, for reading under the lock; :meth:`copy` for handing out."""
        return self._payloads.get(point)

    def copy(self, point: ChunkId) -> Payload:
        copied: dict[str, Json] = orjson.loads(orjson.dumps(self._payloads[point]))
        return copied

    def states(self) -> Iterator[str]:
        return (str(payload["state"]) for payload in self._payloads.values())

    def _newest(self, point: ChunkId) -> int:
        """The stored version, older than any where nothing is stored."""
        payload = self._payloads.get(point)
        return -1 if payload is None else _version(payload)

    def _accepts(self, point: ChunkId, version: Version) -> bool:
        payload = self._payloads.get(point)
        return payload is not None and payload["state"] == State.LIVE and _version(payload) <= version

    def _store(self, point: ChunkId, payload: dict[str, Json]) -> None:
        before = self._payloads.get(point)
        if before is not None:
            self._documents[DocId(str(before["doc_id"]))].pop(point, None)
        self._payloads[point] = payload
        self._documents[DocId(str(payload["doc_id"]))][point] = None


class VectorRows:
    """Unit vectors as the rows of one growing matrix, so that a search is one product."""

    def __init__(self, dimensions: int) -> None:
        self._matrix = np.zeros((64, dimensions), dtype=np.float32)
        self._ids: list[ChunkId | None] = []
        self._rows: dict[ChunkId, int] = {}
        self._free: list[int] = []

    def set(self, point: ChunkId, values: NDArray[np.float32]) -> None:
        row = self._rows.get(point)
        if row is None:
            row = self._free.pop() if self._free else len(self._ids)
            if row == len(self._ids):
                self._ids.append(point)
            if row == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
            self._rows[point] = row
            self._ids[row] = point
        self._matrix[row] = _unit(values)

    def drop(self, point: ChunkId) -> None:
        row = self._rows.pop(point, None)
        if row is not None:
            self._ids[row] = None
            self._free.append(row)

    def get(self, point: ChunkId) -> DenseVector | None:
        row = self._rows.get(point)
        return None if row is None else DenseVector(self._matrix[row].copy())

    def nearest(self, values: NDArray[np.float32]) -> Iterator[tuple[ChunkId, float]]:
        """Every row with its cosine, best first."""
        scores = self._matrix[: len(self._ids)] @ _unit(values)
        for row in np.argsort(-scores, kind="stable"):
            point = self._ids[row]
            if point is not None:
                yield point, float(scores[row])


def _version(payload: dict[str, Json]) -> int:
    version = payload["version"]
    assert isinstance(version, int)  # noqa: S101  admission lets nothing else in
    return version


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector of zeros stays one: its cosine to anything is 0."""
    length = float(np.linalg.norm(values))
    return values / np.float32(length) if length > 0 else values
