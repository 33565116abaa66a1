"""The parts of Debezium's envelope that every connector writes alike: key, operation, clock, snapshot.

``op``, ``source`` and the two rows stand beside each other; what the rows are is the connector's matter. An envelope
is known by the *names* in it, never by a value, so that no row can pass for one: a flattened row has at least one
name more (its key column), and no column that is an object called ``source``.

Kinds of Malformed: ``undecodable``, ``integer-range``, ``missing-key``, ``key``, ``envelope``, ``unknown-op``,
``wrong-format``.
Source: "Data change events" of Debezium's connector documentation.
"""

from collections.abc import Mapping
from typing import Any, Literal

from schemas.chunk_event import Json
from schemas.malformed import Malformed
from schemas.row_event import Row
from schemas.strict_json import kind_of, loads
from schemas.wrapped import Said, Wrapped

_CLOCKS = frozenset({"ts_ms", "ts_us", "ts_ns"})
_NAMES = _CLOCKS | {
    *("before", "after", "source", "op", "transaction", "message"),
    *("updateDescription", "patch", "filter"),
}
_TRANSACTION = _CLOCKS | {"status", "id", "event_count", "data_collections"}
ROW_OPS: Mapping[str, Literal["c", "u", "r"]] = {"c": "c", "u": "u", "r": "r"}
"""Operations that leave a row: create, update, snapshot read."""

WRONG_FORMAT = "wrong-format"
"""Kind of Malformed: the record is sound, and the source is configured for another kind of topic."""

NO_WRAPPER = object()
"""Told apart from a wrapper whose schema is null."""


def opened(said: Said, part: Literal["key", "value"]) -> tuple[Json, object]:
    """Payload and schema, whichever way the schema came."""
    if isinstance(said, Wrapped):
        return said.payload, said.schema
    return _unwrapped(loads(said, f"The record's {part}"))


def _unwrapped(document: Json) -> tuple[Json, object]:
    """A table may have columns of these two names: then the schema is not one of Connect's."""
    if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
        schema = document["schema"]
        if schema is None or (isinstance(schema, dict) and isinstance(schema.get("type"), str)):
            return document["payload"], schema
    return document, NO_WRAPPER


def key_columns(key: Said | None) -> Row:
    """The key's columns in the record's order, at least one."""
    if key is None:
        raise Malformed(
            "missing-key",
            "The record has no key, so its document has no name; give the table a primary key, or name its columns "
            "in Debezium's message.key.columns.",
        )
    payload, _ = opened(key, "key")
    if payload is None:
        raise Malformed("missing-key", "The record's key is null, so its document has no name.")
    if not isinstance(payload, dict) or not payload:
        raise Malformed(
            "key", f"The record's key is {kind_of(payload)}; it must be an object of the primary key's columns."
        )
    return payload


def is_envelope(payload: dict[str, Any]) -> bool:
    """Whether it is one, whole or not; a row otherwise. A later version of Debezium may add a name of its own."""
    if "op" in payload and payload.keys() <= _NAMES:
        return True
    source = payload.get("source")
    # A row may have columns of these names, too; a source block always says which connector wrote it.
    if not isinstance(source, dict) or "connector" not in source:
        return False
    return not payload.keys().isdisjoint({"op", "before", "after"})


def what_else(payload: dict[str, Any]) -> str | None:
    """What a record that speaks of no row is, in a word or two; None where it may be about one."""
    if "ts_ms" in payload and payload.keys() <= _CLOCKS:
        return "heartbeat"
    if "event_count" in payload and {"status", "id"} <= payload.keys() <= _TRANSACTION:
        return "transaction marker"
    return None


def op_of(payload: dict[str, Any]) -> str:
    """The operation of an envelope; one that is no word of Debezium's is Malformed, too."""
    op = payload.get("op")
    if not isinstance(op, str) or op not in "crudtm" or len(op) != 1:
        shown = repr(op[:60]) if isinstance(op, str) else kind_of(op)
        raise Malformed("unknown-op", f"The change event's op is {shown}; known are c, u, d, r, t and m.")
    return op


def source_ts_ms(payload: dict[str, Any]) -> int | None:
    """The database's clock; the envelope's own ``ts_ms`` is the connector's and measures no freshness."""
    clock = _source(payload).get("ts_ms")
    if clock is not None and type(clock) is not int:
        raise no_envelope(f"'source.ts_ms' is {kind_of(clock)}, not an integer")
    return clock


def snapshot(payload: dict[str, Any]) -> bool:
    """A string today (``first``, ``incremental`` … or ``false``), a Boolean in older versions."""
    told = _source(payload).get("snapshot")
    if told is None or isinstance(told, bool):
        return bool(told)
    if isinstance(told, str):
        return told != "false"
    raise no_envelope(f"'source.snapshot' is {kind_of(told)}")


def incremental(payload: dict[str, Any]) -> bool:
    """Whether the row was read by an incremental snapshot, between whose records the log's own stand."""
    return _source(payload).get("snapshot") == "incremental"


def no_envelope(what: str) -> Malformed:
    """The refusal, with what is wrong."""
    return Malformed("envelope", f"The record's value is not a Debezium change event: {what}.")


def _source(payload: dict[str, Any]) -> dict[str, Any]:
    source = payload.get("source")
    if source is None:
        return {}
    if not isinstance(source, dict):
        raise no_envelope(f"'source' is {kind_of(source)}, not an object")
    return source
