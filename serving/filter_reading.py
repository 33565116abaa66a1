"""The JSON of a filter, read into a :class:`stream.filter.Filter` or refused with one sentence.

    {"must": [{"key": "section", "match": {"value": "install"}}], "must_not": [{"is_empty": {"key": "year"}}]}

It is Qdrant's own filter JSON, of which those conditions are read that mean the same on every engine: ``match`` with
``value``, ``any`` or ``except``, ``range`` over numbers and times, ``is_empty``, and filters within filters. A clause
is a list of conditions or a single one; null is as good as absent.

A condition names a field that the sources declare, in that field's type, because any other would silently find
nothing; ``doc_id`` and ``tenant`` are keywords that every point may have. Every refusal names the place.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from serving.whole_number import whole
from serving.wording import nearest, shown
from stream.errors import Misuse
from stream.filter import (
    EXACT,
    AtLeast,
    Between,
    Condition,
    During,
    Equals,
    Filter,
    IsEmpty,
    NoneOf,
    OneOf,
    Scalar,
    conditions_of,
    moment,
)
from stream.ports import FieldType

MAX_DEPTH = 8
"""Filters within one another."""
MAX_CONDITIONS = 128
MAX_VALUES = 1024
"""Of one ``any`` or ``except``."""

EVERY_POINT: Mapping[str, FieldType] = {"doc_id": "keyword", "tenant": "keyword"}
_CLAUSES = ("must", "should", "must_not", "min_should")
_BOUNDS = ("gt", "gte", "lt", "lte")
_FORM = '{"must": [{"key": "…", "match": {"value": …}}]}'
_REFUSED = {
    "is_null": "null is never stored; say is_empty",
    "has_id": "chunks are told by their document; compare doc_id",
    "text": "each engine cuts words in its own way; compare the whole value",
}


def read_filter(document: object, fields: Mapping[str, FieldType], place: str = "filter") -> Filter:
    """``fields``: those that the sources declare; ``place``: how refusals call the document. Raises Misuse."""
    read = _Reading({**fields, **EVERY_POINT}).filter(document, place, 1)
    count = sum(1 for _ in conditions_of(read))
    if count > MAX_CONDITIONS:
        raise Misuse(f"{place} has {count} conditions; at most {MAX_CONDITIONS} are read.")
    return read


@dataclass(frozen=True, slots=True)
class _Reading:
    fields: Mapping[str, FieldType]

    def filter(self, document: object, place: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise Misuse(f"{place} lies within {depth - 1} filters; at most {MAX_DEPTH - 1} are read.")
        said = _object(document, place, _FORM)
        for key in said:
            if key not in _CLAUSES:
                raise Misuse(self._no_clause(said, key, place))
        if depth > 1 and not said:
            raise Misuse(f"{place} says nothing; leave it out.")
        must, should, must_not = (
            self._clause(said.get(clause, []), f"{place}.{clause}", depth)
            for clause in ("must", "should", "must_not")
        )
        counted = said.get("min_should")
        at_least = None if counted is None else self._counted(counted, f"{place}.min_should", depth)
        return Filter(must, should, must_not, at_least)

    def _no_clause(self, said: Mapping[str, Any], key: str, place: str) -> str:
        """Why it is none, and for the two likely mistakes what to say instead."""
        if said.keys() & {"key", "match", "range", "is_empty"}:
            return f'{place} is one condition; put it into a clause: {{"must": [{{…}}]}}.'
        if key in self.fields:
            value = shown(said[key]) if isinstance(said[key], str | int) else "…"
            form = f'{{"must": [{{"key": "{key}", "match": {{"value": {value}}}}}]}}'
            return f"{place}.{key} is the short form, which is no more; say {form}."
        return f"{place}.{key} is not a clause of a filter{nearest(key, _CLAUSES)}."

    def _clause(self, document: object, place: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(document, list):
            return (self._condition(document, place, depth),)
        return tuple(self._condition(one, f"{place}[{number}]", depth) for number, one in enumerate(document))

    def _counted(self, document: object, place: str, depth: int) -> AtLeast:
        said = _object(document, place, '{"conditions": […], "min_count": 1}')
        _only(said, ("conditions", "min_count"), place)
        conditions = self._clause(said.get("conditions", []), f"{place}.conditions", depth)
        given = said.get("min_count")
        count = whole(given)
        if count is None or not 1 <= count <= len(conditions):
            raise Misuse(
                f"{place}.min_count is {shown(given)}, but a whole number from 1 to that of its conditions, "
                f"{len(conditions)}, is expected."
            )
        return AtLeast(count, conditions)

    def _condition(self, document: object, place: str, depth: int) -> Condition:
        said = _object(document, place, '{"key": "…", "match": {"value": …}}')
        if not said or said.keys() & set(_CLAUSES):
            return self.filter(document, place, depth + 1)
        if "is_empty" in said:
            _only(said, ("is_empty",), place)
            named = _object(said["is_empty"], f"{place}.is_empty", '{"key": "…"}')
            _only(named, ("key",), f"{place}.is_empty")
            return IsEmpty(self._key(named.get("key"), f"{place}.is_empty.key"))
        _only(said, ("key", "match", "range", "is_empty"), place)
        key = self._key(said.get("key"), f"{place}.key")
        if "match" in said and "range" in said:
            raise Misuse(f"{place} has match and range; make two conditions of it.")
        if "match" in said:
            return self._match(key, said["match"], f"{place}.match")
        if "range" in said:
            return self._range(key, said["range"], f"{place}.range")
        raise Misuse(f"{place} has neither match nor range; say what {key} is compared with.")

    def _key(self, key: object, place: str) -> str:
        if not isinstance(key, str):
            raise Misuse(f"{place} is {shown(key)}, but the name of a field is expected.")
        if key not in self.fields:
            raise Misuse(f"{place} is {shown(key)}, which is no field of the sources{nearest(key, self.fields)}.")
        return key

    def _match(self, key: str, document: object, place: str) -> Condition:
        kind = self.fields[key]
        if kind not in _READ:
            raise Misuse(f'{place} compares {key}, a {kind}, for equality; say {{"range": {{"gte": …, "lte": …}}}}.')
        said = _object(document, place, '{"value": …}')
        _only(said, ("value", "any", "except"), place)
        if len(said) != 1:
            raise Misuse(f"{place} has {', '.join(sorted(said)) or 'nothing'}; say one of value, any and except.")
        ((how, wanted),) = said.items()
        place = f"{place}.{how}"
        if how == "value":
            return Equals(key, self._value(key, wanted, place))
        if kind == "boolean":
            raise Misuse(f"{place} lists values of {key}, which is true or false; say value.")
        if not isinstance(wanted, list):
            raise Misuse(f"{place} is {shown(wanted)}, but a list is expected.")
        if len(wanted) > MAX_VALUES:
            raise Misuse(f"{place} has {len(wanted):,} values; at most {MAX_VALUES:,} are read.")
        values = tuple(self._value(key, value, f"{place}[{number}]") for number, value in enumerate(wanted))
        return OneOf(key, values) if how == "any" else NoneOf(key, values)

    def _value(self, key: str, given: object, place: str) -> Any:  # noqa: ANN401 - of the kind that the field holds
        read, words = _READ[self.fields[key]]
        value = read(given)
        if value is None:
            raise Misuse(f"{place} is {shown(given)}, but {words} is expected, which {key} holds.")
        return value

    def _range(self, key: str, document: object, place: str) -> Condition:
        kind = self.fields[key]
        if kind in ("keyword", "boolean"):
            raise Misuse(f'{place} orders {key}, a {kind}, which has no order; say {{"match": {{"value": …}}}}.')
        said = _object(document, place, '{"gte": …, "lt": …}')
        _only(said, _BOUNDS, place)
        if not said:
            raise Misuse(f"{place} has no bound; say one of {', '.join(_BOUNDS)}.")
        for one, other in (("gt", "gte"), ("lt", "lte")):
            if one in said and other in said:
                raise Misuse(f"{place} has {one} and {other}; leave out the one that says less.")
        read = _BOUND[kind]
        bounds = {name: read(name, bound, f"{place}.{name}") for name, bound in said.items()}
        return During(key, **bounds) if kind == "datetime" else Between(key, **bounds)


def _object(document: object, place: str, form: str) -> Mapping[str, Any]:
    """Without what is null."""
    if not isinstance(document, dict):
        raise Misuse(f"{place} is {shown(document)}, but an object is expected: {form}.")
    return {key: value for key, value in document.items() if value is not None}


def _only(said: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in said:
        if key in _REFUSED:
            raise Misuse(f"{place}.{key} is not read, because {_REFUSED[key]}.")
        if key not in known:
            raise Misuse(f"{place}.{key} is not a known key{nearest(key, known)}.")


def _integer_bound(name: str, bound: object, place: str) -> int:
    """Whole: of a fraction, the whole number that bounds the same integers."""
    if isinstance(bound, bool) or not isinstance(bound, int | float) or abs(bound) >= EXACT:
        raise Misuse(f"{place} is {shown(bound)}, but a number between -2^53 and 2^53 is expected.")
    return math.floor(bound) if name in ("gt", "lte") else math.ceil(bound)


def _float_bound(_name: str, bound: object, place: str) -> float:
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise Misuse(f"{place} is {shown(bound)}, but a number is expected.")
    return float(bound)


def _moment_bound(_name: str, bound: object, place: str) -> object:
    told = moment(bound) if isinstance(bound, str) else None
    try:
        if told is not None:
            return told.astimezone(UTC)
    except OverflowError:
        pass
    raise Misuse(f"{place} is {shown(bound)}, but a time as RFC 3339 has it is expected: 2026-01-31T12:00:00Z.")


_BOUND: Mapping[FieldType, Callable[[str, object, str], Any]] = {
    "integer": _integer_bound,
    "float": _float_bound,
    "datetime": _moment_bound,
}

_READ: Mapping[FieldType, tuple[Callable[[object], Scalar | None], str]] = {
    "keyword": (lambda value: value if isinstance(value, str) else None, "text"),
    "integer": (whole, "a whole number of 64 bits"),
    "boolean": (lambda value: value if isinstance(value, bool) else None, "true or false"),
}
"""Types that can be compared for equality; fractions and times have ranges."""
