"""What runs beside the poll thread ends when it is told to, goes on after an outage, and tells what ended it."""

import threading
import time

import pytest

from compose.background import Background
from compose.waiting import wait_until
from stream.errors import Fatal, Outage

SOON_S = 20.0


def soon(condition):
    return wait_until(condition, time.monotonic() + SOON_S)


def test_turns_are_taken_until_it_is_stopped():
    turns = []
    background = Background("test", lambda: turns.append(1), 0.001)
    background.start()
    assert soon(lambda: len(turns) > 3)
    background.stop()
    taken = len(turns)
    background.check()
    assert len(turns) == taken


def test_an_outage_ends_nothing():
    turns = []

    def turn():
        turns.append(1)
        raise Outage("away")

    background = Background("test", turn, 0.001)
    background.start()
    assert soon(lambda: len(turns) > 3)
    background.check()
    background.stop()


@pytest.mark.parametrize("failure", [Fatal("no more"), ValueError("unforeseen")], ids=repr)
def test_what_ends_it_is_raised_where_it_is_asked_for(failure, caplog):
    def turn():
        raise failure

    background = Background("test", turn, 0.001)
    background.start()

    def has_failed():
        try:
            background.check()
        except type(failure):
            return True
        return False

    assert soon(has_failed)
    background.stop()
    with pytest.raises(type(failure)):
        background.check()
    told = any("the test failed" in record.message for record in caplog.records)
    assert told == isinstance(failure, ValueError), "a sentence for a person needs no traceback"


def test_where_there_is_nothing_to_do_nothing_is_started():
    background = Background("test", lambda: pytest.fail("it was started"), None)
    background.start()
    background.check()
    background.stop()


def test_waiting_ends_with_the_answer_the_deadline_or_the_stop():
    stopping = threading.Event()
    assert wait_until(lambda: True, time.monotonic() - 1)
    assert not wait_until(lambda: False, time.monotonic() - 1)
    stopping.set()
    assert not wait_until(lambda: False, time.monotonic() + SOON_S, stopping)
