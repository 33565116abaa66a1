"""From what an Avro reader returns to what Kafka Connect's JSON converter would have written for the same value.

The reader is given schemas without logical types (``schemas.avro_schema.without_logical_types``), so days, ticks and
unscaled decimals arrive as Avro wrote them, which is how the JSON converter writes them too; what is left to do is
what JSON has no word for. This is the one place where it is done:

- bytes and fixed become base64, a fixed UUID its text;
- a 32-bit float becomes the shortest decimal that names it, as Java prints it: 0.1, not 0.10000000149011612;
- NaN and the infinities become the words ``NaN``, ``Infinity`` and ``-Infinity``;
- a record of a union loses the name that the reader puts beside it.

A conversion is put together once a schema; where nothing of a type needs one there is none, and values pass as they
are. Law: an integer, a text and everything else that both forms share is the same afterwards.
"""

import base64
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from schemas.avro_schema import AvroSchema, fields_of, full_name, is_fixed_uuid, kind_of
from schemas.chunk_event import Json

Conversion = Callable[[Any], Json]
"""From the reader's value to that of JSON; lists and records are changed in place."""

_SIGNIFICANT = range(6, 10)
"""Digits of which one number is enough for any 32-bit float of full precision: no shorter decimal is lost by six."""
_SUBNORMAL_SIGNIFICANT = range(2, 10)
"""Below ``_LEAST_NORMAL`` fewer say it all; Java prints two at least (java.lang.Double.toString)."""
_LEAST_NORMAL = 2.0**-126


def conversion_of(schema: AvroSchema) -> Conversion | None:
    """The conversion of a whole value; None where all of it passes as it is. Raises Malformed."""
    return _Conversions(schema).of(schema.root, "")


class _Conversions:
    """Of one schema. A record is entered by name before its fields are looked at, because it may hold itself."""

    def __init__(self, schema: AvroSchema) -> None:
        self._schema = schema
        self._records: dict[str, _Record] = {}

    def of(self, avro: Any, namespace: str) -> Conversion | None:  # noqa: ANN401 - any type of Avro
        definition, inside = self._schema.resolved(avro, namespace)
        if isinstance(definition, list):
            return self._union(definition, inside)
        match kind_of(definition):
            case "record" | "error":
                found = self._record(definition, inside)
            case "array":
                found = _each_item(self.of(definition.get("items"), inside))
            case "map":
                found = _each_value(self.of(definition.get("values"), inside))
            case "fixed":
                found = _uuid if is_fixed_uuid(definition) else _base64
            case kind:
                found = _SIMPLE.get(kind)
        return found

    def _record(self, avro: Mapping[str, Any], inside: str) -> Conversion | None:
        name = full_name(avro, inside)
        known = self._records.get(name)
        if known is None:
            known = self._records[name] = _Record()
            fields = [(field["name"], self.of(field["type"], inside)) for field in fields_of(avro)]
            known.fields = [(field, convert) for field, convert in fields if convert is not None]
            known.open = False
        return known if known.open or known.fields else None

    def _union(self, branches: list[Any], inside: str) -> Conversion | None:
        """The reader says which record it is by name; of the other branches a value's own kind tells which."""
        records: dict[str, Conversion | None] = {}
        kinds: dict[type, Conversion] = {}
        for branch in branches:
            avro, within = self._schema.resolved(branch, inside)
            kind = kind_of(avro)
            convert = self.of(avro, within)
            if kind in ("record", "error"):
                records[full_name(avro, within)] = convert
            elif convert is not None and kind in _PYTHON:
                of = _PYTHON[kind]
                # A 64-bit float beside a 32-bit one: rounding it to fewer digits would be the worse mistake.
                kinds[of] = convert if of not in kinds or kind == "double" else kinds[of]
        return _Union(records, kinds) if records or kinds else None


_PYTHON: Mapping[str, type] = {
    "bytes": bytes,
    "fixed": bytes,
    "float": float,
    "double": float,
    "array": list,
    "map": dict,
}


class _Record:
    def __init__(self) -> None:
        self.open = True
        self.fields: list[tuple[str, Conversion]] = []

    def __call__(self, record: dict[str, Any]) -> Json:
        for field, convert in self.fields:
            record[field] = convert(record[field])
        return record


class _Union:
    def __init__(self, records: Mapping[str, Conversion | None], kinds: Mapping[type, Conversion]) -> None:
        self._records = records
        self._kinds = kinds

    def __call__(self, value: Any) -> Json:  # noqa: ANN401 - whatever the reader returned
        if isinstance(value, tuple):
            name, value = value
            convert = self._records[name]
        else:
            convert = self._kinds.get(type(value))
        return value if convert is None else convert(value)


def _each_item(convert: Conversion | None) -> Conversion | None:
    return None if convert is None else lambda items: [convert(item) for item in items]


def _each_value(convert: Conversion | None) -> Conversion | None:
    return None if convert is None else lambda items: {name: convert(value) for name, value in items.items()}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _uuid(data: bytes) -> str:
    return str(UUID(bytes=data))


def _finite(number: float) -> Json:
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _shortest(number: float) -> Json:
    if not math.isfinite(number):
        return _finite(number)
    exact = struct.pack(">f", number)
    for digits in _SIGNIFICANT if abs(number) >= _LEAST_NORMAL else _SUBNORMAL_SIGNIFICANT:
        shorter = float(f"{number:.{digits}g}")
        if _same_bits(shorter, exact):
            return shorter
    return number


def _same_bits(number: float, exact: bytes) -> bool:
    """Rounded up, the largest float may have no 32-bit form at all."""
    try:
        return struct.pack(">f", number) == exact
    except OverflowError:
        return False


_SIMPLE: Mapping[str, Conversion] = {"bytes": _base64, "float": _shortest, "double": _finite}
