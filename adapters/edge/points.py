"""Writes as operations of the engine, and its records as points.

Each operation carries the condition of its writes as a filter, which the engine checks on stored points while it
applies the operation. A missing point is inserted by an upsert whatever the filter says, as the law of a put wants,
and matched by no payload operation, as the law of a touch wants.

Consecutive puts of one version become one operation, so do consecutive marks: within such a run the last write of an
id decides, exactly as it would one by one, because all share one condition. Puts and marks are never mixed in one:
what a document gains is applied before what it loses, and a search in between finds it. An operation is bounded in
points, because the engine holds Python's interpreter lock while it applies one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar, cast
from uuid import UUID

import numpy as np
from qdrant_edge import (
    FieldCondition,
    Filter,
    HasIdCondition,
    MatchAny,
    MatchValue,
    PayloadSchemaType,
    RangeFloat,
    UpdateOperation,
)
from qdrant_edge import Point as EnginePoint
from qdrant_edge import Record as EngineRecord

from adapters.edge.filters import key_path
from schemas.identity import ChunkId, DocId
from stream.points import DenseVector, Mark, Point, Put, Repaint, State, StoredPoint, Touch, Write
from stream.ports import FieldType

POINTS_AN_UPSERT = 64
"""A few milliseconds at 384 dimensions."""
POINTS_A_TOUCH = 256
MARKS_A_DISCARD = 256

_SCHEMAS: Mapping[FieldType, PayloadSchemaType] = {
    "keyword": PayloadSchemaType.Keyword,
    "integer": PayloadSchemaType.Integer,
    "float": PayloadSchemaType.Float,
    "boolean": PayloadSchemaType.Bool,
    "datetime": PayloadSchemaType.Datetime,
}

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Operation:
    """One update of the engine, and how many points it may change."""

    update: UpdateOperation
    points: int


def operations(writes: Sequence[Write], vector_name: str) -> Iterator[Operation]:
    """The writes in order. They were admitted before: the engine would take a vector of NaN."""
    for (kind, version), run in groupby(writes, key=lambda write: (type(write), write.version)):
        if kind is Put or kind is Mark:
            newest = {write.id: write for write in cast("Iterator[Put | Mark]", run)}
            for part in _parts(list(newest.values()), POINTS_AN_UPSERT):
                points = [_engine_point(write, vector_name) for write in part]
                condition = Filter(must_not=[_newer(version)])
                yield Operation(UpdateOperation.upsert_points(points, condition=condition), len(points))
        elif kind is Touch:
            for touch in cast("Iterator[Touch]", run):
                for ids in _parts(touch.ids, POINTS_A_TOUCH):
                    update = UpdateOperation.set_payload_by_filter(_live(ids, version), dict(touch.payload))
                    yield Operation(update, len(ids))
        else:
            for paint in cast("Iterator[Repaint]", run):
                update = UpdateOperation.overwrite_payload_by_filter(_live([paint.id], version), dict(paint.payload))
                yield Operation(update, 1)


def discards(marks: Sequence[StoredPoint]) -> Iterator[Operation]:
    """Deletes of marks, each where it is still removed at its version."""
    removed = FieldCondition("state", match=MatchValue(State.REMOVED.value))
    for version, run in groupby(sorted(marks, key=lambda mark: mark.version), key=lambda mark: mark.version):
        exactly = FieldCondition("version", range=RangeFloat(gte=float(version), lte=float(version)))
        for part in _parts([mark.id for mark in run], MARKS_A_DISCARD):
            ids = HasIdCondition({UUID(point) for point in part})
            yield Operation(UpdateOperation.delete_points_by_filter(Filter(must=[ids, removed, exactly])), len(part))


def documents_filter(documents: Sequence[DocId]) -> Filter:
    """Every point of these documents."""
    return Filter(must=[FieldCondition("doc_id", match=MatchAny(cast("list[str]", list(documents))))])


def state_filter(state: str | None) -> Filter | None:
    return None if state is None else Filter(must=[FieldCondition("state", match=MatchValue(state))])


def field_index(field: str, kind: FieldType) -> UpdateOperation:
    """A payload index over the points that are stored and all that come. Making it again changes nothing."""
    return UpdateOperation.create_field_index(key_path(field), _SCHEMAS[kind])


def point_of(record: EngineRecord, vector_name: str) -> Point:
    """A record as a point; its vector only where it was asked for and exists."""
    named = cast("dict[str, list[float]]", record.vector or {})
    values = named.get(vector_name)
    vector = None if values is None else DenseVector(np.asarray(values, dtype=np.float32))
    return Point(ChunkId(str(record.id)), record.payload or {}, vector)


def _engine_point(write: Put | Mark, vector_name: str) -> EnginePoint:
    if isinstance(write, Mark):
        return EnginePoint(UUID(write.id), {}, write.payload)
    return EnginePoint(UUID(write.id), {vector_name: write.vector.values.tolist()}, dict(write.payload))


def _newer(version: int) -> FieldCondition:
    """Of a stored point. One whose version somebody took away is not newer, so a write mends it."""
    return FieldCondition("version", range=RangeFloat(gt=float(version)))


def _live(ids: Sequence[ChunkId], version: int) -> Filter:
    live = FieldCondition("state", match=MatchValue(State.LIVE.value))
    return Filter(must=[HasIdCondition({UUID(point) for point in ids}), live], must_not=[_newer(version)])


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
