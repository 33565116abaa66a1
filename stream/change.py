"""From a record of a source to what it changes: a revision, a delete, or nothing.

Every event becomes a whole :class:`Upsert`, a :class:`Delete` or an :class:`Ignore`; there is no partial change.
Which failure a record is follows from its bytes and the source's mapping alone:

- a mapped *column that is absent* stops the process (Fatal): a renamed column must not empty an index;
- a source of *another format* stops it, too: the whole topic is of that format, not one record;
- a *placeholder* in a mapped column takes its value from ``before``, or is Poison: it is never a text;
- a value of the *wrong type*, a missing key, anything undecodable is Poison, with a short stable kind.

Null or blank text is no failure: the document is there, without text. A number is not taken for text: the way a
database prints it would enter the vectors unnoticed. A revision's version is the record's offset + 1 and is not read
from the row, whose clocks and log positions do not order it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas import debezium, mongodb, plain_document
from schemas.chunk_event import Headers, Json
from schemas.envelope import WRONG_FORMAT
from schemas.identity import DocId, Version, doc_id
from schemas.malformed import Malformed
from schemas.row_event import NotARow, RowDeleted, RowEvent, RowKey, RowWritten, Tombstone, Truncated
from schemas.strict_json import kind_of
from schemas.wrapped import Said
from stream.errors import Fatal, Poison
from stream.row_reader import RowReader, listed, refuse_absent_columns, tenant_as_it_was
from stream.source import Format, Source

_BLANK_LINE = "\n\n"


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

_DECODERS: Mapping[Format, Callable[[Said | None, Said | None, Headers], RowEvent]] = {
    "debezium": debezium.decode,
    "mongodb": mongodb.decode,
    "document": plain_document.decode,
}


def read_change(
    source: Source, key: Said | None, value: Said | None, headers: Headers, version: Version, timestamp_ms: int
) -> Change:
    """The change that one record of ``source`` makes, at ``version``. Raises Poison or Fatal.

    Key and value have left a schema registry's frame already, if they came in one (``stream.ports.Unframer``).
    ``timestamp_ms`` is the record's own clock: it stands for the database's where the format has none.
    """
    try:
        event = _DECODERS[source.format](key, value, headers)
    except Malformed as error:
        if error.kind == WRONG_FORMAT:
            raise Fatal(f"Source {source.name!r}, topic {source.topic!r}: {error}") from error
        raise Poison(error.kind, str(error)) from error
    match event:
        case RowWritten():
            return _upsert(source, event, version, _clock(source, event.source_ts_ms, timestamp_ms))
        case RowDeleted():
            return Delete(
                doc_id=_document(source, event.key),
                version=version,
                tenant=tenant_as_it_was(source, event.before),
                source_ts_ms=_clock(source, event.source_ts_ms, timestamp_ms),
            )
        case Tombstone(row_key):
            # It repeats the delete before it, unless the topic is compacted: then it is all that is left of it.
            return Delete(doc_id=_document(source, row_key), version=version, tenant=None, source_ts_ms=None)
        case Truncated():
            return _truncated(source)
        case NotARow(why):
            return Ignore(why)


def document_told(
    source: Source, key: Said | None, value: Said | None, headers: Headers
) -> tuple[DocId, RowEvent] | None:
    """The document that a record is of and what it says of it, columns unread; None where it is of none.

    A value that cannot be read is Poison here too; the key alone (``value`` None) may name the document all the same.
    """
    try:
        event = _DECODERS[source.format](key, value, headers)
    except Malformed as error:
        raise Poison(error.kind, str(error)) from error
    match event:
        case RowWritten(row_key) | RowDeleted(row_key) | Tombstone(row_key):
            return _document(source, row_key), event
        case _:
            return None


def _upsert(source: Source, event: RowWritten, version: Version, source_ts_ms: int | None) -> Upsert:
    document = _document(source, event.key)
    refuse_absent_columns(source, event.after)
    row = RowReader(source, event)
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
                f"only {listed(key)}; set the source's key to columns of the message key."
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


def _truncated(source: Source) -> Change:
    happened = f"The table behind topic {source.topic!r} was truncated"
    if source.on_truncate == "dead-letter":
        raise Poison("truncate", f"{happened}; its documents stay in the index until an audit removes them.")
    raise Fatal(
        f'{happened}, and no record names the documents that are gone; set on_truncate = "dead-letter" for source '
        f"{source.name!r} to go on, then audit the index, or build its next generation."
    )
