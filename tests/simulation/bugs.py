"""Ten deliberate bugs, planted into the running code one at a time, to prove that the laws can be seen to break.

Each file of ``mutations/`` is one bug: ``PATCHES`` names what it replaces, as (owner, name, replacement). A history
that passes under the code as it is and fails under a bug shows that the checks look where that bug would hurt.
"""

import importlib
from contextlib import contextmanager

BUGS = {
    "remove_before_add": (5, ("no gap",)),
    "commit_past_in_flight": (1, ("no skip",)),
    "unconditional_write": (47, ("no regression",)),
    "hard_delete": (0, ("no regression",)),
    "stale_event_marks": (431, ("no skip", "agreement", "convergence")),
    "revision_skipped": (52, ("no skip", "convergence")),
    "redrive_with_new_version": (9, ("convergence",)),
    "purge_of_deleted_marks": (1, ("no regression",)),
    "chunker_without_transaction": (5, ("order on the chunk topic",)),
    "repair_as_second_writer": (81, ("no orphan", "convergence")),
}
"""Each with a seed that shows it, and the laws that it breaks: whatever else goes wrong does not count as seen."""


@contextmanager
def planted(bug):
    """None: the code as it is."""
    patches = importlib.import_module(f"simulation.mutations.{bug}").PATCHES if bug else ()
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in patches]
    try:
        for owner, name, replacement in patches:
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
