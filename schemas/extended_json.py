"""MongoDB's Extended JSON as plain JSON, in every dialect that a connector writes.

A document travels as a string of it: canonical (``{"$numberInt": "7"}``), relaxed (``7``) or the older strict mode
(``{"$date": 1700000000000}``, ``{"$binary": "…", "$type": "00"}``). All three say the same value, so one value comes
out: an ObjectId is its hex digits, a date RFC 3339 in UTC, a UUID its text, other bytes base64, a number a number.
What has no plain form (a regular expression, a reference, NaN) keeps the one it has.

Law: the dialects of one document give equal rows, and its ids equal texts. Ids of two values differ: a collection may
hold the number 7, the string ``"7"`` and an ObjectId side by side, so a string that could be taken for another kind
is written with its quotation marks. Malformed of kinds ``undecodable``, ``integer-range`` and ``extended-json``.
Source: MongoDB Extended JSON (v2), and the strict mode of its Java driver.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.chunk_event import Json
from schemas.instants import MILLI, timestamp_text
from schemas.malformed import Malformed
from schemas.strict_json import INT64_MAX, INT64_MIN, dumps, kind_of, loads

_EXACT = 2**53
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_SUBTYPE = "04"
"""The older 03 is left as bytes: each driver ordered them in its own way."""


def row(text: str, what: str) -> dict[str, Json]:
    """The document that ``text`` says, as columns. Raises Malformed."""
    document = plain(_read(text, what))
    if not isinstance(document, dict):
        raise Malformed("extended-json", f"{what} is {kind_of(document)}, not a document.")
    return document


def plain(value: Json) -> Json:
    """The value without its types. Raises Malformed where a typed value is not what its type says."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    reader = _TYPED.get(name)
    if reader is not None and value.keys() <= _WITH.get(name, {name}):
        return reader(value)
    return {column: plain(item) for column, item in value.items()}


def id_text(text: str) -> str:
    """The name of the document whose ``_id`` ``text`` says. Raises Malformed."""
    value = _named(_read(text, "The record's key"))
    if isinstance(value, str):
        return _quoted_where_doubtful(value)
    if isinstance(value, dict) and value.keys() in ({"$oid"}, {"$uuid"}):
        (name,) = value.values()
        return str(name)
    return dumps(value, "The record's key").decode()


def _named(value: Json) -> Json:
    """The one form of an id: as plain as can be with every type still told apart. Numbers are equal across types."""
    if isinstance(value, list):
        return [_named(item) for item in value]
    simple = plain(value)
    if isinstance(simple, float) and simple.is_integer() and abs(simple) < _EXACT:
        return int(simple)
    if not isinstance(value, dict):
        return simple
    if not isinstance(simple, str):
        return {name: _named(item) for name, item in value.items()} if isinstance(simple, dict) else simple
    kind = next(iter(value))
    if kind == "$binary":
        content, subtype = _bytes(value)
        return {"$uuid": simple} if subtype == _UUID_SUBTYPE else {"$binary": content, "$type": subtype}
    return {kind: simple}


def _read(text: str, what: str) -> Json:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Malformed("undecodable", f"{what} holds a lone surrogate.") from None
    return loads(data, what)


def _quoted_where_doubtful(text: str) -> str:
    doubtful = (
        not text
        or text[0] in '"{['
        or text in ("true", "false", "null")
        or any(form.fullmatch(text) for form in (_OBJECT_ID, _NUMBER, _UUID))
    )
    return json.dumps(text, ensure_ascii=False) if doubtful else text


# --- One reader a type ---------------------------------------------------------------------------------------------


def _wrong(value: Mapping[str, Any]) -> Malformed:
    name = next(iter(value))
    return Malformed("extended-json", f"A document holds a {name} of {kind_of(value[name])} that says no such value.")


def _object_id(value: dict[str, Any]) -> Json:
    digits = value["$oid"]
    if not isinstance(digits, str) or not _OBJECT_ID.fullmatch(digits.lower()):
        raise _wrong(value)
    return digits.lower()


def _integer(value: dict[str, Any]) -> Json:
    (told,) = value.values()
    number = int(told) if isinstance(told, str) and _WHOLE.fullmatch(told) else told
    if isinstance(number, int) and type(number) is int and INT64_MIN <= number <= INT64_MAX:
        return number
    raise _wrong(value)


def _real(value: dict[str, Any]) -> Json:
    """A decimal becomes the nearest number of 64 bits, an integer where it is one; NaN and infinity stay words."""
    (told,) = value.values()
    if isinstance(told, int | float) and not isinstance(told, bool):
        return told
    if not isinstance(told, str):
        raise _wrong(value)
    if not _DECIMAL.fullmatch(told):
        if told.lstrip("+-").lower() in ("nan", "infinity", "inf"):
            return told
        raise _wrong(value)
    if "$numberDecimal" in value and _WHOLE.fullmatch(told) and INT64_MIN <= int(told) <= INT64_MAX:
        return int(told)
    number = float(told)
    return number if abs(number) != float("inf") else told


def _date(value: dict[str, Any]) -> Json:
    told = value["$date"]
    if isinstance(told, str):
        return _utc(told, value)
    milliseconds = _integer(told) if isinstance(told, dict) and told.keys() == {"$numberLong"} else told
    if type(milliseconds) is not int:
        raise _wrong(value)
    return timestamp_text(milliseconds, MILLI) or str(milliseconds)


def _utc(told: str, value: dict[str, Any]) -> str:
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise _wrong(value) from None
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = (since.days * 86_400 + since.seconds) * MILLI + since.microseconds // MILLI
    return timestamp_text(milliseconds, MILLI) or told


def _timestamp(value: dict[str, Any]) -> Json:
    told = value["$timestamp"]
    seconds = told.get("t") if isinstance(told, dict) else None
    if type(seconds) is not int:
        raise _wrong(value)
    return timestamp_text(seconds, 1) or str(seconds)


def _binary(value: dict[str, Any]) -> Json:
    content, subtype = _bytes(value)
    if subtype != _UUID_SUBTYPE:
        return content
    try:
        return str(uuid.UUID(bytes=base64.b64decode(content, validate=True)))
    except (binascii.Error, ValueError):
        raise _wrong(value) from None


def _bytes(value: dict[str, Any]) -> tuple[str, str]:
    """Base64, and the subtype as two digits."""
    told = value["$binary"]
    content, subtype = (
        (told.get("base64"), told.get("subType", "00"))
        if isinstance(told, dict)
        else (told, value.get("$type", "00"))
    )
    if not isinstance(content, str) or not isinstance(subtype, str):
        raise _wrong(value)
    return content, subtype.lower().rjust(2, "0")


def _uuid(value: dict[str, Any]) -> Json:
    try:
        return str(uuid.UUID(value["$uuid"]))
    except (ValueError, AttributeError, TypeError):
        raise _wrong(value) from None


def _text(value: dict[str, Any]) -> Json:
    told = next(iter(value.values()))
    if not isinstance(told, str):
        raise _wrong(value)
    return told


_TYPED: Mapping[str, Callable[[dict[str, Any]], Json]] = {
    "$oid": _object_id,
    "$numberInt": _integer,
    "$numberLong": _integer,
    "$numberDouble": _real,
    "$numberDecimal": _real,
    "$date": _date,
    "$timestamp": _timestamp,
    "$binary": _binary,
    "$uuid": _uuid,
    "$symbol": _text,
    "$undefined": lambda _value: None,
}
_WITH: Mapping[str, frozenset[str]] = {"$binary": frozenset({"$binary", "$type"})}
"""Names that may stand beside a type's own."""
