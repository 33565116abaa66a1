"""The JSON Schemas of a filter, for the fields that the sources declare: what ``filter_reading`` reads.

Law: a filter is valid under its schema exactly where it is read, apart from what JSON Schema has no words for, which
stands in the descriptions: how deep filters lie within one another, how many conditions there are in all, that
``min_count`` is no more than there are conditions, and that a time is within the years 1 to 9999 in UTC too.
"""

import sys
from collections.abc import Mapping
from itertools import product

from schemas.chunk_event import Json
from serving.filter_reading import EVERY_POINT, MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES
from serving.json_schema import NULL, TEXT, Schema, one_of, only, ref, whole_number
from serving.whole_number import LEAST, MOST
from stream.filter import EXACT
from stream.ports import FieldType

_COMPARED: Mapping[FieldType, Schema] = {
    "keyword": TEXT,
    "integer": whole_number(LEAST, MOST),
    "boolean": {"type": "boolean"},
}
_LISTED: frozenset[FieldType] = frozenset({"keyword", "integer"})

_HOURS = "(?:[01][0-9]|2[0-3])"
_LEAP = "(?:0[48]|[2468][048]|[13579][26])"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DAY = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = f"{_HOURS}:[0-5][0-9](?::[0-5][0-9](?:\\.[0-9]+)?(?:Z|[+-]{_HOURS}:[0-5][0-9])?)?"
TIME_PATTERN = f"^(?:{_YEAR}-{_DAY}|(?:[0-9]{{2}}{_LEAP}|{_LEAP}00)-02-29)(?:[T ]{_CLOCK})?$"
"""A day that there is, with hours and minutes, seconds, and an offset behind those."""

_ORDERED: Mapping[FieldType, Schema] = {
    "integer": {"type": "number", "exclusiveMinimum": -EXACT, "exclusiveMaximum": EXACT},
    "float": {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
    "datetime": {
        "type": "string",
        "pattern": TIME_PATTERN,
        "description": "RFC 3339; without an offset it is UTC, in which it lies within the years 1 to 9999.",
    },
}


def filter_components(fields: Mapping[str, FieldType]) -> dict[str, Json]:
    """By name: ``Filter``, and what it is made of."""
    return {
        "Filter": {
            **_FILTER,
            "description": (
                "Qdrant's filter JSON: all of must, one of should, none of must_not, some of min_should. Null is as "
                f"good as absent. Filters lie at most {MAX_DEPTH - 1} deep within another one and have at most "
                f"{MAX_CONDITIONS} conditions on fields together."
            ),
        },
        "FilterWithin": {"anyOf": [_saying(clause) for clause in _CLAUSES]},
        "Clause": {"anyOf": [{"type": "array", "items": ref("Condition")}, ref("Condition")]},
        "MinShould": _MIN_SHOULD,
        "Condition": {"anyOf": [*_conditions({**fields, **EVERY_POINT}), ref("FilterWithin")]},
    }


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


_CLAUSES: Mapping[str, Schema] = {
    "must": ref("Clause"),
    "should": ref("Clause"),
    "must_not": ref("Clause"),
    "min_should": ref("MinShould"),
}
_FILTER = only({name: _nullable(clause) for name, clause in _CLAUSES.items()}, frozenset(_CLAUSES))
_MIN_SHOULD: Schema = {
    "anyOf": [
        only(
            {
                "conditions": {"type": "array", "items": ref("Condition"), "minItems": 1},
                "min_count": {"type": "integer", "minimum": 1},
            }
        ),
        only({"conditions": ref("Condition"), "min_count": whole_number(1, 1)}),
    ],
    "description": "min_count of the conditions hold, at least; it is no more than there are conditions.",
}


def _saying(clause: str) -> Schema:
    """A filter that has this clause: one within another says something."""
    properties = {name: schema if name == clause else _nullable(schema) for name, schema in _CLAUSES.items()}
    return only(properties, frozenset(_CLAUSES) - {clause})


def _conditions(fields: Mapping[str, FieldType]) -> list[Json]:
    """One for each type and way of comparing it."""
    found: list[Json] = []
    for kind in dict.fromkeys(fields.values()):
        key = one_of(name for name, known in fields.items() if known == kind)
        found += [only({"key": key, "match": match}) for match in _matches(kind)]
        if kind in _ORDERED:
            found.append(only({"key": key, "range": _range(_ORDERED[kind])}))
    found.append(only({"is_empty": only({"key": one_of(fields)})}))
    return found


def _matches(kind: FieldType) -> list[Schema]:
    if kind not in _COMPARED:
        return []
    values: Schema = {"type": "array", "items": _COMPARED[kind], "maxItems": MAX_VALUES}
    listed = [only({"any": values}), only({"except": values})] if kind in _LISTED else []
    return [only({"value": _COMPARED[kind]}), *listed]


def _range(bound: Schema) -> Schema:
    """A bound below, one above, or both."""
    found: list[Json] = [
        only({name: bound for name in (below, above) if name is not None})
        for below, above in product((None, "gt", "gte"), (None, "lt", "lte"))
        if below is not None or above is not None
    ]
    return {"anyOf": found}
