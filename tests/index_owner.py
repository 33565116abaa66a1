"""A process that owns a data directory, for the tests that kill it.

    python tests/index_owner.py hold PATH                 owns, serves nobody
    python tests/index_owner.py serve PATH                owns and serves
    python tests/index_owner.py write PATH                applies revision after revision, a line for each one acked
    python tests/index_owner.py die PATH MODULE NAME [N]  creates a collection and changes it, and kills itself at the
                                                          N-th call of that function

It prints ``ready`` when it owns the directory and ends when its standard input does.
"""

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from index_world import FIELDS, SPEC, mark, put, repaint, touch

from adapters.edge.catalog import EdgeCatalog
from stream.points import Write

COLLECTION = "docs__abc__g1"
REVISIONS = 100_000


def revision(number: int) -> list[Write]:
    """The plan of revision ``number`` (from 1): some points of its own, and some that every revision changes."""
    return [
        *(put((number, n), number, doc=f"docs/{number}", section=str(number)) for n in range(4)),
        put("always", number, section=str(number)),
        *([repaint((number - 1, 0), number, doc=f"docs/{number - 1}")] if number > 1 else []),
        *([touch([(number - 1, 1), (number - 1, 2)], number, source_ts_ms=number)] if number > 1 else []),
        *([mark((number - 1, 3), number, doc=f"docs/{number - 1}")] if number > 1 else []),
    ]


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def write(catalog: EdgeCatalog) -> None:
    catalog.create(COLLECTION, SPEC, FIELDS, {})
    index = catalog.open(COLLECTION)
    for number in range(1, REVISIONS):
        index.write(revision(number))
        say(number)


def die(catalog: EdgeCatalog, module: str, name: str, call: int) -> None:
    """Kills itself when ``module.name`` is called for the ``call``-th time from now on."""
    owner: Any = importlib.import_module(module)
    *parts, last = name.split(".")
    for part in parts:
        owner = getattr(owner, part)
    real, calls = getattr(owner, last), iter(range(1, 1000))

    def deadly(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    setattr(owner, last, deadly)
    catalog.create(COLLECTION, SPEC, FIELDS, {"n": 0})
    catalog.replace_metadata(COLLECTION, {"n": 0}, {"n": 1})
    catalog.switch_alias("docs", None, COLLECTION)


def main(command: str, path: str, *rest: str) -> None:
    catalog = EdgeCatalog(Path(path))
    if command == "serve":
        catalog.serve()
    say("ready")
    if command == "write":
        write(catalog)
    if command == "die":
        die(catalog, rest[0], rest[1], int(rest[2]) if len(rest) > 2 else 1)
    sys.stdin.read()
    catalog.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
