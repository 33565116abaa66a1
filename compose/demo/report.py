"""The figures of one demo, each measured in that run, as JSON.

``documents, chunks, embedded, kept`` are those of the load: what the table held, what the index held then, and what
the process did for it. Times are in milliseconds from just before COMMIT to the answer of a search. ``recovery``
counts the points that differ after the kill; ``equal`` says that none does.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from compose.demo.freshness import Freshness
from compose.native import records
from schemas.chunk_event import Json
from stream.comparison import Comparison
from stream.errors import Misuse


@dataclass(frozen=True, slots=True)
class Loaded:
    """The corpus is in the index."""

    documents: int
    chunks: int
    embedded: int
    kept: int


@dataclass(frozen=True, slots=True)
class Edited:
    """One sentence of a text was changed."""

    embedded: int
    kept: int
    ms: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A payload column was changed."""

    embedded: int
    ms: float


@dataclass(frozen=True, slots=True)
class Deleted:
    """A row was deleted."""

    ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    loaded: Loaded
    edit: Edited
    fields: Moved
    delete: Deleted
    freshness: Freshness
    recovery: Comparison

    def to_json(self) -> dict[str, Json]:
        """As ``--report`` writes it."""
        found = self.recovery
        return {
            **asdict(self.loaded),
            "edit": asdict(self.edit),
            "fields": asdict(self.fields),
            "delete": asdict(self.delete),
            "freshness_ms": asdict(self.freshness),
            "recovery": {
                "equal": found.equal,
                "missing": len(found.missing),
                "orphans": len(found.orphans) + len(found.duplicated),
                "stale": len(found.stale),
            },
        }

    def write(self, path: Path) -> None:
        """Replaces the file as a whole. Raises Misuse where it cannot be written."""
        try:
            records.replace(path, orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
        except OSError as error:
            raise _unwritable(path, error) from error


def check_writable(path: Path) -> None:
    """Raises Misuse now, not when the demo has run to its end."""
    if path.is_dir():
        raise Misuse(f"The report {path} is a folder; name a file with --report.")
    beside = path.with_name(f".{path.name}.probe")
    try:
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> Misuse:
    return Misuse(f"The report {path} cannot be written ({error.strerror}); name another file with --report.")
