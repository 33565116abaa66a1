"""MongoDB's events as Debezium's connector writes them: documents as strings of Extended JSON.

``after`` is the whole document as a string (``schemas.extended_json``); the key holds ``_id`` as another one, in the
one column ``id``, and becomes the plain text of that id. The columns of a row are the document's top-level fields.

An update that brings only what changed (``updateDescription`` beside an empty ``after``) is no revision: it is
Malformed of kind ``partial-document`` with the cure. Where the connector does look documents up, it may still find
one gone; the delete that follows says so.

Law: whatever the bytes, the answer is a row event or Malformed. Kinds: those of ``schemas.envelope`` and
``schemas.extended_json``, ``partial-document``, and ``wrong-format`` for a flattened document: its key is plain, and
a tombstone could not tell which of the two it has. Source: Debezium's MongoDB connector documentation, "Data change
events"; its classes ``JsonSerialization`` and ``ExtractNewDocumentState``.
"""

from typing import Any

from schemas import envelope, extended_json
from schemas.chunk_event import Headers, Json
from schemas.malformed import Malformed
from schemas.row_event import NotARow, Row, RowDeleted, RowEvent, RowWritten, Tombstone
from schemas.strict_json import kind_of
from schemas.wrapped import Said


def decode(key: Said | None, value: Said | None, _headers: Headers) -> RowEvent:
    """The row event of one record. Raises Malformed."""
    payload, schema = (None, None) if value is None else envelope.opened(value, "value")
    if payload is None and (value is None or schema is not envelope.NO_WRAPPER):
        return Tombstone(_key(key))
    if not isinstance(payload, dict):
        raise envelope.no_envelope(f"it is {kind_of(payload)}, not an object")
    if (other := envelope.what_else(payload)) is not None:
        return NotARow(other)
    if "_id" in payload or not envelope.is_envelope(payload):
        # The transform writes plain keys, and a tombstone could not tell which of the two forms its key has.
        raise Malformed(
            envelope.WRONG_FORMAT,
            "The record is a flattened document, whose key is no Extended JSON any more; set the source's format to "
            '"debezium", which reads flattened rows and documents alike.',
        )
    return _row_event(payload, key)


def _row_event(payload: dict[str, Any], key: Said | None) -> RowEvent:
    op = envelope.op_of(payload)
    if op == "d":
        return RowDeleted(_key(key), _document(payload, "before"), envelope.source_ts_ms(payload))
    if op not in envelope.ROW_OPS:
        raise Malformed("unknown-op", f"The change event's op is {op!r}, which no document has.")
    after = _document(payload, "after")
    if after is None:
        raise Malformed(
            "partial-document",
            "The update brings only what changed, not the document; set capture.mode = change_streams_update_full in "
            "the connector. (With it, this is a document that was deleted before the connector could read it.)",
        )
    return RowWritten(
        key=_key(key),
        before=_document(payload, "before"),
        after=after,
        op=envelope.ROW_OPS[op],
        source_ts_ms=envelope.source_ts_ms(payload),
        snapshot=envelope.snapshot(payload),
        incremental=envelope.incremental(payload),
    )


def _document(payload: dict[str, Any], part: str) -> Row | None:
    document = payload.get(part)
    if document is None:
        return None
    if isinstance(document, dict):
        raise Malformed(
            envelope.WRONG_FORMAT,
            f"{part!r} of a change event is a row, not MongoDB's string of Extended JSON; set the source's format to "
            '"debezium".',
        )
    if not isinstance(document, str):
        raise envelope.no_envelope(f"{part!r} is {kind_of(document)}, not MongoDB's string of Extended JSON")
    return extended_json.row(document, f"The change event's {part!r}")


def _key(key: Said | None) -> Row:
    columns = envelope.key_columns(key)
    ((name, told), *others) = columns.items()
    if others or not isinstance(told, str):
        raise Malformed(
            "key",
            f"The record's key has the columns {', '.join(column[:60] for column in columns)}; MongoDB's has one, "
            "the document's id as a string of Extended JSON.",
        )
    identity: Json = extended_json.id_text(told)
    return {name: identity}
