"""Tells the history of one seed, step by step: who stood before which effect, what failed, what the world did.

    PYTHONPATH=tests python tests/simulation/replay.py SEED [BUG]

The number before each line counts the moves of the scheduler. The last line is the law that broke, or that none did.
"""

import sys

from simulation.bugs import planted
from simulation.campaign import quiet
from simulation.history import History


def main(seed, bug=None):
    trace = []
    history = History(int(seed), trace)
    print(f"troubles: {', '.join(sorted(history.has)) or 'none'}; pairs: {history.pairs}")
    try:
        with quiet(), planted(bug):
            history.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's failure
        print("\n".join(trace))
        print(f"{type(error).__name__}: {error}")
        return 1
    print("\n".join(trace))
    print("No law broke.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
