"""What a soak says of memory: the slope of a line is the line's, whatever its height."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soak.figures import MEGABYTE, Memory, resident, slope


@given(
    height=st.integers(0, 1 << 34),
    growth=st.integers(-5 * MEGABYTE, 5 * MEGABYTE),
    moments=st.sets(st.integers(0, 1800), min_size=2, max_size=50),
)
def test_the_slope_of_a_line_is_its_growth_a_minute(height, growth, moments):
    samples = [(60.0 * at, height + growth * at) for at in moments]
    assert slope(samples) == pytest.approx(growth / MEGABYTE, abs=1e-6)


def test_one_moment_has_no_slope():
    assert slope([]) == slope([(1.0, 5), (1.0, 9)]) == 0.0


def test_memory_that_somebody_keeps_is_seen():
    before, own_before = resident(os.getpid())
    kept = np.ones(64 * MEGABYTE, dtype=np.uint8)
    after, own_after = resident(os.getpid())
    assert kept.nbytes * 0.9 < after - before
    assert kept.nbytes * 0.9 < own_after - own_before


def test_what_was_before_the_warm_up_ended_does_not_count():
    memory = Memory(
        samples=[(0.0, 0), (60.0, 100 * MEGABYTE), (120.0, 101 * MEGABYTE)],
        own=[(0.0, 0), (60.0, 50 * MEGABYTE), (120.0, 50 * MEGABYTE)],
    )
    assert memory.since(60.0) == pytest.approx((1.0, 0.0, 100.0, 101.0))
