"""Seeds that once failed, each named for what was wrong; they stay for good.

A seed's history changes with the code, so a seed alone may come to tell of something else; where the wrong was the
product's, a test of the product beside it says the same without a seed.
"""

import pytest
from simulation.campaign import failure_of

FOUND = {
    "a chunker's first transaction took back an offset that another member had committed meanwhile": 339,
    "the same, so that the lag of the chunkers stayed above zero": 419,
    "an embedder's commit that lands behind a later one leaves lag": 1835,
    "the stable end hides what is committed behind an open transaction": 5,
    "compaction took away what nobody had read": 67,
    "a repair behind a newer revision hid that one from the checker": 460,
    "a revision was held by a stopped writer while compaction took it away": 1704,
    "a chunk that only damage had put there was taken for a text of its document": 17953,
    "a long backlog was taken for one that never drains": 10651,
}


@pytest.mark.parametrize("seed", FOUND.values(), ids=FOUND)
def test_what_was_found_once_stays_mended(seed):
    assert failure_of(seed) is None
