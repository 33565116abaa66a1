"""From a record of a source to what it changes: a revision, a delete, or nothing.

Every event becomes a whole :class:`Upsert`, a :class:`Delete` or an :class:`Ignore`; there is no partial change.
Which failure a record is follows from its bytes and the source's mapping alone:

- a mapped *column that is absent* stops the process (Fatal): a renamed column must not empty an index;
- a *placeholder* in a mapped column takes its value from ``before``, or is Poison: it is never a text;
- a value of the *wrong type*, a missing key, anything undecodable is Poison, with a short stable kind.

Null or blank text is no failure: the document is there, without text. A number is not taken for text: the way a
database prints it would enter the vectors unnoticed. A revision's version is the record's offset + 1 and is not read
from the row, whose clocks and log positions do not order it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas import debezium, plain_document
from schemas.chunk_event import Headers, Json
from schemas.debezium import is_placeholder
from schemas.identity import DocId, Version, doc_id
from schemas.malformed import Malformed
from schemas.row_event import NotARow, Row, RowDeleted, RowEvent, RowKey, RowWritten, Tombstone, Truncated
from schemas.strict_json import kind_of
from stream.errors import Fatal, Poison
from stream.ports import FieldType
from stream.source import Format, Source

_BLANK_LINE = "\n\n"
# RFC 3339, with the time, the seconds or the offset left out where ISO 8601 allows it: what indexes read as a time.
_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Upsert:
    """A revision. ``text`` is empty where the document has none; null fields are left out of ``fields``."""

    doc_id: DocId
    version: Version
    title: str | None
    text: str
    fields: Mapping[str, Json]
    tenant: str | None
    source_ts_ms: int | None


@dataclass(frozen=True, slots=True)
class Delete:
    """The document is no longer. ``tenant`` is known only where the log told the row as it was."""

    doc_id: DocId
    version: Version
    tenant: str | None
    source_ts_ms: int | None


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing to do; ``reason`` in a word or two, for a counter."""

    reason: str


Change = Upsert | Delete | Ignore

_DECODERS: Mapping[Format, Callable[[bytes | None, bytes | None, Headers], RowEvent]] = {
    "debezium": debezium.decode,
    "document": plain_document.decode,
}


def read_change(
    source: Source, key: bytes | None, value: bytes | None, headers: Headers, version: Version, timestamp_ms: int
) -> Change:
    """The change that one record of ``source`` makes, at ``version``. Raises Poison or Fatal.

    ``timestamp_ms`` is the record's own clock: it stands for the database's where the format has none.
    """
    try:
        event = _DECODERS[source.format](key, value, headers)
    except Malformed as error:
        raise Poison(error.kind, str(error)) from error
    match event:
        case RowWritten():
            return _upsert(source, event, version, _clock(source, event.source_ts_ms, timestamp_ms))
        case RowDeleted():
            return Delete(
                doc_id=_document(source, event.key),
                version=version,
                tenant=_tenant_as_it_was(source, event.before),
                source_ts_ms=_clock(source, event.source_ts_ms, timestamp_ms),
            )
        case Tombstone(row_key):
            # It repeats the delete before it, unless the topic is compacted: then it is all that is left of it.
            return Delete(doc_id=_document(source, row_key), version=version, tenant=None, source_ts_ms=None)
        case Truncated():
            return _truncated(source)
        case NotARow(why):
            return Ignore(why)


def _upsert(source: Source, event: RowWritten, version: Version, source_ts_ms: int | None) -> Upsert:
    document = _document(source, event.key)
    _refuse_absent_columns(source, event.after)
    row = _RowReader(source, event)
    texts = [row.text(column.name) for column in source.text]
    return Upsert(
        doc_id=document,
        version=version,
        title=row.text(source.title) if source.title is not None else None,
        text=_BLANK_LINE.join(text for text in texts if text is not None),
        fields={
            column: typed
            for column, field_type in source.fields.items()
            if (typed := row.typed(column, field_type)) is not None
        },
        tenant=row.tenant(),
        source_ts_ms=source_ts_ms,
    )


def _clock(source: Source, source_ts_ms: int | None, timestamp_ms: int) -> int | None:
    """A document's commit is its record. A Debezium event without the database's clock has none: the connector's
    would make the index look fresher than it is.
    """
    if source.format == "document" and source_ts_ms is None and timestamp_ms > 0:
        return timestamp_ms
    return source_ts_ms


