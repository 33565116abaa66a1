"""A filter in the engine's own objects.

The engine knows Qdrant's filters, so each condition becomes one of its own. Three things are said in another way,
because of the binding: a Boolean is numpy's (Python's True is an integer to it), a moment is a text, and a list of no
values, whose kind nobody could tell, is what it means.

Nothing asks for live points alone: marks have no vector, so no search meets one.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import numpy as np
from qdrant_edge import (
    FieldCondition,
    IsEmptyCondition,
    MatchAny,
    MatchExcept,
    MatchValue,
    MinShould,
    RangeDateTime,
    RangeFloat,
)
from qdrant_edge import Filter as EngineFilter

from stream.filter import Between, Condition, During, Equals, Filter, IsEmpty, NoneOf, OneOf
from stream.filter import FieldCondition as Wanted

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def engine_filter(wanted: Filter) -> EngineFilter:
    """Finds what ``stream.filter.holds`` of."""
    counted = wanted.min_should
    return EngineFilter(
        must=_conditions(wanted.must),
        should=_conditions(wanted.should),
        must_not=_conditions(wanted.must_not),
        min_should=None if counted is None else MinShould(_conditions(counted.conditions) or [], counted.count),
    )


def key_path(field: str) -> str:
    """A payload key in the engine's path language, where a dot would lead into an object."""
    return field if _PLAIN_KEY.fullmatch(field) else f'"{field}"'


def _conditions(conditions: Sequence[Condition]) -> list[Any] | None:
    parts = (engine_filter(part) if isinstance(part, Filter) else _on_a_field(part) for part in conditions)
    return list(parts) or None


def _on_a_field(wanted: Wanted) -> EngineFilter | FieldCondition | IsEmptyCondition:
    key = key_path(wanted.key)
    empty = IsEmptyCondition(key)
    match wanted:
        case Equals(value=value):
            # Python's True is an integer to the engine's binding, which tries integers first.
            told = cast("Any", np.bool_(value)) if isinstance(value, bool) else value
            return FieldCondition(key, match=MatchValue(told))
        case OneOf(values=values):
            match = MatchAny(cast("list[str]", list(values)))
            return FieldCondition(key, match=match) if values else EngineFilter(must=[empty], must_not=[empty])
        case NoneOf(values=values):
            others = MatchExcept(cast("list[str]", list(values)))
            return FieldCondition(key, match=others) if values else EngineFilter(must_not=[empty])
        case Between():
            return FieldCondition(
                key,
                range=RangeFloat(
                    gt=_float(wanted.gt), gte=_float(wanted.gte), lt=_float(wanted.lt), lte=_float(wanted.lte)
                ),
            )
        case During():
            return FieldCondition(
                key,
                range=RangeDateTime(
                    gt=_text(wanted.gt), gte=_text(wanted.gte), lt=_text(wanted.lt), lte=_text(wanted.lte)
                ),
            )
        case IsEmpty():
            return empty


def _float(bound: float | None) -> float | None:
    return None if bound is None else float(bound)


def _text(bound: datetime | None) -> str | None:
    return None if bound is None else bound.isoformat()
