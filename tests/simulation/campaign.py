"""Many histories: every seed under the code as it is, and the ten deliberate bugs, each until a seed shows it.

    PYTHONPATH=tests python tests/simulation/campaign.py --seeds 20000

A failure is printed with its seed and the sentence of the law that broke; ``replay.py`` tells its history. The last
line is the summary; the exit status is 0 only without failures and with every bug caught.
"""

import argparse
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from simulation.bugs import BUGS, planted
from simulation.history import History
from simulation.laws import Violation

WITHIN = 2_000
"""Seeds that a bug may take to be seen."""
_BLOCK = 100


@contextmanager
def quiet():
    """What processes log in their troubles is of no interest by the thousand."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def failure_of(seed, bug=None):
    """What went wrong in the history of a seed, as a sentence; None where nothing did."""
    with quiet(), planted(bug):
        try:
            History(seed).run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's failure
            return f"{type(error).__name__}: {error}"
    return None


def failures_among(seeds):
    """Seed → sentence."""
    found = {seed: failure_of(seed) for seed in seeds}
    return {seed: sentence for seed, sentence in found.items() if sentence}


def first_failure(seeds, bug):
    """The first seed that shows a bug by a law that it breaks, and how; None where no seed does."""
    _, laws = BUGS[bug]
    shown = tuple(f"{Violation.__name__}: {law}" for law in laws)
    for seed in seeds:
        sentence = failure_of(seed, bug)
        if sentence and sentence.startswith(shown):
            return seed, sentence
    return None


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Searches histories for one that breaks a law.")
    parser.add_argument("--seeds", type=int, default=20_000, help="how many histories (20000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    asked = parser.parse_args(arguments)
    blocks = [
        range(start, min(start + _BLOCK, asked.first + asked.seeds))
        for start in range(asked.first, asked.first + asked.seeds, _BLOCK)
    ]
    began, failures = time.monotonic(), 0
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as workers:
        shown = list(zip(BUGS, workers.map(partial(first_failure, range(WITHIN)), BUGS), strict=True))
        for bug, found in shown:
            print(
                f"bug {bug}: " + (f"seed {found[0]}: {_first_line(found[1])}" if found else "NOT CAUGHT"), flush=True
            )
        for done, found in enumerate(workers.map(failures_among, blocks), 1):
            failures += len(found)
            for seed, sentence in found.items():
                print(f"seed {seed} FAILS: {_first_line(sentence)}   (make replay SEED={seed})", flush=True)
            if done % 20 == 0 or done == len(blocks):
                print(f"{blocks[done - 1].stop - asked.first} seeds, {time.monotonic() - began:.0f} s", flush=True)
    caught = sum(found is not None for _, found in shown)
    print(f"{asked.seeds} seeds run, {failures} failures, {caught} of {len(BUGS)} deliberate bugs caught")
    return 0 if not failures and caught == len(BUGS) else 1


def _first_line(sentence):
    return sentence.splitlines()[0][:200]


if __name__ == "__main__":
    sys.exit(main())
