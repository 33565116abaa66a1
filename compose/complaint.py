"""One sentence about what is wrong with the configuration: where, what was found, what is expected.

An unknown key comes first, because it is usually the cause of the missing one, and names the nearest known key. A
value that came from the environment is blamed on its variable. What was found is not repeated where the key sounds
like a secret.
"""

import datetime as dt
import difflib
import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adapters.confidential import is_secret, without_user_info

_EXPECTED: tuple[tuple[str, str], ...] = (
    ("int", "a whole number"),
    ("float", "a number"),
    ("finite", "a number"),
    ("bool", "true or false"),
    ("string", "text"),
    ("list", "a list"),
    ("tuple", "a list"),
    ("dict", "a table"),
    ("mapping", "a table"),
    ("model", "a table"),
)
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda limits: f"at least {limits['ge']:,} is expected",
    "greater_than": lambda limits: f"more than {limits['gt']:,} is expected",
    "less_than_equal": lambda limits: f"at most {limits['le']:,} is expected",
    "literal_error": lambda limits: f"{limits['expected']} is expected",
    "string_pattern_mismatch": lambda limits: f"text that matches {limits['pattern']} is expected",
    "string_too_short": lambda _: "text that is not empty is expected",
    "string_too_long": lambda limits: f"at most {limits['max_length']} characters are expected",
    "too_short": lambda limits: f"at least {limits['min_length']} is expected",
}


def complaint(error: ValidationError, model: type[BaseModel], origins: Mapping[tuple[str | int, ...], str]) -> str:
    """The sentence for the first of the errors."""
    found = error.errors(include_url=False)
    deepest = [one for one in found if not any(_within(other["loc"], one["loc"]) for other in found)]
    details = sorted(deepest, key=lambda one: one["type"] != "extra_forbidden")
    sentence = _sentence(details[0], model, origins)
    more = len(details) - 1
    if more:
        return f"{sentence.removesuffix('?')} (and {more} more)."
    return sentence if sentence.endswith("?") else f"{sentence}."


def _sentence(found: ErrorDetails, model: type[BaseModel], origins: Mapping[tuple[str | int, ...], str]) -> str:
    path = found["loc"]
    name = f"`{'.'.join(str(part) for part in path)}`" if path else "the file"
    kind = found["type"]
    blamed = next((origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), None)
    if blamed is None and kind == "extra_forbidden":
        blamed = next((variable for place, variable in origins.items() if _within(place, path)), None)
    if blamed is not None:
        name = f"{name} (from {blamed})"
    if kind == "extra_forbidden":
        return f"{name} is not a known key{_nearest(path, model)}"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "value_error":
        return _told(name, path, str(found["ctx"]["error"]))
    expected = _BOUNDS[kind](found["ctx"]) if kind in _BOUNDS else f"{_expected(kind, found['msg'])} is expected"
    what = "set to something else" if is_secret(str(path[-1])) else _shown(found["input"])
    return f"{name} is {what}, but {expected}"


def _told(name: str, path: tuple[str | int, ...], told: str) -> str:
    """A validator's own sentence; it names its key, a key inside its table, or none."""
    if not path:
        return told
    own = f"`{path[-1]}` "
    if told.startswith(own):
        return f"{name} {told.removeprefix(own)}"
    if told.startswith(f"{path[0]}."):
        return told
    if told.startswith("`"):
        return f"`{'.'.join(str(part) for part in path)}.{told[1:]}"
    return f"{name} {told}" if told.startswith("is ") else f"{name}: {told}"


def _within(path: tuple[str | int, ...], table: tuple[str | int, ...]) -> bool:
    return len(path) > len(table) and path[: len(table)] == table


def _expected(kind: str, message: str) -> str:
    return next((words for start, words in _EXPECTED if kind.startswith(start)), message[:1].lower() + message[1:])


def _shown(value: object) -> str:
    text = without_user_info(repr(value))
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, {True: "true", False: "false"}.get(value is True, "")),
        (str, f"{shown} (text)"),
        (int, f"{shown} (a whole number)"),
        (float, f"{shown} (a number)"),
        ((list, tuple), f"{shown} (a list)"),
        (Mapping, "a table"),
        ((dt.date, dt.time), f"{value} (a date or time)"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), shown)


def _nearest(path: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """The known key of the same table, or of another one, that reads most like the unknown one."""
    table = _table(path[:-1], model)
    if table is None:
        return ""
    near = difflib.get_close_matches(str(path[-1]), table.model_fields, 1, 0.6)
    if near:
        return f"; did you mean `{'.'.join(str(part) for part in (*path[:-1], near[0]))}`?"
    elsewhere = [
        f"{section}.{path[-1]}"
        for section, info in model.model_fields.items()
        if (other := section_of(info.annotation)) is not None and str(path[-1]) in other.model_fields
    ]
    if elsewhere:
        return f"; did you mean `{elsewhere[0]}`?"
    return f"; known here are {', '.join(sorted(table.model_fields))}"


def _table(path: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel] | None:
    table: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        if table is None or part not in table.model_fields:
            return None
        table = section_of(table.model_fields[part].annotation)
    return table


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model behind ``Model``, ``Model | None`` or ``tuple[Model, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := section_of(part)) is not None), None)
    return None
