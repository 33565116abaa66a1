"""The open loop: arrivals that wait for nobody, under a clock that the test holds."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.demo.freshness import Freshness, OpenLoop, arrivals, keep_schedule, summary
from stream.errors import Fatal


class HeldClock:
    """Time passes only where somebody waits or works."""

    def __init__(self):
        self.time = 100.0
        self.waits = []

    def now(self):
        return self.time

    def wait(self, seconds):
        self.waits.append(seconds)
        self.time += seconds
        return False


def made_at(clock, due, work_s):
    """When each update is made, if making the n-th takes ``work_s[n]`` seconds."""
    times = []

    def make(number):
        times.append(round(clock.now() - 100.0, 6))
        clock.time += work_s[number]

    keep_schedule(due, make, clock.now, clock.wait)
    return times


def test_arrivals_are_evenly_spaced_and_end_with_their_number():
    assert arrivals(4, 5.0, 30.0) == [0.0, 0.2, 0.4, 0.6]


def test_arrivals_end_with_the_time_where_that_is_first():
    assert arrivals(150, 5.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert len(arrivals(150, 5.0, 30.0)) == 150


def test_updates_are_made_when_they_are_due():
    assert made_at(HeldClock(), [0.0, 0.2, 0.4], [0.05] * 3) == [0.0, 0.2, 0.4]


def test_a_slow_update_delays_none_but_those_that_were_due_meanwhile():
    assert made_at(HeldClock(), [0.0, 0.2, 0.4, 0.6, 0.8], [0.5, 0.01, 0.01, 0.01, 0.01]) == [
        0.0,
        0.5,
        0.51,
        0.6,
        0.8,
    ]


def test_a_schedule_ends_when_it_is_told_to():
    clock, made = HeldClock(), []
    keep_schedule([0.0, 0.2, 0.4], made.append, clock.now, lambda _: True)
    assert made == [0]


@given(st.lists(st.floats(0, 2), min_size=1, max_size=30))
def test_nothing_is_early_and_nothing_waits_once_it_is_due(work_s):
    due = arrivals(len(work_s), 5.0, 1e9)
    times = made_at(HeldClock(), due, work_s)
    free = 0.0
    for at, when, work in zip(times, due, work_s, strict=True):
        assert at == pytest.approx(max(when, free), abs=1e-4)
        free = at + work


def test_percentiles_are_figures_that_were_measured():
    assert summary([n / 1000 for n in range(1, 101)]) == Freshness(50.0, 95.0, 99.0, 100)
    assert summary([0.25]) == Freshness(250.0, 250.0, 250.0, 1)
    assert summary([0.3, 0.1, 0.2]) == Freshness(200.0, 300.0, 300.0, 3)


def test_nothing_measured_has_no_percentiles():
    with pytest.raises(ValueError, match="no update"):
        summary([])


class Stream:
    """Makes an update searchable ``age`` looks after its commit; each commit takes a second of the held time."""

    def __init__(self, age):
        self.age = age
        self.committed = {}
        self.looks = 0
        self.lock = threading.Lock()

    def now(self):
        return float(self.looks)

    def commit(self, update):
        with self.lock:
            self.committed[update] = self.looks
            return float(self.looks)

    def searchable(self, waiting):
        with self.lock:
            self.looks += 1
            return [update for update in waiting if self.looks - self.committed[update] >= self.age]


def test_each_update_is_measured_from_its_own_commit():
    stream = Stream(age=3)
    progress = []
    loop = OpenLoop(["a", "b", "c"], stream.commit, stream.searchable, stream.now)
    ages = loop.run([0.0, 0.0, 0.0], progress.append)
    assert ages == [3.0, 3.0, 3.0]
    assert progress[-1] == 3


def test_a_second_update_is_made_while_the_first_is_not_searchable():
    made = []
    both = threading.Event()

    def commit(update):
        made.append(update)
        if len(made) == 2:
            both.set()
        return 0.0

    loop = OpenLoop(["a", "b"], commit, lambda waiting: waiting if both.is_set() else [], lambda: 1.0)
    assert loop.run([0.0, 0.01]) == [1.0, 1.0]
    assert made == ["a", "b"]


def test_an_update_that_never_becomes_searchable_ends_it_with_a_sentence():
    times = iter(range(0, 10**9, 30))
    loop = OpenLoop(["a"], lambda _: 0.0, lambda _: [], lambda: float(next(times)))
    with pytest.raises(Fatal, match="not searchable 60 s after its commit"):
        loop.run([0.0])


def test_a_writer_that_fails_ends_it_with_its_own_error():
    def commit(_update):
        raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="the database is gone"):
        OpenLoop(["a"], commit, lambda waiting: waiting, lambda: 0.0).run([0.0])
