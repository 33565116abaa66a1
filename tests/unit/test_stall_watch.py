"""When a partition is found to stand still: behind its end for the patience, silent, and not paused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka.stalls import StallWatch
from stream.ports import Partition

ONE, OTHER = Partition("docs", 0), Partition("docs", 1)
PATIENCE_S = 10.0


@pytest.fixture
def watch():
    watch = StallWatch(PATIENCE_S)
    watch.start(ONE, 5, 0.0)
    return watch


def asked(watch, now, end):
    """Whether it stands, after a question at that moment; None where nothing is to be asked."""
    partition = watch.to_ask(now)
    return None if partition is None else watch.stands(partition, end, now)


def test_one_that_was_behind_its_end_for_the_patience_stands(watch):
    assert asked(watch, 9.9, 6) is None
    assert asked(watch, 10.0, 6) is False
    assert asked(watch, 19.9, 6) is None
    assert asked(watch, 20.0, 6) is True


def test_one_at_its_end_does_not_stand_however_long(watch):
    assert [asked(watch, now, 5) for now in (10.0, 20.0, 30.0)] == [False] * 3
    # Nor one behind an end that is new since the last question.
    assert asked(watch, 40.0, 6) is False
    watch.moved(ONE, 6, 41.0)
    assert [asked(watch, now, 6) for now in (51.0, 61.0)] == [False] * 2


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
def test_whatever_happened_meanwhile_begins_the_patience_anew(watch, happens):
    assert asked(watch, 10.0, 9) is False
    happens(watch)
    assert asked(watch, 20.0, 9) is None


def test_a_question_without_an_answer_says_nothing(watch):
    assert [asked(watch, now, end) for now, end in ((10.0, 9), (20.0, None), (30.0, 9))] == [False] * 3
    assert asked(watch, 40.0, 9) is True


def test_the_longest_silent_is_asked_for_first_and_not_all_at_once(watch):
    watch.start(OTHER, 0, -1.0)
    assert watch.to_ask(10.0) == OTHER
    watch.stands(OTHER, 0, 10.0)
    assert watch.to_ask(10.5) is None
    assert watch.to_ask(11.0) == ONE


def test_one_that_reading_anew_does_not_move_is_left_alone_for_longer_each_time(watch):
    now, found = 0.0, []
    while len(found) < 4:
        now += 1.0
        if asked(watch, now, 9):
            found.append(now)
            watch.forget([ONE])
            watch.start(ONE, 5, now)
    assert found == [20.0, 60.0, 140.0, 300.0]
    watch.moved(ONE, 6, 300.0)
    assert [asked(watch, 310.0, 9), asked(watch, 320.0, 9)] == [False, True]


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 3)), max_size=40))
def test_one_that_hands_over_what_there_was_before_the_next_question_never_stands(steps):
    watch, now, end, reached = StallWatch(PATIENCE_S), 0.0, 0, 0
    watch.start(ONE, 0, now)
    for seconds, more in steps:
        now += seconds
        if reached < end:
            watch.moved(ONE, end, now)
        reached, end = end, end + more
        assert not asked(watch, now, end)
