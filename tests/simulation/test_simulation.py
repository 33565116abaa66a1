"""Thousands of histories of the whole stream under faults, replayed from their seeds; see docs/simulation.md."""

import pytest
from simulation.bugs import BUGS
from simulation.campaign import WITHIN, failures_among, first_failure
from simulation.history import History

SEEDS = 2_000
BLOCK = 100


@pytest.mark.parametrize("start", range(0, SEEDS, BLOCK))
def test_no_history_breaks_a_law(start):
    assert failures_among(range(start, start + BLOCK)) == {}


@pytest.mark.parametrize("bug", BUGS)
def test_a_deliberate_bug_is_seen(bug):
    """The seed that is known to show it comes first; a campaign searches from the first seed on."""
    assert first_failure([BUGS[bug][0], *range(WITHIN)], bug) is not None


def test_a_seed_tells_the_same_history_each_time():
    first, second = [], []
    for trace in (first, second):
        History(8, trace).run()
    assert first == second
