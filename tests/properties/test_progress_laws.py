"""Invariant 5 (no skip) as a law of one partition: below the committable offset everything is done."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream.errors import Fatal
from stream.progress import Progress

START = 3


class Partitions(RuleBasedStateMachine):
    """A partition that is read with gaps, and whose records finish in any order."""

    def __init__(self):
        super().__init__()
        self.progress = Progress(START)
        self.read = START
        self.open: list[int] = []
        self.before = START

    @rule(gap=st.sampled_from([0, 0, 0, 1, 5]))
    def take(self, gap):
        offset = self.read + gap
        self.progress.take(offset)
        self.open.append(offset)
        self.read = offset + 1

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 9))
    def finish(self, which):
        self.progress.finish(self.open.pop(which % len(self.open)))

    @rule(offset=st.integers(0, 40))
    def finish_what_is_not_open(self, offset):
        if offset not in self.open:
            self.progress.finish(offset)

    @rule(markers=st.integers(-3, 3))
    def reach(self, markers):
        """An end that lies behind what was read already is an old one."""
        self.progress.reach(self.read + markers)
        self.read = max(self.read, self.read + markers)

    @invariant()
    def only_what_is_done_without_a_gap_may_be_committed(self):
        assert self.progress.committable == min(self.open, default=self.read)
        assert self.progress.open == len(self.open)

    @invariant()
    def it_never_goes_back(self):
        assert self.progress.committable >= self.before
        self.before = self.progress.committable

    def teardown(self):
        """Drained, lag is zero: markers too are behind the commit."""
        while self.open:
            self.finish(0)
        assert self.progress.committable == self.read


TestPartitions = Partitions.TestCase
TestPartitions.settings = settings(settings.get_profile("law"), stateful_step_count=30)


def test_a_partition_that_goes_backwards_is_fatal():
    progress = Progress(5)
    progress.take(7)
    with pytest.raises(Fatal, match="Offset 6 was read after position 8"):
        progress.take(6)


def test_a_record_below_the_committed_offset_is_fatal_too():
    with pytest.raises(Fatal, match="went backwards"):
        Progress(5).take(4)
