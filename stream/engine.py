"""What a catalog can tell of the engine behind it, where there is one to tell of.

A capability beside ``stream.ports.IndexCatalog`` that a catalog may have: an index in a folder has no version apart
from this project's and no replicas, so it has no such method and nothing is said of it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """``replicas`` and ``written`` (how many acknowledge a write) are the collection's; None where there is none."""

    where: str
    version: str
    recommended: str
    """From this version on nothing is known against it; older ones that are still allowed have their faults."""
    replicas: int | None = None
    written: int | None = None
    state: str | None = None
    """``green`` where all is well, in the engine's own words."""

    @property
    def recent(self) -> bool:
        """Whether it is at least the version that is recommended; an unreadable version is not."""
        try:
            return _numbers(self.version) >= _numbers(self.recommended)
        except ValueError:
            return False


@runtime_checkable
class TellsOfItsEngine(Protocol):
    """A catalog whose engine is a server of its own."""

    def engine(self, collection: str | None) -> EngineInfo:
        """Of the engine, and of one collection that exists. Raises Outage, Fatal for a version that is refused."""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-", 1)[0].split(".")[:2])
