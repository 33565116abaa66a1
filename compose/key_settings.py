"""A ``[[query.key]]`` of the file: an API key of the query service, and what its holder may see.

The secret belongs into the environment (``EMBEDSTREAM_QUERY__KEY__0__SECRET``, or ``…_FILE``). ``only`` binds the key
to the documents that have the given values in their payload fields; which fields there are is the sources' matter,
so it is checked where both are known. An empty table is refused: it would bind a key that was meant to be bound to
nothing at all.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from compose.section import Positive, Section, Text
from serving.keys import ApiKey, Value, digest_of
from stream.ports import FieldType

_SHORTEST = 16
_SECRET = re.compile(rf"[!-~]{{{_SHORTEST},}}")
_KINDS: Mapping[FieldType, tuple[type[Value], str]] = {
    "keyword": (str, "text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}


class KeySettings(Section):
    """One key."""

    name: Text
    """For people: it may be logged."""
    secret: Text
    only: Mapping[Text, tuple[Value, ...]] | None = None
    """Payload field, or ``tenant`` → a value, or a list of which one has to be there. Left out: all of the index."""
    concurrency: Positive | None = None
    """Requests of this key in work at once; left out: as many as the service takes."""

    @field_validator("secret")
    @classmethod
    def _is_a_secret(cls, secret: str) -> str:
        if not _SECRET.fullmatch(secret):
            raise ValueError(
                f"is no key; it is {_SHORTEST} or more printable ASCII characters without blanks, as "
                "`openssl rand -hex 32` gives"
            )
        return secret

    @field_validator("only", mode="before")
    @classmethod
    def _lists_values(cls, only: object) -> object:
        if only is None:
            return None
        if not isinstance(only, Mapping) or not only:
            raise ValueError("`only` is expected to be a table with a field in it; leave it out for the whole index")
        return {field: _values(field, given) for field, given in only.items()}

    def key(self) -> ApiKey:
        """Without the secret."""
        return ApiKey(self.name, digest_of(self.secret), dict(self.only or {}), self.concurrency)

    def fault(self, fields: Mapping[str, FieldType]) -> str | None:
        """What is wrong with ``only`` where the index has these fields, as ``only.field is …``; None: nothing."""
        for field, values in (self.only or {}).items():
            if field not in fields:
                known = ", ".join(sorted(fields)) or "none"
                return f"`only.{field}` is no field of the sources, nor a tenant that one of them has; known: {known}"
            kind = fields[field]
            if kind not in _KINDS:
                return f"`only.{field}` is of type {kind}, which cannot be compared for equality"
            expected, words = _KINDS[kind]
            if not all(type(value) is expected for value in values):
                return f"`only.{field}` is of type {kind}, so {words} is expected"
        return None


def _values(field: str, given: Any) -> tuple[Value, ...]:  # noqa: ANN401 - whatever TOML holds
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not values or not all(isinstance(value, str | int | bool) for value in values):
        raise ValueError(f"`{field}` is expected to be a text, a whole number, true or false, or a list of them")
    return values
