"""What a record of a source says about one row, whatever format it came in.

Every format's decoder ends here, so that the mapping from rows to changes is written once: Debezium's envelope and
its flattened row, MongoDB's events and the plain document stand behind the same union, framed by a registry or not.

A row's values are those of JSON: integers inside 64 bits, no NaN, no lone surrogate. ``None`` is the database's NULL;
a column that is not in the mapping is absent, which is another thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.chunk_event import Json

Row = Mapping[str, Json]
"""Column → value."""
RowKey = Row | str
"""The key's columns in the record's order, or the text of a key that names no column."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """What the schema that travels with a value says of a column.

    ``connect`` is Kafka Connect's type (``string``, ``bytes``, ``int64`` …), ``semantic`` the schema's name, such as
    ``io.debezium.time.MicroTimestamp``, ``scale`` that of a decimal: its digits behind the point.
    """

    connect: str
    semantic: str | None = None
    scale: int | None = None


@dataclass(frozen=True, slots=True)
class RowWritten:
    """A row as it is now. ``op`` is ``c`` create, ``u`` update, ``r`` snapshot read.

    ``before`` is what the log told of the row as it was: None, or a row in which NULL may also mean "not told".
    ``types`` is empty where the value came without its schema.
    """

    key: RowKey
    before: Row | None
    after: Row
    op: Literal["c", "u", "r"]
    source_ts_ms: int | None
    """The database's commit clock, milliseconds since 1970 (UTC)."""
    snapshot: bool = False
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    incremental: bool | None = None
    """Whether an incremental snapshot read it; None where the format does not tell the kinds of snapshot apart."""


@dataclass(frozen=True, slots=True)
class RowDeleted:
    """The row is no longer. ``before`` as for :class:`RowWritten`."""

    key: RowKey
    before: Row | None
    source_ts_ms: int | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A null value behind a delete. Where the topic is compacted it may be all that is left of the delete."""

    key: RowKey


@dataclass(frozen=True, slots=True)
class Truncated:
    """Every row of the table is no longer, and no record names them."""

    source_ts_ms: int | None


@dataclass(frozen=True, slots=True)
class NotARow:
    """A record that speaks of no row: ``why`` in a word or two, for a counter."""

    why: str


RowEvent = RowWritten | RowDeleted | Tombstone | Truncated | NotARow
