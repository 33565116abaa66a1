"""Every fault again and again with other timing, until the time is over, and a table of what they did.

    PYTHONPATH=tests python -m chaos.campaign --minutes 20 [--seed N]

Goes round: each round injects every fault once, in an order and with timings that the seed decides; the rounds speak
the group protocols in turn, so after two rounds each fault met both, and there are no fewer. The seed is printed
first. Each injection is told as it ends; the last line sums up. The exit status is 0 only if every fault bit twice at
least, nothing was lost, resurrected, orphaned or duplicated, no fault failed to be healed in time, and no member
ended without being told.
"""

import argparse
import contextlib
import io
import random
import secrets
import signal
import sys
import time
import traceback
from collections import defaultdict

from _pytest.outcomes import Failed
from chaos.faults import FAULTS
from chaos.striking import struck
from chaos.world import PROTOCOLS, World

KINDS = ("lost", "resurrected", "orphaned", "duplicated")
_LEAST_ROUNDS = 2


class Tally:
    """What came of each fault so far."""

    def __init__(self):
        self.outcomes = defaultdict(list)
        self.failures = []
        self.began = time.monotonic()

    def table(self):
        width = max(len(fault) for fault in [*self.outcomes, "fault"])
        head = f"{'fault':{width}}  times  {'  '.join(KINDS)}  worst recovery"
        lines = [head, "-" * len(head)]
        for fault, outcomes in self.outcomes.items():
            counts = self.counts(outcomes)
            figures = "  ".join(f"{counts[kind]:>{len(kind)}}" for kind in KINDS)
            worst = max(outcome.recovery_s for outcome in outcomes)
            lines.append(f"{fault:{width}}  {len(outcomes):>5}  {figures}  {worst:>12.1f} s")
        return "\n".join(lines)

    @staticmethod
    def counts(outcomes):
        counted = [outcome.difference.counts() for outcome in outcomes]
        return {kind: sum(counts[kind] for counts in counted) for kind in KINDS}

    def sum(self, seed):
        outcomes = [outcome for of_fault in self.outcomes.values() for outcome in of_fault]
        counts = self.counts(outcomes)
        figures = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
        stopped = sum(len(outcome.stopped) for outcome in outcomes)
        minutes = (time.monotonic() - self.began) / 60
        injected = f"{len(self.outcomes)} faults, {len(outcomes)} injections in {minutes:.0f} minutes, seed {seed}"
        return f"{injected}: {figures}; {len(self.failures)} not healed, {stopped} members stopped unasked"

    @property
    def good(self):
        outcomes = [outcome for of_fault in self.outcomes.values() for outcome in of_fault]
        often = all(len(self.outcomes[fault.name]) >= _LEAST_ROUNDS for fault in FAULTS)
        return often and not self.failures and not any(one.difference or one.stopped for one in outcomes)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Injects every fault again and again and compares index and table.")
    parser.add_argument("--minutes", type=float, default=20, help="how long (20); two rounds at least")
    parser.add_argument(
        "--seed", type=int, default=None, help="decides what falls when; printed where it is left out"
    )
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    say(f"seed {seed}")
    # Told to stop, by whichever signal: the servers are ended and what is known so far is told.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tally = Tally()
    world = World(seed, long=True)
    try:
        campaign(world, tally, seed, asked.minutes * 60)
    except KeyboardInterrupt:
        say("interrupted")
    finally:
        # What every process said would be a thousand pages.
        with contextlib.redirect_stdout(io.StringIO()):
            world.close()
        say(tally.table())
        for failure in tally.failures:
            say(f"not healed: {failure}")
        say(tally.sum(seed))
    return 0 if tally.good else 1


def campaign(world, tally, seed, seconds):
    """Rounds until the time is over."""
    rounds = 0
    while rounds < _LEAST_ROUNDS or time.monotonic() - tally.began < seconds:
        protocol = list(PROTOCOLS)[rounds % len(PROTOCOLS)]
        for fault in random.Random(f"{seed} {rounds}").sample(FAULTS, len(FAULTS)):
            if rounds >= _LEAST_ROUNDS and time.monotonic() - tally.began >= seconds:
                return
            try:
                outcome = struck(world, fault, protocol, seed, rounds)
            except (Failed, Exception) as error:  # noqa: BLE001 - the others are to be tried all the same
                tally.failures.append(f"{fault.name} ({protocol}, round {rounds}): {error}")
                say(f"{fault.name} ({protocol}): {traceback.format_exc()}")
                if len(tally.failures) > len(FAULTS):
                    return
                continue
            tally.outcomes[fault.name].append(outcome)
            tell(outcome, time.monotonic() - tally.began)
        rounds += 1


def tell(outcome, at_s):
    counts = ", ".join(f"{number} {kind}" for kind, number in outcome.difference.counts().items() if number)
    say(
        f"{at_s:7.0f} s  {outcome.fault} ({outcome.protocol}): equal after {outcome.recovery_s:.1f} s"
        + (f", {counts}" if counts else "")
    )
    for kind in KINDS:
        for sentence in getattr(outcome.difference, kind)[:5]:
            say(f"           {kind}: {sentence}")
    for sentence in outcome.stopped:
        say(f"           stopped unasked: {sentence}")


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
