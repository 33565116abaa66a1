"""Writes as operations of a server, conditions as its filters, and its records as points.

Each operation carries the condition of its writes, which the server checks on stored points while it applies the
operation. A missing point is inserted by an upsert whatever the filter says, as the law of a put wants, and matched
by no payload operation, as the law of a touch wants. All writes given at once are of different ids (see
``requests``).

One point of each collection is no point of the index: its record, by which its metadata changes (see ``record``). It
has no vector, no document and a state of its own, so that nothing but a walk over all could meet it; those leave it
out.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from uuid import UUID, uuid5

import numpy as np
from qdrant_client import models

from schemas.identity import ChunkId, DocId
from stream.points import DenseVector, Mark, Payload, Point, Put, Repaint, State, StoredPoint, Touch, Write

RECORD = str(uuid5(UUID("5f1b1e52-6f0c-5c0a-9a57-0d3ab0b0e3d4"), "the record of a collection"))
"""The id of the record's point, the same in every collection."""


def operations(writes: Sequence[Write], vector_name: str) -> Iterator[models.UpdateOperation]:
    """One operation for all puts of a version, one for its marks, and one for each other write."""
    ordered = sorted(writes, key=lambda write: (type(write).__name__, write.version))
    for (_, version), run in groupby(ordered, key=lambda write: (type(write).__name__, write.version)):
        points: list[models.PointStruct] = []
        for write in run:
            match write:
                case Put() | Mark():
                    points.append(_point(write, vector_name))
                case Touch():
                    merged = models.SetPayload(payload=dict(write.payload), filter=_live(write.ids, version))
                    yield models.SetPayloadOperation(set_payload=merged)
                case Repaint():
                    whole = models.SetPayload(payload=dict(write.payload), filter=_live([write.id], version))
                    yield models.OverwritePayloadOperation(overwrite_payload=whole)
        if points:
            condition = models.Filter(must_not=[_newer(version)])
            yield models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=condition))


def discarding(marks: Sequence[StoredPoint]) -> models.UpdateOperation:
    """The delete of marks, one at least, each where it is still removed at its version. One operation, because a
    server lets nobody else write while it looks for what a filter names.
    """
    if not marks:
        raise ValueError("a filter without versions would name every removed mark")
    removed = _equal("state", models.MatchValue(value=State.REMOVED.value))
    of_versions: list[models.Condition] = []
    for version, run in groupby(sorted(marks, key=lambda mark: mark.version), key=lambda mark: mark.version):
        exactly = models.FieldCondition(key="version", range=models.Range(gte=float(version), lte=float(version)))
        of_versions.append(models.Filter(must=[models.HasIdCondition(has_id=[mark.id for mark in run]), exactly]))
    selected = models.Filter(must=[removed], should=of_versions)
    return models.DeleteOperation(delete=models.FilterSelector(filter=selected))


def documents_filter(documents: Sequence[DocId]) -> models.Filter:
    """Every point of these documents."""
    return models.Filter(must=[_equal("doc_id", models.MatchAny(any=[str(document) for document in documents]))])


def state_filter(state: str | None) -> models.Filter:
    """Every point of that state, or of any, but the record."""
    others: list[models.Condition] = [models.HasIdCondition(has_id=[RECORD])]
    wanted: list[models.Condition] = [] if state is None else [_equal("state", models.MatchValue(value=state))]
    return models.Filter(must=wanted, must_not=others)


def payload_of(record: models.Record | models.ScoredPoint) -> Payload:
    """What is stored. Null is not: a server takes a field away where it is merged, local mode keeps it."""
    return {name: value for name, value in (record.payload or {}).items() if value is not None}


def point_of(record: models.Record, vector_name: str) -> Point:
    """A record as a point; its vector only where it was asked for and exists."""
    named = record.vector if isinstance(record.vector, dict) else {}
    values = named.get(vector_name)
    vector = None if values is None else DenseVector(np.asarray(values, dtype=np.float32))
    return Point(ChunkId(str(record.id)), payload_of(record), vector)


def _point(write: Put | Mark, vector_name: str) -> models.PointStruct:
    if isinstance(write, Mark):
        return models.PointStruct(id=write.id, vector={}, payload=write.payload)
    return models.PointStruct(
        id=write.id, vector={vector_name: write.vector.values.tolist()}, payload=dict(write.payload)
    )


def _newer(version: int) -> models.FieldCondition:
    """Of a stored point. One whose version somebody took away is not newer, so a write mends it."""
    return models.FieldCondition(key="version", range=models.Range(gt=float(version)))


def _live(ids: Sequence[ChunkId], version: int) -> models.Filter:
    live = _equal("state", models.MatchValue(value=State.LIVE.value))
    return models.Filter(must=[models.HasIdCondition(has_id=list(ids)), live], must_not=[_newer(version)])


def _equal(key: str, match: models.MatchValue | models.MatchAny) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=match)
