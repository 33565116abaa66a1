"""Points, documents and writes for the tests of every index adapter, made of the same values as the code's own."""

import uuid
from collections.abc import Iterable

import numpy as np

from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId, Version
from stream.points import DenseVector, Mark, Payload, Point, Put, Repaint, State, Touch
from stream.ports import FieldType, VectorIndex, VectorSpec

SPEC = VectorSpec("mini-abc", 4)
FIELDS: dict[str, FieldType] = {
    "section": "keyword",
    "pages": "integer",
    "price": "float",
    "draft": "boolean",
    "updated_at": "datetime",
    "a.dotted name": "keyword",
}


def chunk(name: object) -> ChunkId:
    return ChunkId(str(uuid.uuid5(uuid.NAMESPACE_URL, str(name))))


def vector(*values: float) -> DenseVector:
    return DenseVector(np.asarray(values, dtype=np.float32))


EAST, NORTH = vector(1, 0, 0, 0), vector(0, 1, 0, 0)


def payload(version: int, doc: str = "docs/1", **fields: Json) -> Payload:
    return {"doc_id": doc, "version": version, "state": "live", "payload_digest": "d", "text": "t", **fields}


def put(name: object, version: int, values: DenseVector = EAST, doc: str = "docs/1", **fields: Json) -> Put:
    return Put(chunk(name), Version(version), values, payload(version, doc, **fields))


def mark(
    name: object, version: int, doc: str = "docs/1", state: State = State.REMOVED, tenant: str | None = None
) -> Mark:
    return Mark(chunk(name), DocId(doc), Version(version), state, tenant)


def touch(names: Iterable[object], version: int, **fields: Json) -> Touch:
    return Touch(tuple(map(chunk, names)), Version(version), {"version": version, **fields})


def repaint(name: object, version: int, doc: str = "docs/1", **fields: Json) -> Repaint:
    return Repaint(chunk(name), Version(version), payload(version, doc, **fields))


def one(index: VectorIndex, name: object) -> Point:
    """The stored point, with its vector."""
    (point,) = index.points([chunk(name)], with_vectors=True)
    return point


def found(index: VectorIndex, values: DenseVector = EAST, limit: int = 100) -> set[ChunkId]:
    return {hit.id for hit in index.search(values, limit)}
