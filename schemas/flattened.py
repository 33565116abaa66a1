"""Debezium's events without their envelope: what its flattening transforms (``ExtractNewRecordState`` and MongoDB's
``ExtractNewDocumentState``) leave of one.

The value is the row itself. A delete is a null value, as the transform has it by default, or the row as it was with
``__deleted`` beside its columns (mode ``rewrite``; the word ``"true"`` or a Boolean). What ``add.fields`` carries
over stands under two underscores: ``__op`` and ``__source_ts_ms`` are used where they are, under that prefix alone.

Law: the flattened history of a table makes the changes that its envelopes make, but for what they carried more: the
commit clock, and the row as it was before an update or a delete. Kind of Malformed: ``flattened``.
Sources: "New Record State Extraction" and "New Document State Extraction" of Debezium's documentation.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from schemas.malformed import Malformed
from schemas.row_event import ColumnType, NotARow, RowDeleted, RowEvent, RowKey, RowWritten, Truncated
from schemas.strict_json import kind_of

_DELETED = "__deleted"
_WORDS: Mapping[object, bool] = {"true": True, "false": False, None: False}
_ROW_OPS: Mapping[str, Literal["c", "u", "r"]] = {"c": "c", "u": "u", "r": "r"}


def row_event(row: dict[str, Any], types: Mapping[str, ColumnType], key: Callable[[], RowKey]) -> RowEvent:
    """``key`` is read only where the record speaks of a row. Raises Malformed."""
    if not row:
        raise Malformed("flattened", "The record's value is an object without columns, so it is no row.")
    op = row.get("__op")
    if op == "t":
        return Truncated(_source_ts_ms(row))
    if op == "m":
        return NotARow("logical decoding message")
    if _deleted(row) or op == "d":
        return RowDeleted(key(), row, _source_ts_ms(row))
    return RowWritten(
        key=key(),
        before=None,
        after=row,
        op=_ROW_OPS.get(op, "u") if isinstance(op, str) else "u",
        source_ts_ms=_source_ts_ms(row),
        snapshot=op == "r",
        types=types,
    )


def _deleted(row: dict[str, Any]) -> bool:
    told = row.get(_DELETED)
    if isinstance(told, bool):
        return told
    if isinstance(told, list | dict) or told not in _WORDS:
        raise Malformed("flattened", f'{_DELETED!r} is {kind_of(told)} that is neither "true" nor "false".')
    return _WORDS[told]


def _source_ts_ms(row: dict[str, Any]) -> int | None:
    """The database's clock, where ``add.fields`` names ``source.ts_ms``; ``__ts_ms`` is the connector's."""
    clock = row.get("__source_ts_ms")
    if clock is not None and type(clock) is not int:
        raise Malformed("flattened", f"'__source_ts_ms' is {kind_of(clock)}, not an integer.")
    return clock
