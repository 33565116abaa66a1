"""What a benchmark says: its sides, their ratios with the goal of each, and what else was true of the run."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Scale(Enum):
    """How much a benchmark does: ``QUICK`` in a few seconds, to see that it goes and about where it stands."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Side:
    """``values`` has one a round, in ``unit``; side by side, the same place of two sides is the same round."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Ratio:
    """``value`` is the median of the ratios of the rounds, ``least`` and ``most`` their ends. ``goal`` None: stated,
    and asked of nobody. ``at_most``: less is better.
    """

    name: str
    value: float
    least: float
    most: float
    goal: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        """True also where there is no goal."""
        if self.goal is None:
            return True
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True, slots=True)
class Report:
    """``key`` is the benchmark's (``B1``). ``facts`` go into the file, and those of ``told`` on the terminal too:
    sentences that a reader of the table needs.
    """

    key: str
    title: str
    sides: tuple[Side, ...]
    ratios: tuple[Ratio, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int, unit: str) -> dict[str, Side]:
    """Each side once a round, and another one first in each, so that whatever else the machine does meets all. What a
    side returns is its value in ``unit``. What has to be warm is warmed by the caller.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            values[name].append(sides[name]())
    return {name: Side(name, unit, tuple(found)) for name, found in values.items()}


def ratio(
    over: Side, under: Side, goal: float | None = None, *, at_most: bool = False, name: str | None = None
) -> Ratio:
    """``over`` / ``under``, round by round."""
    found = [upper / lower for upper, lower in zip(over.values, under.values, strict=True)]
    return Ratio(
        name or f"{over.name} / {under.name}", statistics.median(found), min(found), max(found), goal, at_most
    )


def single(name: str, value: float, goal: float | None = None, *, at_most: bool = False) -> Ratio:
    """Of two figures that are no rounds: counts over the same inputs, quantiles over all of them."""
    return Ratio(name, value, value, value, goal, at_most)


def quantile(values: Sequence[float], part: float) -> float:
    """The least value that ``part`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
