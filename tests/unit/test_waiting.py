"""Waiting for what only others can bring about, and over outages."""

import threading
import time

import pytest

from compose.deployment import SystemClock
from compose.waiting import outlasting, wait_until
from stream.errors import Fatal, Misuse, Outage


def failing(*errors):
    """A call that raises these, one after another, and then answers."""
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return "answer"

    return call


def test_outages_are_outlasted_and_told_once(caplog):
    assert outlasting(failing(Outage("away."), Outage("still away.")), 60) == "answer"
    assert caplog.messages == ["Tried again: away."]


def test_what_asks_for_a_time_gets_it():
    began = time.monotonic()
    assert outlasting(failing(Outage("busy.", 0.5)), 60) == "answer"
    assert time.monotonic() - began >= 0.5


def test_other_errors_pass_through_at_once_but_for_those_that_are_named():
    with pytest.raises(Fatal, match="broken"):
        outlasting(failing(Fatal("broken.")), 60)
    assert outlasting(failing(Misuse("held.")), 60, besides=(Misuse,)) == "answer"


def test_an_outage_that_lasts_is_raised_in_the_end():
    with pytest.raises(Outage, match="away"):
        outlasting(failing(*[Outage("away.")] * 1000), 0.3)


def test_a_condition_is_asked_for_until_the_deadline_or_until_told_to_stop():
    answers = iter([False, True])
    assert wait_until(lambda: next(answers), time.monotonic() + 60)
    assert not wait_until(lambda: False, time.monotonic() - 1)
    stopping = threading.Event()
    stopping.set()
    assert not wait_until(lambda: False, time.monotonic() + 60, stopping)


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_a_plan_ages_while_the_machine_sleeps():
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= SystemClock().monotonic() <= time.clock_gettime(time.CLOCK_BOOTTIME)
