"""One fault, from a world at work to an index that equals the table again, and what there was to find.

The table is written to until the fault is over; the seconds of recovery are from then until index and table are
equal, starts of processes included.
"""

import time
from dataclasses import dataclass

from chaos.comparison import Difference
from chaos.world import dice_of

DEADLINE_S = 100.0


@dataclass(frozen=True)
class Outcome:
    """``recovery_s``: from the end of the fault until equal. ``stopped``: members that ended without being told."""

    fault: str
    protocol: str
    difference: Difference
    recovery_s: float
    stopped: tuple[str, ...]


def struck(world, fault, protocol, seed, number, deadline_s=DEADLINE_S):
    """Injects and heals a fault once and waits for the outcome; everything runs again afterwards."""
    dice = dice_of(seed, fault.name, number)
    world.use(protocol)
    deployed = world.edge if fault.on == "edge" else world.shared
    deployed.members.complete()
    world.writer.go()
    try:
        world.hold(dice.uniform(0.3, 1.5))
        wound = fault.inject(world, dice)
        fault.heal(world, wound)
    except BaseException:
        # The next fault is not to answer for this one.
        world.calm()
        deployed.members.stopped_unasked.clear()
        raise
    finally:
        world.writer.pause()
    healed = time.monotonic()
    deployed.members.complete()
    difference = world.settled(deployed, deadline_s)
    recovery_s = world.equal_at - healed
    # Whoever ended meanwhile is noted.
    deployed.members.complete()
    if fault.on == "edge":
        deployed.members.all_leave()
    stopped = tuple(deployed.members.stopped_unasked)
    deployed.members.stopped_unasked.clear()
    return Outcome(fault.name, protocol, difference, recovery_s, stopped)
