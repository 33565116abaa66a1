"""Debezium's change events of PostgreSQL, MySQL and other tables, in their envelope or flattened: a row event each.

Key and value are each JSON with or without the ``{"schema", "payload"}`` wrapper of Kafka Connect's JSON converter,
or have left a schema registry's frame already, independently. Which of the two forms a value has shows in its names
(``schemas.envelope``), record by record: a connector that was given the flattening transform later leaves both in
its topic. A change of the primary key needs no rule of its own: it is a delete of the old key and a create of the
new one. A null value is a tombstone: it repeats the delete before it, or, flattened, is the delete.

Law: whatever the bytes, the answer is a row event or Malformed. Kinds: ``undecodable``, ``integer-range``,
``missing-key``, ``key``, ``envelope``, ``unknown-op``, ``flattened``, ``wrong-format``.

An unchanged TOAST column is not in PostgreSQL's log; Debezium writes a typed placeholder in its place, which is known
here in every form it takes (``UnchangedToastedPlaceholder`` of the connector) and must never be taken for a value.
Sources: Debezium's connector documentation, "Data change events", and the PostgreSQL connector's source.
"""

import base64
from typing import Any

from schemas.chunk_event import Headers, Json
from schemas.connect_schema import column_types, field_of
from schemas.envelope import (
    NO_WRAPPER,
    ROW_OPS,
    WRONG_FORMAT,
    incremental,
    is_envelope,
    key_columns,
    no_envelope,
    op_of,
    opened,
    snapshot,
    source_ts_ms,
    what_else,
)
from schemas.flattened import row_event
from schemas.malformed import Malformed
from schemas.row_event import NotARow, Row, RowDeleted, RowEvent, RowWritten, Tombstone, Truncated
from schemas.strict_json import kind_of
from schemas.wrapped import Said

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


def is_placeholder(value: Json) -> bool:
    """Whether a column's value is the placeholder of an unchanged TOAST column, in the form of any type."""
    if isinstance(value, str):
        return value in PLACEHOLDERS
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return value[0] in PLACEHOLDERS
        return value == _PLACEHOLDER_BYTES
    return value == {_PLACEHOLDER: _PLACEHOLDER}


def decode(key: Said | None, value: Said | None, _headers: Headers) -> RowEvent:
    """The row event of one record. Raises Malformed."""
    if value is None:
        return Tombstone(key_columns(key))
    payload, schema = opened(value, "value")
    if payload is None and schema is not NO_WRAPPER:
        return Tombstone(key_columns(key))
    if not isinstance(payload, dict):
        raise no_envelope(f"it is {kind_of(payload)}, not an object")
    if is_envelope(payload):
        return _unwrapped_event(payload, schema, key)
    if (other := what_else(payload)) is not None:
        return NotARow(other)
    return row_event(payload, column_types(schema), lambda: key_columns(key))


def _unwrapped_event(payload: dict[str, Any], schema: object, key: Said | None) -> RowEvent:
    op = op_of(payload)
    if op == "t":
        return Truncated(source_ts_ms(payload))
    if op == "m":
        return NotARow("logical decoding message")
    if op == "d":
        return RowDeleted(key_columns(key), _row(payload, "before"), source_ts_ms(payload))
    after = _row(payload, "after")
    if after is None:
        raise no_envelope(f"op is {op!r} and there is no row in 'after'")
    return RowWritten(
        key=key_columns(key),
        before=_row(payload, "before"),
        after=after,
        op=ROW_OPS[op],
        source_ts_ms=source_ts_ms(payload),
        snapshot=snapshot(payload),
        types=column_types(field_of(schema, "after")),
        incremental=incremental(payload),
    )


def _row(payload: dict[str, Any], name: str) -> Row | None:
    row = payload.get(name)
    if isinstance(row, str):
        raise Malformed(
            WRONG_FORMAT,
            f"{name!r} of a change event is a string, as in MongoDB's; set the source's format to \"mongodb\".",
        )
    if row is not None and not isinstance(row, dict):
        raise no_envelope(f"{name!r} is {kind_of(row)}, not a row")
    return row
