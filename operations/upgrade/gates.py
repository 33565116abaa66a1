"""What has to hold before users are sent to another collection: gates, each with its figure."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.chunk_event import Json


@dataclass(frozen=True, slots=True)
class Gate:
    """``said`` is a clause with the figure. ``binding``: nobody may pass it by force, for vectors would be mixed."""

    name: str
    passed: bool
    said: str
    binding: bool = False

    def to_json(self) -> dict[str, Json]:
        return {"gate": self.name, "passed": self.passed, "said": self.said, "binding": self.binding}


def closed(gates: Sequence[Gate]) -> list[Gate]:
    """Those that stop a switch."""
    return [gate for gate in gates if not gate.passed]
