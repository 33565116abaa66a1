"""What the live page is told of the stream behind the index: lag, throughput, and an upgrade on its way.

The query path sees neither the bus nor the processes that write. Whoever puts it together with them implements
:class:`Pulse`; where nobody does, or the bus does not answer, every figure is None, and the page says that it is not
known. Law: asking takes no time and never fails, so a figure is never the reason why a page, or a search, is not
answered.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.chunk_event import Json

UpgradeStep = Literal["planned", "replaying", "caught up", "cut over"]


@dataclass(frozen=True, slots=True)
class Behind:
    """Records before the chunkers and before the embedders of the pair that is searched; None: not known."""

    chunker: int | None
    embedder: int | None

    def to_json(self) -> dict[str, Json]:
        return {"chunker": self.chunker, "embedder": self.embedder}


@dataclass(frozen=True, slots=True)
class Throughput:
    """Chunks a second over the last seconds. ``applied`` counts those that needed no embedding, too."""

    embedded_per_s: float
    applied_per_s: float

    def to_json(self) -> dict[str, Json]:
        return {"embedded_per_s": round(self.embedded_per_s, 1), "applied_per_s": round(self.applied_per_s, 1)}


@dataclass(frozen=True, slots=True)
class UpgradeSide:
    """One of the two collections. ``points`` (live) is None where it does not exist yet."""

    collection: str
    contract: str
    model: str
    points: int | None

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "contract": self.contract,
            "model": self.model,
            "points": self.points,
        }


@dataclass(frozen=True, slots=True)
class Upgrading:
    """From one collection to the next. ``done`` is the share of the replay, in [0, 1]."""

    change: str
    step: UpgradeStep
    done: float
    before: UpgradeSide
    after: UpgradeSide

    def to_json(self) -> dict[str, Json]:
        return {
            "change": self.change,
            "step": self.step,
            "done": round(self.done, 4),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Signs:
    """Each is None where it is not known; ``upgrade`` also where there is none."""

    lag: Behind | None = None
    throughput: Throughput | None = None
    upgrade: Upgrading | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "lag": None if self.lag is None else self.lag.to_json(),
            "throughput": None if self.throughput is None else self.throughput.to_json(),
            "upgrade": None if self.upgrade is None else self.upgrade.to_json(),
        }


class Pulse(Protocol):
    """Whoever looks at the stream now and then. May be asked from any thread."""

    def now(self) -> Signs:
        """As last looked at. Answers at once, and raises nothing."""


class NoPulse:
    """Nobody looks at the stream."""

    def now(self) -> Signs:
        return Signs()
