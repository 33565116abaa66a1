"""The body of ``POST /v1/search``, read into a :class:`serving.search.Question` or refused with one sentence.

    {"query": "how do I …", "limit": 10, "filter": {"section": "install"}, "tenant": "acme"}

Only ``query`` is needed. Every refusal names the key, what was found and what is expected. A filter compares a
payload field with one value; it names a field that the sources declare, in that field's type, because a condition on
any other would silently find nothing.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from serving.search import Question
from serving.whole_number import whole
from stream.errors import Misuse
from stream.ports import Condition, FieldType

_KEYS = ("query", "limit", "filter", "tenant")
_MATCHED: Mapping[FieldType, tuple[type, str]] = {
    "keyword": (str, "text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}
"""Types that a filter can compare for equality; fractions and times have ranges, which are no equality."""


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What a request may ask. ``fields``: those that the sources declare, with their types."""

    max_text_chars: int = 8_192
    max_limit: int = 200
    fields: Mapping[str, FieldType] = field(default_factory=dict)

    def question(self, body: bytes) -> Question:
        """Raises Misuse with one sentence where the body is no question."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Misuse(f"The body is not JSON ({error}).") from error
        if not isinstance(document, dict):
            raise Misuse('The body is not a JSON object; send {"query": "…"}.')
        for key in document:
            if key not in _KEYS:
                raise Misuse(f"{key!r} is not a known key{_nearest(key, _KEYS)}.")
        tenant = document.get("tenant")
        if tenant is not None and not isinstance(tenant, str):
            raise Misuse(f"tenant is {_shown(tenant)}, but text is expected.")
        return Question(
            text=self._text(document.get("query")),
            limit=self._limit(document.get("limit", min(10, self.max_limit))),
            conditions=self._conditions(document.get("filter")),
            tenant=tenant,
        )

    def _text(self, text: object) -> str:
        if not isinstance(text, str):
            raise Misuse(f"query is {_shown(text)}, but text is expected.")
        if not text.strip():
            raise Misuse("query is empty; say what to search for.")
        if len(text) > self.max_text_chars:
            raise Misuse(f"query has {len(text):,} characters; at most {self.max_text_chars:,} are read.")
        return text

    def _limit(self, limit: object) -> int:
        number = whole(limit)
        if number is None or not 1 <= number <= self.max_limit:
            raise Misuse(f"limit is {_shown(limit)}, but a whole number from 1 to {self.max_limit} is expected.")
        return number

    def _conditions(self, wanted: object) -> tuple[Condition, ...]:
        if wanted is None:
            return ()
        if not isinstance(wanted, dict):
            raise Misuse(f"filter is {_shown(wanted)}, but an object of fields and values is expected.")
        return tuple(self._condition(name, value) for name, value in wanted.items())

    def _condition(self, name: str, given: Any) -> Condition:  # noqa: ANN401 - whatever JSON holds
        if name not in self.fields:
            raise Misuse(f"filter.{name} is no field of the sources{_nearest(name, tuple(self.fields))}.")
        kind = self.fields[name]
        if kind not in _MATCHED:
            raise Misuse(f"filter.{name} is a {kind}, which cannot be compared for equality.")
        expected, words = _MATCHED[kind]
        value = whole(given) if kind == "integer" else given
        if type(value) is not expected or not isinstance(value, str | int | bool):
            raise Misuse(f"filter.{name} is {_shown(given)}, but {words} is expected.")
        return Condition(name, value)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    if near:
        return f"; did you mean {near[0]!r}"
    return f"; known are {', '.join(sorted(known))}" if known else "; they declare none"


def _shown(value: object) -> str:
    if value is None:
        return "missing or null"
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
