"""``format = "document"``: a record whose value is the row itself as a JSON object, and whose null value deletes it.

This is how a join, an outbox or a program of one's own comes in. The key is a JSON object of key columns, or a scalar
where one column is the key: a JSON string stands for its content, and anything else that does not begin with ``{``,
``[`` or ``"`` stands for its own text, so that ``007``, ``1e5`` and ``7`` stay three documents and a number of any
length keeps every digit. A topic keeps to one of these forms: ``"a"`` and ``a`` name the same document. A key that
left a schema registry's frame is an object or a scalar alike.

Law: whatever the bytes, the answer is a row event or Malformed. Kinds: ``undecodable``, ``integer-range``,
``missing-key``, ``key``, ``not-an-object``.
"""

import json

from schemas.chunk_event import Headers, Json
from schemas.connect_schema import column_types
from schemas.malformed import Malformed
from schemas.row_event import RowDeleted, RowEvent, RowKey, RowWritten
from schemas.strict_json import kind_of, loads
from schemas.wrapped import Said, Wrapped

_SPACE = b" \t\r\n"


def decode(key: Said | None, value: Said | None, _headers: Headers) -> RowEvent:
    """The row event of one record. It carries no clock: the record's own is the nearest. Raises Malformed."""
    document_key = _said_key(key.payload) if isinstance(key, Wrapped) else _key(key)
    if value is None:
        return RowDeleted(document_key, None, None)
    schema = value.schema if isinstance(value, Wrapped) else None
    row = value.payload if isinstance(value, Wrapped) else loads(value, "The record's value")
    if not isinstance(row, dict):
        raise Malformed(
            "not-an-object",
            f"The record's value is {kind_of(row)}; a document is an object, its delete a record without a value.",
        )
    return RowWritten(document_key, None, row, "u", None, types=column_types(schema))


def _key(key: bytes | None) -> RowKey:
    if not key or key.strip(_SPACE) == b"null":
        raise Malformed(
            "missing-key", "The record has no key, so its document has no name; write the document's id as the key."
        )
    match key.lstrip(_SPACE)[:1]:
        case b"{":
            return _columns(loads(key, "The record's key"))
        case b"[":
            raise Malformed(
                "key", "The record's key begins like an array; write it as an object of the key's columns."
            )
        case b'"':
            text = loads(key, "The record's key")
            if text == "":
                raise Malformed("missing-key", "The record's key is an empty string, so its document has no name.")
            return str(text)
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise Malformed("undecodable", "The record's key is neither JSON nor text in UTF-8.") from None


def _said_key(key: Json) -> RowKey:
    """A key that a registry's frame held. A scalar names the document that its text would name unframed."""
    if key is None or key == "":
        raise Malformed("missing-key", "The record's key is null or empty, so its document has no name.")
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float):
        return json.dumps(key)
    if isinstance(key, dict):
        return _columns(key)
    raise Malformed("key", "The record's key is an array; write it as an object of the key's columns.")


def _columns(columns: Json) -> RowKey:
    if isinstance(columns, dict) and columns:
        return columns
    raise Malformed("key", "The record's key is an object without columns.")
