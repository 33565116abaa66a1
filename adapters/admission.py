"""What an index takes at all: the checks that every index adapter makes before its engine sees a write.

Engines differ in what they let through: one stores a vector of NaN without a word, another answers 400, a third makes
``null`` of it. So the refusal is decided here, once, from the write and the collection's vector alone: what is poison
today is poison on every engine and on every day. A call with one poisonous write carries out none of its writes.

Three kinds of refusal: Poison for data that no index should hold (NaN, wrong dimensions, what JSON cannot carry, a
version that a 64-bit float cannot hold exactly), Misuse for names that a person wrote, and Fatal for a write that
contradicts itself, which only a bug can make.

A field of a payload that is None is not stored: engines differ in whether a merged null deletes a field or writes
null, so absent is the one form of it, and a touch with None removes the field.
"""

import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import orjson

from schemas.chunk_event import Json
from schemas.identity import ChunkId, Version
from stream.errors import Fatal, Misuse, Poison
from stream.points import DenseVector, Mark, Payload, Put, Repaint, State, Touch, Write
from stream.ports import FieldType, VectorSpec

MAX_VERSION = 2**53
"""Engines compare versions as 64-bit floats, which are exact below this."""

RESERVED_FIELDS = frozenset({"doc_id", "tenant", "state", "version"})
"""Payload keys that are the protocol's own: indexed by every collection, or never."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


def admit(writes: Sequence[Write], vector: VectorSpec) -> list[Write]:
    """The same writes with payloads of plain JSON values, owned by nobody else; all of them, or an error."""
    return [_admit(write, vector) for write in writes]


def admit_vector(values: DenseVector, vector: VectorSpec) -> DenseVector:
    """The vector as float32 of shape (dimensions,). Raises Poison where it is another shape or not finite."""
    array = np.asarray(values.values, dtype=np.float32)
    if array.shape != (vector.dimensions,):
        raise Poison(
            "vector", f"A vector of shape {array.shape} cannot stand among vectors of {vector.dimensions} dimensions."
        )
    if not np.isfinite(array).all():
        raise Poison("vector", "A vector holds NaN or an infinite value; its distance to anything is undefined.")
    return DenseVector(array)


def admit_ids(ids: Iterable[ChunkId]) -> list[uuid.UUID]:
    """The ids as UUIDs, in order. Raises Poison for what is not the canonical text of one."""
    return [_admit_id(point) for point in ids]


def admit_name(name: str) -> str:
    """The name of a collection or alias: it becomes a folder, a part of an address, a label of a metric."""
    if not _NAME.fullmatch(name):
        raise Misuse(
            f"{name!r} cannot name a collection or alias: use 1 to 200 letters, digits, '_', '-' and '.', "
            "and do not begin with '-' or '.'."
        )
    return name


def absent(name: str, known: Sequence[str]) -> Fatal:
    """The refusal to open what is not there."""
    there = f"there are {', '.join(known)}" if known else "there is none yet"
    return Fatal(f"There is no collection {name!r} in this index ({there}); check index.name and index.generation.")


def exists(name: str) -> Fatal:
    """The refusal to give one name twice: a search by it would be ambiguous."""
    return Fatal(f"A collection or alias is called {name!r} already; choose another index.name or index.generation.")


def refuse_named(name: str, aliases: Mapping[str, str]) -> None:
    """A collection that users search is not dropped. Raises Fatal."""
    searched = next((alias for alias, collection in aliases.items() if collection == name), None)
    if searched is not None:
        raise Fatal(f"The collection {name} is what index {searched} means; let that mean another one first.")


def admit_fields(fields: Mapping[str, object]) -> None:
    """Names of payload fields that are to be indexed."""
    for field in fields:
        if field in RESERVED_FIELDS:
            raise Misuse(f"The payload field {field!r} belongs to embedstream; give yours another name.")
        if not field or '"' in field or "\\" in field or not field.isprintable():
            raise Misuse(f"{field!r} cannot name a payload field: quotes, backslashes and control characters cannot.")


def missing_fields(
    collection: str, indexed: Mapping[str, FieldType], wanted: Mapping[str, FieldType]
) -> dict[str, FieldType]:
    """Those of ``wanted`` that have no index yet. Raises Fatal where one has an index of another type: the values
    that are stored were written as that type, so an index of the new one would find none of them.
    """
    for field, kind in wanted.items():
        if indexed.get(field, kind) != kind:
            raise Fatal(
                f"The payload field {field!r} is declared {kind}, and collection {collection} holds and indexes it "
                f"as {indexed[field]}; declare it as before, give the column another name on its way into the topic, "
                "or raise index.generation by one to build the index anew."
            )
    return {field: kind for field, kind in wanted.items() if field not in indexed}


def admit_metadata(metadata: Mapping[str, Json]) -> bytes:
    """Canonical bytes, equal for equal metadata whatever the order of keys; ``orjson.loads`` gives it back."""
    try:
        _refuse_nan(metadata)
        return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError) as error:
        raise Fatal(f"A collection's metadata must be JSON, and this is not ({error}).") from error


def _admit(write: Write, vector: VectorSpec) -> Write:
    if not 0 <= write.version < MAX_VERSION:
        raise Poison("version", f"Version {write.version} is not in [0, 2^53), which is what an index can compare.")
    match write:
        case Put():
            _admit_id(write.id)
            payload = _whole(write.payload, write.version)
            return replace(write, vector=admit_vector(write.vector, vector), payload=payload)
        case Repaint():
            _admit_id(write.id)
            return replace(write, payload=_whole(write.payload, write.version))
        case Touch():
            admit_ids(write.ids)
            payload = _plain(write.payload)
            if payload.get("version") != write.version or {"doc_id", "state"} & payload.keys():
                raise Fatal("A touch must carry its version and neither doc_id nor state; this is a bug, report it.")
            return replace(write, payload=payload)
        case Mark():
            _admit_id(write.id)
            if write.state is State.LIVE:
                raise Fatal("A mark is removed or deleted, never live; this is a bug, report it.")
            return write


def _whole(payload: Payload, version: Version) -> dict[str, Json]:
    plain: dict[str, Json] = {name: value for name, value in _plain(payload).items() if value is not None}
    if (
        plain.get("version") != version
        or plain.get("state") != State.LIVE
        or not isinstance(plain.get("doc_id"), str)
    ):
        raise Fatal(
            "A live point's payload must hold doc_id, its version and state 'live'; this is a bug, report it."
        )
    return plain


def _plain(payload: Payload) -> dict[str, Json]:
    """A deep copy of JSON values alone: tuples become lists, and nobody can change it later."""
    try:
        _refuse_nan(payload)
        plain: dict[str, Json] = orjson.loads(orjson.dumps(payload))
    except (TypeError, ValueError) as error:
        raise Poison("payload", f"A payload holds what JSON cannot carry ({error}).") from error
    return plain


def _refuse_nan(value: object) -> None:
    """Orjson would write null."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("NaN and infinity are no numbers in JSON")
    elif isinstance(value, Mapping):
        for item in value.values():
            _refuse_nan(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_nan(item)


def _admit_id(point: ChunkId) -> uuid.UUID:
    try:
        parsed = uuid.UUID(point)
    except (ValueError, AttributeError) as error:
        raise Poison("id", f"{point!r} is not the id of a point: it must be a UUID.") from error
    if str(parsed) != point:
        raise Poison("id", f"{point!r} is not the canonical text of a UUID, which is {parsed}.")
    return parsed
