"""Debezium's change events in JSON, unflattened: from a record's bytes to a row event.

Key and value are each accepted with or without the ``{"schema", "payload"}`` wrapper of Kafka Connect's JSON
converter, independently. A change of the primary key needs no rule of its own: it is a delete of the old key and a
create of the new one. A null value is the tombstone that follows a delete; the delete itself was told by ``op = d``.

Law: whatever the bytes, the answer is a row event or Malformed. Kinds: ``undecodable``, ``integer-range``,
``missing-key``, ``key``, ``envelope``, ``unknown-op``, ``registry-framed``.

An unchanged TOAST column is not in PostgreSQL's log; Debezium writes a typed placeholder in its place, which is known
here in every form it takes (``UnchangedToastedPlaceholder`` of the connector) and must never be taken for a value.
Sources: Debezium's PostgreSQL connector documentation, "Data change events", and the connector's source.
"""

import base64
from collections.abc import Mapping
from typing import Any, Literal

from schemas.chunk_event import Headers, Json
from schemas.malformed import Malformed
from schemas.row_event import ColumnType, NotARow, Row, RowDeleted, RowEvent, RowWritten, Tombstone, Truncated
from schemas.strict_json import kind_of, loads

_PLACEHOLDER = "__debezium_unavailable_value"
_UUID_PLACEHOLDER = "b68a35a7-17ad-35b3-af2a-ae46edb4545a"
PLACEHOLDERS: frozenset[str] = frozenset(
    {
        _PLACEHOLDER,
        # Java's name-based UUID of the placeholder's bytes, for uuid[].
        _UUID_PLACEHOLDER,
        # bytea under binary.handling.mode bytes (and base64) and hex; bytea[].
        base64.b64encode(_PLACEHOLDER.encode()).decode(),
        _PLACEHOLDER.encode().hex(),
        # hstore under hstore.handling.mode json.
        f'{{"{_PLACEHOLDER}":"{_PLACEHOLDER}"}}',
    }
)
"""The strings that stand for a value that was not in the log. Arrays hold one of them, a map has it as its one name
and value, and an array of integers or dates holds its bytes."""
_PLACEHOLDER_BYTES = list(_PLACEHOLDER.encode())

_REGISTRY_HEADERS = frozenset({"__key_schema_id", "__value_schema_id"})
_CLOCKS = {"ts_ms", "ts_us", "ts_ns"}
_ROW_OPS: Mapping[str, Literal["c", "u", "r"]] = {"c": "c", "u": "u", "r": "r"}


def is_placeholder(value: Json) -> bool:
    """Whether a column's value is the placeholder of an unchanged TOAST column, in the form of any type."""
    if isinstance(value, str):
        return value in PLACEHOLDERS
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return value[0] in PLACEHOLDERS
        return value == _PLACEHOLDER_BYTES
    return value == {_PLACEHOLDER: _PLACEHOLDER}


def decode(key: bytes | None, value: bytes | None, headers: Headers) -> RowEvent:
    """The row event of one record. Raises Malformed."""
    if value is None:
        return Tombstone(_key(key, headers))
    document = _read(value, "value", headers)
    payload, schema = _unwrapped(document)
    if payload is None and schema is not _NO_WRAPPER:
        return Tombstone(_key(key, headers))
    if not isinstance(payload, dict):
        raise _no_envelope(f"it is {kind_of(payload)}, not an object")
    if "op" not in payload:
        return NotARow(_what_else(payload))
    return _row_event(payload, schema, key, headers)


def _row_event(payload: dict[str, Any], schema: object, key: bytes | None, headers: Headers) -> RowEvent:
    op = payload["op"]
    if op == "t":
        return Truncated(_source_ts_ms(payload))
    if op == "m":
        return NotARow("logical decoding message")
    if op == "d":
        return RowDeleted(_key(key, headers), _row(payload, "before"), _source_ts_ms(payload))
    if not isinstance(op, str) or op not in _ROW_OPS:
        shown = repr(op[:60]) if isinstance(op, str) else kind_of(op)
        raise Malformed("unknown-op", f"The change event's op is {shown}; known are c, u, d, r, t and m.")
    after = _row(payload, "after")
    if after is None:
        raise _no_envelope(f"op is {op!r} and there is no row in 'after'")
    return RowWritten(
        key=_key(key, headers),
        before=_row(payload, "before"),
        after=after,
        op=_ROW_OPS[op],
        source_ts_ms=_source_ts_ms(payload),
        snapshot=_snapshot(payload),
        types=_column_types(schema),
    )


