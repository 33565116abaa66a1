"""The values of one row under one source's mapping: title, texts, payload fields and tenant.

A mapped column is a column of the row or, where it has none of that name, the path to a value inside its objects,
its steps joined by dots (``author.name``): documents of MongoDB and of one's own are nested. A path that leads
nowhere is an absent column. An optional column that is absent reads as null.

A placeholder for a value that the log left out is never a value: it is taken from ``before``, or is Poison.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.chunk_event import Json
from schemas.debezium import is_placeholder
from schemas.row_event import ColumnType, Row, RowWritten
from schemas.strict_json import kind_of
from stream.errors import Fatal, Poison
from stream.field_value import field_value
from stream.ports import FieldType
from stream.source import Source

ABSENT = object()
"""Told apart from null."""


def cell(row: Row, column: str) -> object:
    """The value of a column, or :data:`ABSENT`."""
    if column in row:
        return row[column]
    first, dot, rest = column.partition(".")
    while dot:
        inner = row.get(first)
        if isinstance(inner, Mapping) and (found := cell(inner, rest)) is not ABSENT:
            return found
        more, dot, rest = rest.partition(".")
        first = f"{first}.{more}"
    return ABSENT


def refuse_absent_columns(source: Source, row: Row) -> None:
    """Raises Fatal with the column's name: a renamed column must not empty an index."""
    for column in source.columns:
        if not column.optional and cell(row, column.name) is ABSENT:
            raise Fatal(
                f"Source {source.name!r} maps the column {column.name!r}, but a row of topic {source.topic!r} has no "
                f"such column, only {listed(row)}; correct the source's mapping, or write '{column.name}?' if the "
                "column may be absent."
            )


def listed(row: Row) -> str:
    """The columns, for a sentence."""
    names = [name[:60] for name in row]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "none"


def tenant_as_it_was(source: Source, before: Row | None) -> str | None:
    """Of a row that is gone, where the log told it."""
    value = cell(before, source.tenant) if before is not None and source.tenant is not None else None
    if isinstance(value, str) and not is_placeholder(value):
        return value
    return str(value) if type(value) is int else None


@dataclass(frozen=True, slots=True)
class RowReader:
    """Of a row whose mapped columns are there."""

    source: Source
    event: RowWritten

    def text(self, column: str) -> str | None:
        """None where it is null or blank. Raises Poison."""
        value = self._value(column)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Poison(
                "text-type",
                f"The text column {column!r} is {kind_of(value)}, not a string; map a text column, or cast it to "
                "text in the source.",
            )
        known = self._type(column)
        if known is not None and known.connect == "bytes":
            raise Poison("text-type", f"The text column {column!r} is binary; map a column that holds text.")
        return value if value.strip() else None

    def tenant(self) -> str | None:
        """A number stands as its decimal text: tenants are compared as keywords. Raises Poison."""
        if self.source.tenant is None:
            return None
        value = self._value(self.source.tenant)
        if value is None or isinstance(value, str):
            return value
        if type(value) is int:
            return str(value)
        raise Poison(
            "tenant-type",
            f"The tenant column {self.source.tenant!r} is {kind_of(value)}; a tenant is a string or an integer.",
        )

    def typed(self, column: str, declared: FieldType) -> Json:
        """The payload field's value, or None where it is null. Raises Poison."""
        value = self._value(column)
        return None if value is None else field_value(column, value, self._type(column), declared)

    def _value(self, column: str) -> Json:
        value = _json(cell(self.event.after, column))
        if not is_placeholder(value):
            return value
        # An unchanged TOAST column is never NULL, so NULL in ``before`` says only that the log did not tell it.
        before = _json(cell(self.event.before, column)) if self.event.before is not None else None
        if before is None or is_placeholder(before):
            raise Poison(
                "placeholder",
                f"The column {column!r} did not change and was too large for PostgreSQL to log again, so its value "
                "is not in this event; either run ALTER TABLE … REPLICA IDENTITY FULL, or let Debezium read it again "
                "with its column reselector (ReselectColumnsPostProcessor).",
            )
        return before

    def _type(self, column: str) -> ColumnType | None:
        return self.event.types.get(column)


def _json(found: object) -> Json:
    return None if found is ABSENT else found  # type: ignore[return-value] # a cell is JSON where there is one
