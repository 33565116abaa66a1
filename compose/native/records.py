"""Small files of the local stack that are replaced as a whole or not at all.

What ``up`` knows of the servers it started must survive its own death at any instant: a pid file cut in half would
lose a running broker. A record is therefore one JSON object, written beside its place and renamed over it; reading a
missing or a damaged one gives an empty object, never an error, because the stack can always find out again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

Value = str | int | float


def read(path: Path) -> dict[str, Value]:
    """The record at ``path``; empty when there is none or when it is not one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str | int | float)}


def write(path: Path, values: Mapping[str, Value]) -> None:
    """Puts ``values`` at ``path`` in one step; only its owner may read it."""
    replace(path, json.dumps(dict(values), indent=1, sort_keys=True) + "\n")


def replace(path: Path, text: str) -> None:
    """Puts ``text`` at ``path`` in one step; only its owner may read it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
