"""The words in which a request is refused: what was found, and what was probably meant."""

import difflib
from collections.abc import Iterable

import orjson

_LONGEST = 60


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the known one that is nearest, or all of them."""
    there = sorted(known)
    near = difflib.get_close_matches(name, there, 1, 0.6)
    if near:
        return f"; did you mean {near[0]!r}"
    return f"; known are {', '.join(there)}"


def shown(value: object) -> str:
    """A value of JSON, shortened."""
    if value is None:
        return "missing or null"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
