"""Values from the environment, laid over the tree that the file gave.

``EMBEDSTREAM_`` and the path in capitals joined by ``__`` names a value; items of a list are numbered, dots of the
properties of Kafka and of the registry are written as ``_``. ``<NAME>_FILE`` names a file whose stripped content is
the value, for secrets that are mounted as files. A whole list or table may be given as TOML
(``EMBEDSTREAM_SOURCE__0__TEXT='["body"]'``).

A name without ``__`` is not a value's name: Kubernetes itself sets such names (``EMBEDSTREAM_QUERY_SERVICE_HOST``) in
every pod beside a service of that name, so they are left alone, but for those that one underscore more would make a
known value: these are a slip of the pen, and an error.
"""

import copy
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose import kafka_settings, registry_settings
from stream.errors import Misuse

PREFIX = "EMBEDSTREAM_"
_FROM_FILE = "_FILE"
_TESTS = "EMBEDSTREAM_TEST_"
"""Belongs to the test suite: services to test against."""

_DOTTED: Mapping[str, Callable[[str], str]] = {
    "kafka": kafka_settings.property_name,
    "registry": registry_settings.property_name,
}
"""Sections whose keys are the dotted properties of a client, and how a segment of a name becomes one."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Overlaid:
    """The tree with the environment's values in it, and for each of those the variable it came from."""

    tree: dict[str, Any]
    origins: Mapping[Place, str] = field(default_factory=dict)


def overlay(tree: Mapping[str, Any], environ: Mapping[str, str], known: Collection[tuple[str, str]]) -> Overlaid:
    """``known`` holds the (section, key) pairs that exist. Raises Misuse with one sentence."""
    laid: dict[str, Any] = copy.deepcopy(dict(tree))
    origins: dict[Place, str] = {}
    for name in sorted(environ, key=_in_order):
        if not name.startswith(PREFIX) or name.startswith(_TESTS):
            continue
        target = name.removesuffix(_FROM_FILE)
        if "__" not in name.removeprefix(PREFIX):
            _check_slip(target, known)
            continue
        if target != name and target in environ:
            raise Misuse(f"{target} and {name} are both set; unset one of them.")
        path = _path(target)
        text = _content(name, environ[name]) if target != name else environ[name]
        origins[_place(laid, path, _value(path, text), name)] = name
    return Overlaid(laid, origins)


def _in_order(name: str) -> tuple[tuple[int, str], ...]:
    """Items of a list in the order of their numbers."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in name.split("__"))


def _path(name: str) -> list[str]:
    segments = name.removeprefix(PREFIX).split("__")
    if not all(segments):
        raise Misuse(f"{name} names no value: a section, a key and numbers of items are joined by two underscores.")
    lowered = [segment.lower() for segment in segments]
    if lowered[0] in _DOTTED:
        named = _DOTTED[lowered[0]]
        return [lowered[0], ".".join(named(segment) for segment in segments[1:])]
    return lowered


def _check_slip(name: str, known: Collection[tuple[str, str]]) -> None:
    rest = name.removeprefix(PREFIX).lower()
    for section, key in known:
        if rest == f"{section}_{key.replace('.', '_')}":
            meant = f"{PREFIX}{section.upper()}__{key.replace('.', '_').upper()}"
            raise Misuse(f"{name} is not the name of a value; did you mean {meant} (two underscores)?")


def _content(name: str, file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Misuse(f"{name} names {file}, which cannot be read: {reason}.") from error


def _value(path: list[str], text: str) -> object:
    if path[0] in _DOTTED or not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _place(tree: dict[str, Any], path: list[str], value: object, name: str) -> Place:
    """Sets the value, making the tables and items on its way, and returns its path."""
    node: Any = tree
    taken: list[str | int] = []
    for position, segment in enumerate(path):
        last = position == len(path) - 1
        make: Callable[[], Any] = list if not last and path[position + 1].isdecimal() else dict
        if isinstance(node, list):
            if not segment.isdecimal() or int(segment) > len(node):
                raise Misuse(
                    f"{name} does not name an item: `{_dotted(taken)}` has {len(node)} of them, numbered from 0, and "
                    "the next one may be added."
                )
            number = int(segment)
            taken.append(number)
            if number == len(node):
                node.append(None if last else make())
            if last:
                node[number] = value
            node = node[number]
        elif isinstance(node, dict):
            taken.append(segment)
            if last:
                node[segment] = value
            node = node.setdefault(segment, None if last else make())
        else:
            raise Misuse(f"{name} names a part of `{_dotted(taken)}`, which is a single value.")
    return tuple(taken)


def _dotted(path: list[str | int]) -> str:
    return ".".join(str(part) for part in path)
