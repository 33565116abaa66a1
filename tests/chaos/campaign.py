"""Every fault again and again with other timing, until the time is over, and a table of what they did.

    PYTHONPATH=tests python -m chaos.campaign --minutes 20 [--seed N] [--into FILE]

Goes round: each round injects every fault once, in an order and with timings that the seed decides; the rounds speak
the group protocols in turn, so after two rounds each fault met both, and there are no fewer. The seed is printed
first. Each injection is told as it ends; the last line sums up. With ``--into`` each is kept in a file, and a later
run with the same file goes on where this one stopped: table and last line are those of all its runs.

The exit status is 0 only if every fault bit twice at least, nothing was lost, resurrected, orphaned or duplicated, no
fault failed to be healed in time, and no member ended without being told.
"""

import argparse
import contextlib
import io
import itertools
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from _pytest.outcomes import Failed
from chaos.faults import FAULTS
from chaos.striking import struck
from chaos.tally import KINDS, Injection, Tally
from chaos.world import PROTOCOLS, World

from stream.errors import Misuse

_LEAST_ROUNDS = 2


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Injects every fault again and again and compares index and table.")
    parser.add_argument("--minutes", type=float, default=20, help="how long (20); two rounds at least")
    parser.add_argument(
        "--seed", type=int, default=None, help="decides what falls when; printed where it is left out"
    )
    parser.add_argument("--into", type=Path, default=None, help="a file to keep the outcomes in and to go on from")
    asked = parser.parse_args(arguments)
    try:
        tally = Tally(asked.into, asked.seed)
    except Misuse as error:
        parser.error(str(error))
    say(f"seed {tally.seed}")
    # Told to stop, by whichever signal: the servers are ended and what is known so far is told.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    tally.begin(_commit())
    try:
        campaign(tally, asked.minutes * 60)
    except KeyboardInterrupt:
        say("interrupted")
    finally:
        say(tally.table())
        for failure in tally.failures():
            say(f"not healed: {failure.fault} (round {failure.round}): {failure.failure}")
        say(tally.sum())
    return 0 if tally.good([fault.name for fault in FAULTS], _LEAST_ROUNDS) else 1


def campaign(tally, seconds):
    """Rounds until the time is over, from where the tally stands, each on servers of its own.

    A group that was carried from one protocol to the other may never be loaded again after the broker's end
    (KAFKA-21117, open in Kafka 4.4): what the campaign would find then is that.
    """
    began, failures = time.monotonic(), len(tally.failures())
    for round_ in itertools.count():
        protocol = list(PROTOCOLS)[round_ % len(PROTOCOLS)]
        faults = random.Random(f"{tally.seed} {round_}").sample(FAULTS, len(FAULTS))
        waiting = [fault for fault in faults if not tally.done(round_, fault.name)]
        if not waiting:
            continue
        with opened(tally.seed) as world:
            for fault in waiting:
                if round_ >= _LEAST_ROUNDS and time.monotonic() - began >= seconds:
                    return
                inject(world, tally, round_, fault, protocol)
                tell(tally.injections[-1], time.monotonic() - began)
                if len(tally.failures()) - failures > len(FAULTS):
                    return


@contextlib.contextmanager
def opened(seed):
    world = World(seed, long=True)
    try:
        yield world
    finally:
        # What every process said would be a thousand pages.
        with contextlib.redirect_stdout(io.StringIO()):
            world.close()


def inject(world, tally, round_, fault, protocol):
    began = time.monotonic()
    try:
        outcome, failure = struck(world, fault, protocol, tally.seed, round_), ""
    except (Failed, Exception) as error:  # noqa: BLE001 - the others are to be tried all the same
        outcome, failure = None, str(error)
        say(traceback.format_exc())
    tally.add(Injection(round_, fault.name, time.monotonic() - began, outcome, failure))


def _commit():
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return said.stdout.strip() or "no commit"


def tell(injection, at_s):
    outcome = injection.outcome
    if outcome is None:
        say(f"{at_s:7.0f} s  {injection.fault}: not healed")
        return
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
