"""What the frames say: writes, filters, points, hits and errors as JSON, and back.

Every pair of functions here is inverse. Vectors travel beside the document as rows of one matrix; a document holds
True where the next row belongs to it. An error travels by its kind, so that a client raises what the owner raised.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.edge.frames import no_vectors
from schemas.identity import ChunkId, DocId, Version
from stream.errors import EmbedstreamError, Fatal, Misuse, Outage, Poison
from stream.filter import AtLeast, Between, Condition, During, Equals, FieldCondition, Filter, IsEmpty, NoneOf, OneOf
from stream.points import DenseVector, Hit, Mark, Point, Put, Repaint, State, StoredPoint, Touch, Write

PROTOCOL = 4
"""Raised when a client of another version of embedstream could misunderstand the owner."""

Wire = list[Any]
Rows = NDArray[np.float32]


def writes_out(writes: Iterable[Write]) -> tuple[list[Wire], Rows]:
    documents: list[Wire] = []
    vectors: list[Rows] = []
    for write in writes:
        match write:
            case Put():
                documents.append(["put", write.id, write.version, write.payload])
                vectors.append(write.vector.values)
            case Mark():
                documents.append(["mark", write.id, write.version, write.doc_id, write.state, write.tenant])
            case Touch():
                documents.append(["touch", write.ids, write.version, write.payload])
            case Repaint():
                documents.append(["repaint", write.id, write.version, write.payload])
    return documents, _stacked(vectors)


def writes_in(documents: Sequence[Wire], vectors: Rows) -> list[Write]:
    rows = iter(vectors)
    return [_write_in(document, rows) for document in documents]


def _write_in(document: Wire, rows: Iterator[Rows]) -> Write:
    match document:
        case ["put", point, version, payload]:
            return Put(ChunkId(point), Version(version), DenseVector(next(rows)), payload)
        case ["mark", point, version, document_id, state, tenant]:
            return Mark(ChunkId(point), DocId(document_id), Version(version), State(state), tenant)
        case ["touch", points, version, payload]:
            return Touch(tuple(map(ChunkId, points)), Version(version), payload)
        case ["repaint", point, version, payload]:
            return Repaint(ChunkId(point), Version(version), payload)
        case _:
            raise _unknown("write", document)


def filter_out(wanted: Filter) -> Wire:
    clauses = (_conditions_out(clause) for clause in (wanted.must, wanted.should, wanted.must_not))
    counted = wanted.min_should
    return ["filter", *clauses, None if counted is None else [counted.count, _conditions_out(counted.conditions)]]


def filter_in(document: Wire) -> Filter:
    match document:
        case ["filter", must, should, must_not, counted]:
            return Filter(
                must=_conditions_in(must),
                should=_conditions_in(should),
                must_not=_conditions_in(must_not),
                min_should=None if counted is None else AtLeast(counted[0], _conditions_in(counted[1])),
            )
        case _:
            raise _unknown("filter", document)


def _conditions_out(conditions: Iterable[Condition]) -> list[Wire]:
    return [filter_out(one) if isinstance(one, Filter) else _condition_out(one) for one in conditions]


def _conditions_in(documents: Iterable[Wire]) -> tuple[Condition, ...]:
    return tuple(filter_in(one) if one[:1] == ["filter"] else _condition_in(one) for one in documents)


def _condition_out(wanted: FieldCondition) -> Wire:
    match wanted:
        case Equals():
            return ["equals", wanted.key, wanted.value]
        case OneOf():
            return ["one of", wanted.key, wanted.values]
        case NoneOf():
            return ["none of", wanted.key, wanted.values]
        case Between():
            return ["between", wanted.key, wanted.gt, wanted.gte, wanted.lt, wanted.lte]
        case During():
            bounds = (wanted.gt, wanted.gte, wanted.lt, wanted.lte)
            return ["during", wanted.key, *(None if bound is None else bound.isoformat() for bound in bounds)]
        case IsEmpty():
            return ["is empty", wanted.key]


def _condition_in(document: Wire) -> FieldCondition:
    match document:
        case ["equals", key, value]:
            return Equals(key, value)
        case ["one of", key, values]:
            return OneOf(key, tuple(values))
        case ["none of", key, values]:
            return NoneOf(key, tuple(values))
        case ["between", key, *bounds]:
            return Between(key, *bounds)
        case ["during", key, *bounds]:
            return During(key, *(None if bound is None else datetime.fromisoformat(bound) for bound in bounds))
        case ["is empty", key]:
            return IsEmpty(key)
        case _:
            raise _unknown("condition", document)


def points_out(points: Iterable[Point]) -> tuple[list[Wire], Rows]:
    documents: list[Wire] = []
    vectors: list[Rows] = []
    for point in points:
        documents.append([point.id, point.payload, point.vector is not None])
        if point.vector is not None:
            vectors.append(point.vector.values)
    return documents, _stacked(vectors)


def points_in(documents: Iterable[Wire], vectors: Rows) -> list[Point]:
    rows = iter(vectors)
    return [
        Point(ChunkId(point), payload, DenseVector(next(rows).copy()) if has_vector else None)
        for point, payload, has_vector in documents
    ]


def stored_out(points: Iterable[StoredPoint]) -> list[Wire]:
    return [[point.id, point.version, point.state, point.payload_digest] for point in points]


def stored_in(document: DocId, points: Iterable[Wire]) -> list[StoredPoint]:
    return [
        StoredPoint(ChunkId(point), document, Version(version), State(state), digest)
        for point, version, state, digest in points
    ]


def marks_out(marks: Iterable[StoredPoint]) -> list[Wire]:
    """Of removed ones alone, which is not said again for each."""
    return [[mark.id, mark.doc_id, mark.version] for mark in marks]


def marks_in(marks: Iterable[Wire]) -> list[StoredPoint]:
    return [
        StoredPoint(ChunkId(point), DocId(document), Version(version), State.REMOVED)
        for point, document, version in marks
    ]


def hits_out(hits: Iterable[Hit]) -> list[Wire]:
    return [[hit.id, hit.score, hit.payload] for hit in hits]


def hits_in(hits: Iterable[Wire]) -> list[Hit]:
    return [Hit(ChunkId(point), score, payload) for point, score, payload in hits]


def error_out(error: Exception) -> dict[str, Any]:
    """Anything outside the tree of ``stream.errors`` is a bug, and a bug is fatal."""
    match error:
        case Poison():
            return {"error": "poison", "kind": error.kind, "sentence": str(error)}
        case Outage():
            return {"error": "outage", "retry_after_s": error.retry_after_s, "sentence": str(error)}
        case Misuse():
            return {"error": "misuse", "sentence": str(error)}
        case EmbedstreamError():
            return {"error": "fatal", "sentence": str(error)}
        case _:
            sentence = f"The owner of the index failed on this call ({error!r}); this is a bug, report it."
            return {"error": "fatal", "sentence": sentence}


def error_in(document: dict[str, Any]) -> EmbedstreamError:
    sentence = str(document["sentence"])
    match document["error"]:
        case "poison":
            return Poison(str(document["kind"]), sentence)
        case "outage":
            return Outage(sentence, document["retry_after_s"])
        case "misuse":
            return Misuse(sentence)
        case _:
            return Fatal(sentence)


def _unknown(what: str, document: Wire) -> Fatal:
    return Fatal(f"The other side sent a {what} that this version does not know ({document[:1]}); use one version.")


def _stacked(vectors: list[Rows]) -> Rows:
    return np.stack(vectors) if vectors else no_vectors()
