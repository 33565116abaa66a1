"""A payload field's value as its declared type: what fits, what is converted, and what is poison.

Conversions lose nothing but the spelling: an integer for a float, a whole float for an integer, the text of a number
for the number (Debezium's decimals arrive so), 0 and 1 for a Boolean (MySQL has no other), and whatever the column's
schema says: a number of days as a date, bytes as a decimal. Without a schema a number is no time, because nobody says
its unit, and the base64 of a decimal is nothing: it is told from the text of a number by its letters, and a column of
such values is dead letters with the cure in them.

Law: the outcome depends on value, schema and declared type alone; what comes out is a value that every index reads as
the declared type, and a keyword is a string or a list of strings.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from schemas import connect_value
from schemas.chunk_event import Json
from schemas.malformed import Malformed
from schemas.row_event import ColumnType
from schemas.strict_json import INT64_MAX, INT64_MIN, kind_of
from stream.errors import Poison
from stream.ports import FieldType

# RFC 3339, with the time, the seconds or the offset left out where ISO 8601 allows it: what indexes read as a time.
_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?", re.ASCII
)
# ISO 8601 leaves seconds out before an offset too, and there no index reads it.
_NO_SECONDS = re.compile(r"([T ]\d{2}:\d{2})(?=Z|[+-])", re.ASCII)
# Debezium writes a date under time.precision.mode = isostring with the Z of its zone, which no index reads.
_DATE_WITH_ZONE = re.compile(r"(\d{4}-\d{2}-\d{2})Z", re.ASCII)
_NUMERIC = re.compile(r"[+-]?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,3})?", re.ASCII)
_EXACT = 2**53
_MISFIT = object()


def field_value(column: str, value: Json, known: ColumnType | None, declared: FieldType) -> Json:
    """The value to store; ``value`` is not null. Raises Poison of kind ``field-type``."""
    try:
        told = _told(value, known, declared)
    except Malformed as error:
        raise Poison("field-type", f"The field {column!r} is declared {declared} and {error}.") from error
    fitted = _FIT[declared](told)
    if fitted is not _MISFIT:
        return fitted  # type: ignore[return-value] # a value of JSON once it is no misfit
    raise Poison(
        "field-type",
        f"The field {column!r} is declared {declared} and holds {_shown(value)}{_hint(value, known, declared)}.",
    )


def _told(value: Json, known: ColumnType | None, declared: FieldType) -> Json | Decimal:
    """What the schema says that the value is; without one, the value."""
    if known is None or known.connect == "string":
        numeric = declared in ("integer", "float") and isinstance(value, str) and _NUMERIC.fullmatch(value)
        return Decimal(str(value)) if numeric else value
    if connect_value.is_decimal(known):
        return connect_value.decimal(value, known)
    if known.connect == "bytes":
        raise Malformed("column-value", "is binary; leave it out of the source's fields")
    if connect_value.is_instant(known) and declared in ("datetime", "keyword"):
        return connect_value.instant(value, known)
    return value


def _keyword(value: Json | Decimal) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    fits = isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    return value if fits else _MISFIT


def _integer(value: Json | Decimal) -> object:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    # An integer beyond 64 bits may have more digits than there is memory for: its size is looked at first.
    if isinstance(value, Decimal) and value.adjusted() < 19 and value == value.to_integral_value():
        return int(value) if INT64_MIN <= value <= INT64_MAX else _MISFIT
    return _MISFIT


def _float(value: Json | Decimal) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return _MISFIT
    number = float(value)
    return number if math.isfinite(number) else _MISFIT


def _boolean(value: Json | Decimal) -> object:
    if isinstance(value, bool):
        return value
    return bool(value) if type(value) is int and value in (0, 1) else _MISFIT


def _datetime(value: Json | Decimal) -> object:
    """The pattern keeps to what every version of Python and every index reads alike; the parser knows dates."""
    if not isinstance(value, str):
        return _MISFIT
    dated = _DATE_WITH_ZONE.fullmatch(value)
    text = dated[1] if dated else value
    if not _DATETIME.fullmatch(text):
        return _MISFIT
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return _MISFIT
    return _NO_SECONDS.sub(r"\1:00", text)


def _shown(value: Json) -> str:
    return repr(value[:60]) if isinstance(value, str) else kind_of(value)


def _hint(value: Json, known: ColumnType | None, declared: FieldType) -> str:
    if declared == "datetime":
        if known is None and isinstance(value, int):
            return (
                ", and no schema came with it to say what it counts; let the converter send schemas "
                "(value.converter.schemas.enable=true), or set the connector's time.precision.mode to isostring"
            )
        return "; for times set the connector's time.precision.mode to isostring, or use timestamptz"
    if declared in ("integer", "float") and known is None and isinstance(value, str):
        return "; for NUMERIC set the connector's decimal.handling.mode to string or double"
    return ""


_FIT: Mapping[FieldType, Callable[[Json | Decimal], object]] = {
    "keyword": _keyword,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "datetime": _datetime,
}
