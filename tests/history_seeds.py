"""Histories from a seed: the rules of ``histories.Histories`` in random order, without a search that shrinks.

Hypothesis finds the smallest history on which a law breaks; this finds, many times faster, that there is one. A seed
gives the same history for as long as the rules stay, so the one that a failing test prints can be walked again.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from histories import Histories, Violation

_PASSAGES = ("alpha", "beta", "gamma")
_KINDS = ("shrink", "move", "duplicate", "payload", "nothing")


@dataclass(frozen=True)
class _Rule:
    """How often it is tried, whether it has something to work on, and what it is called with."""

    weight: int
    may: Callable[[Histories], bool]
    arguments: Callable[[random.Random], dict[str, Any]]


def _document(chance: random.Random) -> str:
    return "docs/2" if chance.random() < 0.1 else "docs/1"


def _row(chance: random.Random) -> dict[str, Any]:
    return {
        "doc": _document(chance),
        "texts": chance.choices(_PASSAGES, k=chance.randrange(5)),
        "colour": chance.randrange(2),
        "poison": chance.random() < 0.15,
    }


_RULES = {
    "write_row": _Rule(15, lambda _: True, _row),
    "delete_row": _Rule(4, lambda _: True, lambda chance: {"doc": _document(chance)}),
    "edit_row": _Rule(
        9,
        lambda machine: bool(machine.log),
        lambda chance: {"back": chance.randrange(8), "kind": chance.choice(_KINDS)},
    ),
    "publish_again": _Rule(
        4,
        lambda machine: bool(machine.log),
        lambda chance: {"back": chance.randrange(8), "recompute": chance.random() < 0.5},
    ),
    "compact": _Rule(2, lambda machine: machine.work is None and not machine.zombies, lambda _: {}),
    "plan": _Rule(18, lambda machine: machine.work is None and machine.waiting, lambda _: {}),
    "write": _Rule(20, lambda machine: machine.work is not None, lambda _: {}),
    "work_on": _Rule(
        8,
        lambda machine: machine.work is not None or machine.waiting,
        lambda chance: {"revisions": chance.randrange(1, 5)},
    ),
    "die": _Rule(
        4,
        lambda machine: machine.work is not None or machine.cursor > 0,
        lambda chance: {"back": chance.randrange(8)},
    ),
    "stall": _Rule(
        8,
        lambda machine: machine.work is not None and len(machine.zombies) < machine.most_zombies,
        lambda chance: {"back": chance.randrange(8)},
    ),
    "write_late": _Rule(
        8,
        lambda machine: bool(machine.zombies),
        lambda chance: {"which": chance.randrange(8), "writes": chance.randrange(1, 5)},
    ),
    "die_stalled": _Rule(2, lambda machine: bool(machine.zombies), lambda chance: {"which": chance.randrange(8)}),
}


def walk(machine: Histories, seed: int) -> None:
    """Walks the seed's history to its end; raises Violation where a law breaks on the way."""
    chance = random.Random(seed)
    for _ in range(chance.randrange(5, 60)):
        (name,) = chance.choices(list(_RULES), [rule.weight for rule in _RULES.values()])
        if _RULES[name].may(machine):
            getattr(machine, name)(**_RULES[name].arguments(chance))
            machine.check()
    machine.teardown()


def first_violation(machine: type[Histories], seeds: Iterable[int]) -> tuple[int, Violation] | None:
    """The first seed whose history breaks a law, and how."""
    for seed in seeds:
        try:
            walk(machine(), seed)
        except Violation as violation:
            return seed, violation
    return None
