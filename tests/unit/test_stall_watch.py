"""When a partition is found to stand still: behind its end for the patience, silent, and not paused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.stalls import StallWatch
from stream.ports import Partition

ONE, OTHER = Partition("docs", 0), Partition("docs", 1)
PATIENCE_S = 10.0


class Watched:
    """A partition that is read from offset 5 on, by somebody who looks once a second."""

    def __init__(self):
        self.watch = StallWatch(PATIENCE_S)
        self.now = 0.0
        self.watch.start(ONE, 5, self.now)
        self.watch.to_ask(self.now)
        self.asked = []
        """Moment and answer of each question."""

    def until(self, moment, end):
        """Looks until then, while committed records end there; whether it was found to stand."""
        found = False
        while self.now < moment:
            self.now += 1.0
            partition = self.watch.to_ask(self.now)
            if partition is not None:
                found = self.watch.stands(partition, end, self.now)
                self.asked.append(self.now)
                if found:
                    return True
        return found


@pytest.fixture
def watched():
    return Watched()


def test_one_that_was_behind_its_end_for_the_patience_stands(watched):
    assert not watched.until(19.0, 6)
    assert watched.until(20.0, 6)
    assert watched.asked == [10.0, 20.0]


def test_one_at_its_end_does_not_stand_however_long(watched):
    assert not watched.until(35.0, 5)
    # Nor one behind an end that is new since the last question.
    assert not watched.until(40.0, 6)
    watched.watch.moved(ONE, 6, 41.0)
    assert not watched.until(90.0, 6)


@pytest.mark.parametrize(
    "happens",
    [
        lambda watch: watch.moved(ONE, 6, 15.0),
        lambda watch: watch.start(ONE, 0, 15.0),
        lambda watch: watch.pause([ONE]),
        lambda watch: (watch.pause([ONE]), watch.resume([ONE], 15.0)),
        lambda watch: watch.forget([ONE]),
    ],
    ids=["moved", "rewound", "paused", "resumed", "left"],
)
def test_whatever_happened_meanwhile_begins_the_patience_anew(watched, happens):
    watched.until(15.0, 9)
    happens(watched.watch)
    watched.until(24.0, 9)
    assert watched.asked == [10.0]


def test_time_in_which_nobody_looked_does_not_count(watched):
    watched.until(11.0, 9)
    watched.now = 40.0
    assert not watched.until(50.0, 9)
    assert watched.asked == [10.0]
    assert watched.until(61.0, 9)


def test_a_question_without_an_answer_says_nothing_and_is_not_repeated_soon(watched):
    watched.watch.start(OTHER, 0, 0.0)
    watched.until(20.0, None)
    assert watched.asked == [10.0]
    assert watched.until(60.0, 9)


def test_what_was_behind_before_a_question_without_an_answer_is_behind_still(watched):
    watched.until(19.0, 9)
    watched.until(20.0, None)
    assert watched.until(31.0, 9)
    assert watched.asked == [10.0, 20.0, 31.0]


def test_the_longest_silent_is_asked_for_first_and_not_all_at_once(watched):
    watched.watch.start(OTHER, 0, -1.0)
    watched.until(9.0, 0)
    assert watched.asked == [9.0]
    assert watched.watch.to_ask(9.5) is None
    assert watched.watch.to_ask(10.0) == ONE


def test_one_that_reading_anew_does_not_move_is_left_alone_for_longer_each_time(watched):
    found = []
    while len(found) < 4:
        if watched.until(watched.now + 1.0, 9):
            found.append(watched.now)
            watched.watch.forget([ONE])
            watched.watch.start(ONE, 5, watched.now)
    assert found == [20.0, 60.0, 140.0, 300.0]
    watched.watch.moved(ONE, 6, 300.0)
    assert watched.until(320.0, 9)


@given(st.lists(st.integers(0, 3), max_size=60))
def test_one_that_hands_over_what_there_was_before_the_next_question_never_stands(arrivals):
    watch, end, reached = StallWatch(PATIENCE_S), 0, 0
    watch.start(ONE, 0, 0.0)
    for number, more in enumerate(arrivals):
        now = number * 4.0
        partition = watch.to_ask(now)
        if partition is not None:
            if reached < end:
                reached = end
                watch.moved(ONE, reached, now)
            end += more
            assert not watch.stands(partition, end, now)
