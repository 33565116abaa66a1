"""Laws of the line in front of a device: arrivals, ends of batches and callers who go, in any order."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stream.errors import Misuse
from stream.query_batch import Batching, QueryLine


@dataclass(frozen=True, eq=False)
class Asked:
    number: int
    texts: tuple
    deadline: float | None


class Lines(RuleBasedStateMachine):
    """Everybody who came is in exactly one place: in line, in an open batch, done, late or gone."""

    came = 0

    @initialize(cap=st.integers(1, 5), width=st.integers(1, 3))
    def _begin(self, cap, width):
        self.cap, self.width = cap, width
        self.line = QueryLine(Batching(cap, width))
        self.in_line, self.open, self.begun = [], [], []
        self.now = 0.0

    @rule(data=st.data())
    def arrive(self, data):
        size = data.draw(st.integers(1, self.cap))
        patience = data.draw(st.none() | st.floats(0.5, 5))
        asked = Asked(self.came, ("text",) * size, None if patience is None else self.now + patience)
        self.came += 1
        idle = len(self.open) < self.width
        # A lone query is never delayed, and a free place is given to who comes.
        assert self.line.arrive(asked) == idle
        if idle:
            self.open.append([asked])
            self.begun.append(asked.number)
        else:
            self.in_line.append(asked)

    @rule(seconds=st.floats(0.1, 4))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def a_batch_ends(self, data):
        self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        released = self.line.release(self.now)
        assert all(asked.deadline is not None and asked.deadline <= self.now for asked in released.late)
        assert all(asked.deadline is None or asked.deadline > self.now for asked in released.batch)
        assert sum(len(asked.texts) for asked in released.batch) <= self.cap
        self.in_line = [asked for asked in self.in_line if asked not in released.late]
        # The oldest go, and as many of them as fit.
        assert self.in_line[: len(released.batch)] == list(released.batch)
        self.in_line = self.in_line[len(released.batch) :]
        in_time = [asked for asked in self.in_line if asked.deadline is None or asked.deadline > self.now]
        if released.batch:
            self.open.append(list(released.batch))
            self.begun += [asked.number for asked in released.batch]
            room = self.cap - sum(len(asked.texts) for asked in released.batch)
            assert not in_time or len(in_time[0].texts) > room
        else:
            assert not in_time

    @precondition(lambda self: self.in_line)
    @rule(data=st.data())
    def one_goes(self, data):
        asked = self.in_line.pop(data.draw(st.integers(0, len(self.in_line) - 1)))
        assert self.line.withdraw(asked)
        assert not self.line.withdraw(asked)

    @invariant()
    def nobody_is_passed_over(self):
        if self.came:
            assert self.begun == sorted(self.begun)
            assert len(self.open) <= self.width
            assert not self.in_line or len(self.open) == self.width
            assert self.line.waiting == sum(len(asked.texts) for asked in self.in_line)


TestLines = Lines.TestCase


@given(st.lists(st.text(max_size=3), max_size=40), st.integers(1, 9))
def test_portions_are_a_callers_texts_in_order_and_fit_a_batch(texts, cap):
    portions = Batching(cap).portions(texts)
    assert [text for portion in portions for text in portion] == texts
    assert all(0 < len(portion) <= cap for portion in portions)
    assert len(portions) == -(-len(texts) // cap)


@pytest.mark.parametrize(("cap", "width"), [(0, 1), (1, 0), (-1, 2)])
def test_a_batch_of_nothing_is_misuse(cap, width):
    with pytest.raises(Misuse, match="at least one at a time"):
        Batching(cap, width)
