"""A filter in the client's own models, which travel over REST and gRPC alike.

A server knows these conditions as they are. Only a list of no values is said in another way, because gRPC's list of
none has no kind.

Nothing asks for live points alone: marks have no vector, so no search meets one, nor the collection's record.
"""

import re
from collections.abc import Sequence

from qdrant_client import models

from stream.filter import Between, Condition, During, Equals, FieldCondition, Filter, IsEmpty, NoneOf, OneOf

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def server_filter(wanted: Filter) -> models.Filter:
    """Finds what ``stream.filter.holds`` of."""
    counted = wanted.min_should
    return models.Filter(
        must=_conditions(wanted.must),
        should=_conditions(wanted.should),
        must_not=_conditions(wanted.must_not),
        min_should=None
        if counted is None
        else models.MinShould(conditions=_conditions(counted.conditions) or [], min_count=counted.count),
    )


def key_path(field: str) -> str:
    """A payload key in the server's path language, where a dot would lead into an object."""
    return field if _PLAIN_KEY.fullmatch(field) else f'"{field}"'


def _conditions(conditions: Sequence[Condition]) -> list[models.Condition] | None:
    parts = (server_filter(part) if isinstance(part, Filter) else _on_a_field(part) for part in conditions)
    return list(parts) or None


def _on_a_field(wanted: FieldCondition) -> models.Condition:
    key = key_path(wanted.key)
    empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
    match wanted:
        case Equals(value=value):
            return _on(key, models.MatchValue(value=value))
        case OneOf(values=values):
            match = models.MatchAny(any=_listed(values))
            return _on(key, match) if values else models.Filter(must=[empty], must_not=[empty])
        case NoneOf(values=values):
            others = models.MatchExcept(**{"except": _listed(values)})
            return _on(key, others) if values else models.Filter(must_not=[empty])
        case Between():
            return models.FieldCondition(
                key=key, range=models.Range(gt=wanted.gt, gte=wanted.gte, lt=wanted.lt, lte=wanted.lte)
            )
        case During():
            return models.FieldCondition(
                key=key, range=models.DatetimeRange(gt=wanted.gt, gte=wanted.gte, lt=wanted.lt, lte=wanted.lte)
            )
        case IsEmpty():
            return empty


def _on(key: str, match: models.MatchValue | models.MatchAny | models.MatchExcept) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=match)


def _listed(values: tuple[str, ...] | tuple[int, ...]) -> list[str] | list[int]:
    return list(values)  # type: ignore[return-value] # of one kind, as the tuple is
