"""A filter as a value, and what it means: which payloads it holds of.

The shape and the semantics are those of Qdrant's filters, so that every engine behind the port can carry one out as
it is: clauses of conditions (all of *must*, one of *should*, none of *must_not*, some of *min_should*), and
conditions on one payload field each. A field that holds an array meets a condition where one of its elements does; a
field that is not there meets none but :class:`IsEmpty`.

Law (congruence): every ``VectorIndex`` finds exactly the live points of whose payload :func:`holds` is true. So only
those conditions are here on which all engines agree. An exact match compares text, integers and Booleans, each with
its own kind alone. A range compares numbers, or moments to the microsecond. No condition asks for null, which is
never stored, nor for words of a text, which each engine cuts in its own way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.chunk_event import Json

Scalar = str | int | bool

EXACT = 2**53
"""A bound of a range over integers lies below this in size: engines compare ranges as 64-bit floats, which are exact
there, and beyond it every stored integer is on the same side of the bound as its float."""

# What every engine reads as a moment: an offset only behind seconds, and UTC where there is none.
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?)?", re.ASCII
)
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Equals:
    """An element is this very value, of this very kind: 1 is neither 1.0 nor true."""

    key: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class OneOf:
    """An element is one of these. Of none, where there are none."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """An element is there that is none of these: so it does not hold of a field that is missing or an empty array."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """An element is a number within these bounds; None bounds nothing.

    There is a bound, and at most one below and one above: of two, an engine with an index of the field reads one
    alone. Over a field of integers the bounds are whole numbers of a size below :data:`EXACT`.
    """

    key: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class During:
    """An element is a moment within these bounds, each with a time zone. There is one, and at most one
    below and one above.
    """

    key: str
    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """The field is not there, or an empty array."""

    key: str


@dataclass(frozen=True, slots=True)
class AtLeast:
    """``count`` of the conditions hold, at least; 1 ≤ ``count`` ≤ their number."""

    count: int
    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Filter:
    """All clauses hold; a clause without conditions always does. A filter is a condition too."""

    must: "tuple[Condition, ...]" = ()
    should: "tuple[Condition, ...]" = ()
    must_not: "tuple[Condition, ...]" = ()
    min_should: AtLeast | None = None


FieldCondition = Equals | OneOf | NoneOf | Between | During | IsEmpty
Condition = FieldCondition | Filter


def equals(key: str, value: Scalar) -> Filter:
    """That one field is one value."""
    return Filter(must=(Equals(key, value),))


def both(one: Filter | None, other: Filter | None) -> Filter | None:
    """What holds where both do; None holds everywhere. So may a mandatory filter be laid over a wanted one: nothing
    within the one can widen the other.
    """
    if one is None or other is None:
        return other if one is None else one
    return Filter(must=(one, other))


def conditions_of(wanted: Condition) -> Iterator[FieldCondition]:
    """Every condition on a field, however deep."""
    if not isinstance(wanted, Filter):
        yield wanted
        return
    counted = () if wanted.min_should is None else wanted.min_should.conditions
    for part in (*wanted.must, *wanted.should, *wanted.must_not, *counted):
        yield from conditions_of(part)


def holds(wanted: Condition, payload: Mapping[str, Json]) -> bool:
    """Whether the filter, or one condition, holds of the payload."""
    if isinstance(wanted, Filter):
        return _clauses_hold(wanted, payload)
    return _meets(wanted, _elements(payload.get(wanted.key)))


def moment(text: str) -> datetime | None:
    """The moment that a text tells, to the microsecond, in UTC where it names no offset; None where it tells none.

    Read are a date, and a date with hours and minutes, with seconds, with an offset behind them.
    """
    if not _MOMENT.fullmatch(text):
        return None
    try:
        told = datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", text))
    except ValueError:
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _clauses_hold(wanted: Filter, payload: Mapping[str, Json]) -> bool:
    def met(conditions: Sequence[Condition]) -> int:
        return sum(holds(condition, payload) for condition in conditions)

    return (
        met(wanted.must) == len(wanted.must)
        and (not wanted.should or met(wanted.should) > 0)
        and met(wanted.must_not) == 0
        and (wanted.min_should is None or met(wanted.min_should.conditions) >= wanted.min_should.count)
    )


def _meets(wanted: FieldCondition, elements: Sequence[Json]) -> bool:
    match wanted:
        case IsEmpty():
            return not elements
        case Equals(value=value):
            return any(_same(element, value) for element in elements)
        case OneOf(values=values):
            return any(_same(element, value) for element in elements for value in values)
        case NoneOf(values=values):
            return any(not any(_same(element, value) for value in values) for element in elements)
        case Between():
            return any(_within(wanted, element) for element in map(_number, elements) if element is not None)
        case During():
            return any(_within(wanted, element) for element in map(_moment, elements) if element is not None)


def _elements(stored: Json) -> list[Json]:
    """Those of an array; of anything else, itself. Null is what is not there."""
    return [element for element in (stored if isinstance(stored, list) else [stored]) if element is not None]


def _same(element: Json, value: Scalar) -> bool:
    return type(element) is type(value) and element == value


def _number(element: Json) -> float | None:
    return element if isinstance(element, int | float) and not isinstance(element, bool) else None


def _moment(element: Json) -> datetime | None:
    return moment(element) if isinstance(element, str) else None


def _within(bounds: Between | During, element: Any) -> bool:  # noqa: ANN401 - of the kind that the bounds are of
    return (
        (bounds.gt is None or element > bounds.gt)
        and (bounds.gte is None or element >= bounds.gte)
        and (bounds.lt is None or element < bounds.lt)
        and (bounds.lte is None or element <= bounds.lte)
    )