def _key(key: bytes | None, headers: Headers) -> Row:
    """The key's columns in the record's order, at least one."""
    if key is None:
        raise Malformed(
            "missing-key",
            "The record has no key, so its document has no name; give the table a primary key, or name its columns "
            "in Debezium's message.key.columns.",
        )
    payload, _ = _unwrapped(_read(key, "key", headers))
    if payload is None:
        raise Malformed("missing-key", "The record's key is null, so its document has no name.")
    if not isinstance(payload, dict) or not payload:
        raise Malformed(
            "key", f"The record's key is {kind_of(payload)}; it must be an object of the primary key's columns."
        )
    return payload


_NO_WRAPPER = object()
"""Told apart from a wrapper whose schema is null."""


def _unwrapped(document: Json) -> tuple[Json, object]:
    """Payload and schema. A table may have columns of these two names: then the schema is not one of Connect's."""
    if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
        schema = document["schema"]
        if schema is None or (isinstance(schema, dict) and isinstance(schema.get("type"), str)):
            return document["payload"], schema
    return document, _NO_WRAPPER


def _read(data: bytes, part: str, headers: Headers) -> Json:
    try:
        return loads(data, f"The record's {part}")
    except Malformed as error:
        framed = data[:1] == b"\x00" or any(name in _REGISTRY_HEADERS for name, _ in headers)
        if error.kind == "undecodable" and framed:
            raise Malformed(
                "registry-framed",
                f"The record's {part} is framed by a schema registry; let the connector write it with "
                "org.apache.kafka.connect.json.JsonConverter.",
            ) from None
        raise


def _row(payload: dict[str, Any], name: str) -> Row | None:
    row = payload.get(name)
    if row is not None and not isinstance(row, dict):
        raise _no_envelope(f"{name!r} is {kind_of(row)}, not a row")
    return row


def _source(payload: dict[str, Any]) -> dict[str, Any]:
    source = payload.get("source")
    if source is None:
        return {}
    if not isinstance(source, dict):
        raise _no_envelope(f"'source' is {kind_of(source)}, not an object")
    return source


def _source_ts_ms(payload: dict[str, Any]) -> int | None:
    """The database's clock; the envelope's own ``ts_ms`` is the connector's and measures no freshness."""
    clock = _source(payload).get("ts_ms")
    if clock is not None and type(clock) is not int:
        raise _no_envelope(f"'source.ts_ms' is {kind_of(clock)}, not an integer")
    return clock


def _snapshot(payload: dict[str, Any]) -> bool:
    """A string today (``first``, ``incremental`` … or ``false``), a Boolean in older versions."""
    snapshot = _source(payload).get("snapshot")
    if snapshot is None or isinstance(snapshot, bool):
        return bool(snapshot)
    if isinstance(snapshot, str):
        return snapshot != "false"
    raise _no_envelope(f"'source.snapshot' is {kind_of(snapshot)}")


def _what_else(payload: dict[str, Any]) -> str:
    if "ts_ms" in payload and payload.keys() <= _CLOCKS:
        return "heartbeat"
    if payload.get("status") in ("BEGIN", "END") and "id" in payload:
        return "transaction marker"
    raise _no_envelope(
        "it has no 'op'; take the flattening transform (ExtractNewRecordState) out of the connector, or read the "
        'topic with format = "document"'
    )


def _column_types(schema: object) -> dict[str, ColumnType]:
    """What the wrapper's schema says of the columns of ``after``; nothing where it is not the usual one."""
    for field in _fields_of(schema):
        if field.get("field") == "after":
            return {
                column["field"]: ColumnType(
                    column["type"], column["name"] if isinstance(column.get("name"), str) else None
                )
                for column in _fields_of(field)
                if isinstance(column.get("field"), str) and isinstance(column.get("type"), str)
            }
    return {}


def _fields_of(schema: object) -> list[dict[str, Any]]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _no_envelope(what: str) -> Malformed:
    return Malformed("envelope", f"The record's value is not a Debezium change event: {what}.")
