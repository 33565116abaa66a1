"""What a column's value says once its schema is known: Kafka Connect's and Debezium's logical types.

A JSON converter writes a date as a number of days and a decimal as the base64 of its unscaled bytes; the schema
beside it tells which, by name. Where no schema came along a number is a number, and nobody may guess what it counts.

Law: a value of the shape that its schema says is read exactly; one of another shape is Malformed of kind
``column-value``, whose message goes on behind the column's name. Sources: ``org.apache.kafka.connect.data``,
``io.debezium.time`` and ``io.debezium.data`` (their schema names); "Data type mappings" of Debezium's PostgreSQL and
MySQL connectors.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from decimal import Decimal

from schemas.chunk_event import Json
from schemas.instants import MICRO, MILLI, NANO, date_text, time_text, timestamp_text
from schemas.malformed import Malformed
from schemas.row_event import ColumnType
from schemas.strict_json import kind_of

DECIMAL = "org.apache.kafka.connect.data.Decimal"
VARIABLE_DECIMAL = "io.debezium.data.VariableScaleDecimal"

_INSTANTS: Mapping[str, Callable[[int], str | None]] = {
    "io.debezium.time.Date": date_text,
    "org.apache.kafka.connect.data.Date": date_text,
    "io.debezium.time.Timestamp": lambda value: timestamp_text(value, MILLI),
    "org.apache.kafka.connect.data.Timestamp": lambda value: timestamp_text(value, MILLI),
    "io.debezium.time.MicroTimestamp": lambda value: timestamp_text(value, MICRO),
    "io.debezium.time.NanoTimestamp": lambda value: timestamp_text(value, NANO),
    "io.debezium.time.Time": lambda value: time_text(value, MILLI),
    "org.apache.kafka.connect.data.Time": lambda value: time_text(value, MILLI),
    "io.debezium.time.MicroTime": lambda value: time_text(value, MICRO),
    "io.debezium.time.NanoTime": lambda value: time_text(value, NANO),
}
_LARGEST_SCALE = 20_000
"""Of PostgreSQL's NUMERIC, rounded up; a larger one would make a text of megabytes out of three bytes."""


def is_instant(known: ColumnType | None) -> bool:
    """Whether the number stands for a date, a time or both."""
    return known is not None and known.semantic in _INSTANTS


def is_decimal(known: ColumnType | None) -> bool:
    """Whether bytes, or a struct of them, stand for a number."""
    return known is not None and known.semantic in (DECIMAL, VARIABLE_DECIMAL)


def instant(value: Json, known: ColumnType) -> str:
    """The text of a date or time (``schemas.instants``). Raises Malformed."""
    if type(value) is not int:
        raise Malformed("column-value", f"holds {kind_of(value)} where its schema ({known.semantic}) says a number")
    text = _INSTANTS[str(known.semantic)](value)
    if text is None:
        raise Malformed("column-value", f"holds {value}, which as {known.semantic} lies outside the years 1 to 9999")
    return text


def decimal(value: Json, known: ColumnType) -> Decimal:
    """The exact number. Raises Malformed."""
    scale: Json = known.scale
    if known.semantic == VARIABLE_DECIMAL:
        if not isinstance(value, dict):
            raise Malformed("column-value", f"holds {kind_of(value)} where its schema says a scale and its digits")
        scale, value = value.get("scale"), value.get("value")
    if type(scale) is not int or abs(scale) > _LARGEST_SCALE or not isinstance(value, str):
        raise Malformed("column-value", "is a decimal whose schema or value tells no usable scale and digits")
    try:
        unscaled = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
    except (binascii.Error, ValueError):
        raise Malformed("column-value", "is a decimal whose digits are not base64") from None
    # Not scaleb: it would round to the context's precision.
    sign, digits, _ = Decimal(unscaled).as_tuple()
    return Decimal((sign, digits, -scale))