def _document(source: Source, key: RowKey) -> DocId:
    if isinstance(key, str):
        if len(source.key) > 1:
            raise Fatal(
                f"Source {source.name!r} names the key columns {', '.join(source.key)}, but a key of topic "
                f"{source.topic!r} is one plain value; set key to one column or write keys as objects."
            )
        return doc_id(source.name, {"key": key})
    columns = source.key or tuple(key)
    for column in columns:
        if column not in key:
            raise Fatal(
                f"Source {source.name!r} names the key column {column!r}, but a key of topic {source.topic!r} has "
                f"only {_listed(key)}; set the source's key to columns of the message key."
            )
        value = key[column]
        if value is None:
            raise Poison("null-key", f"The key column {column!r} is null, so the document has no name.")
        if isinstance(value, list | dict):
            raise Poison(
                "key-type",
                f"The key column {column!r} is {kind_of(value)}; a key column is a string, a number or a Boolean "
                "(for NUMERIC keys set Debezium's decimal.handling.mode to string).",
            )
    return doc_id(source.name, {column: key[column] for column in columns})


def _refuse_absent_columns(source: Source, row: Row) -> None:
    for column in source.columns:
        if column.name not in row and not column.optional:
            raise Fatal(
                f"Source {source.name!r} maps the column {column.name!r}, but a row of topic {source.topic!r} has no "
                f"such column, only {_listed(row)}; correct the source's mapping, or write '{column.name}?' if the "
                "column may be absent."
            )


def _listed(row: Row) -> str:
    names = [name[:60] for name in row]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "none"


def _truncated(source: Source) -> Change:
    happened = f"The table behind topic {source.topic!r} was truncated"
    if source.on_truncate == "dead-letter":
        raise Poison("truncate", f"{happened}; its documents stay in the index until an audit removes them.")
    raise Fatal(
        f'{happened}, and no record names the documents that are gone; set on_truncate = "dead-letter" for source '
        f"{source.name!r} to go on, then audit the index, or build its next generation."
    )


def _tenant_as_it_was(source: Source, before: Row | None) -> str | None:
    value = before.get(source.tenant) if before is not None and source.tenant is not None else None
    if isinstance(value, str) and not is_placeholder(value):
        return value
    return str(value) if type(value) is int else None


@dataclass(frozen=True, slots=True)
class _RowReader:
    """The values of one row under one source's mapping; an optional column that is absent reads as null."""

    source: Source
    event: RowWritten

    def text(self, column: str) -> str | None:
        """None where it is null or blank."""
        value = self._value(column)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Poison(
                "text-type",
                f"The text column {column!r} is {kind_of(value)}, not a string; map a text column, or cast it to "
                "text in the source.",
            )
        if self._connect_type(column) == "bytes":
            raise Poison("text-type", f"The text column {column!r} is binary; map a column that holds text.")
        return value if value.strip() else None

    def tenant(self) -> str | None:
        """A number stands as its decimal text: tenants are compared as keywords."""
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

    def typed(self, column: str, field_type: FieldType) -> Json:
        """The payload field's value, or None where it is null."""
        value = self._value(column)
        if value is None:
            return None
        if self._connect_type(column) == "bytes":
            raise Poison(
                "field-type",
                f"The field {column!r} is binary, not a {field_type}; for NUMERIC set Debezium's "
                "decimal.handling.mode to double or string.",
            )
        if field_type == "float" and type(value) is int:
            return float(value)
        if not _FITS[field_type](value):
            hint = (
                "; for times set the connector's time.precision.mode to isostring, or use timestamptz"
                if field_type == "datetime"
                else ""
            )
            raise Poison(
                "field-type", f"The field {column!r} is declared {field_type} and holds {_shown(value)}{hint}."
            )
        return value

    def _value(self, column: str) -> Json:
        value = self.event.after.get(column)
        if not is_placeholder(value):
            return value
        # An unchanged TOAST column is never NULL, so NULL in ``before`` says only that the log did not tell it.
        before = self.event.before.get(column) if self.event.before is not None else None
        if before is None or is_placeholder(before):
            raise Poison(
                "placeholder",
                f"The column {column!r} did not change and was too large for PostgreSQL to log again, so its value "
                "is not in this event; either run ALTER TABLE … REPLICA IDENTITY FULL, or let Debezium read it again "
                "with its column reselector (ReselectColumnsPostProcessor).",
            )
        return before

    def _connect_type(self, column: str) -> str | None:
        known = self.event.types.get(column)
        return known.connect if known is not None else None


def _is_keyword(value: Json) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _is_datetime(value: Json) -> bool:
    """The pattern keeps to what every version of Python and every index reads alike; the parser knows dates."""
    if not isinstance(value, str) or not _DATETIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _shown(value: Json) -> str:
    return repr(value[:60]) if isinstance(value, str) else kind_of(value)


_FITS: Mapping[FieldType, Callable[[Json], bool]] = {
    "keyword": _is_keyword,
    "integer": lambda value: type(value) is int,
    "float": lambda value: type(value) is float,
    "boolean": lambda value: type(value) is bool,
    "datetime": _is_datetime,
}
