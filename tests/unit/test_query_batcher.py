"""Queries of many threads over an encoder whose progress the test controls. Nothing sleeps."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batcher import QueryBatcher, _Portion
from stream.errors import Fatal, Late, Outage, Poison
from stream.points import DenseVector
from stream.ports import DeviceFull
from stream.query_batch import Batching

DEADLINE_S = 20


def until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.001)


class Device:
    """An encoder that lets one call go on for each ``permit``; a text's vector is its number. Texts may fail."""

    def __init__(self, *, waiting=True, failures=None):
        self.calls = []
        self.inside = self.most_inside = 0
        self.failures = failures or {}
        self.lock = threading.Lock()
        self.permits = threading.Semaphore(0 if waiting else 10**6)

    def encode(self, kind, texts):
        assert kind == "query"
        with self.lock:
            self.calls.append(list(texts))
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            assert self.permits.acquire(timeout=DEADLINE_S)
            for text in texts:
                if text in self.failures:
                    raise self.failures[text]
            return [DenseVector(np.array([float(text)], dtype=np.float32)) for text in texts]
        finally:
            with self.lock:
                self.inside -= 1

    def permit(self, calls=1):
        self.permits.release(calls)


class Callers:
    """Threads that ask; each one's answer or error is kept under its name."""

    def __init__(self, batcher, device):
        self.batcher, self.device = batcher, device
        self.answers = {}
        self.threads = []

    def ask(self, name, texts, deadline=None):
        """Returns when the caller's first portion is on the device or in line, or the caller was answered."""
        before, calls = self.batcher.waiting, len(self.device.calls)
        thread = threading.Thread(target=self._ask, args=(name, texts, deadline), daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: self.batcher.waiting > before or len(self.device.calls) > calls or name in self.answers)

    def _ask(self, name, texts, deadline):
        try:
            self.answers[name] = [int(vector.values[0]) for vector in self.batcher.encode(texts, deadline)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            self.answers[name] = error
        except KeyboardInterrupt:
            self.answers[name] = "interrupted"

    def finish(self):
        self.device.permit(10_000)
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def world(cap=8, width=1, clock=time.monotonic, **options):
    device = Device(**options)
    batcher = QueryBatcher(device, Batching(cap, width), clock)
    return device, batcher, Callers(batcher, device)


def test_a_lone_query_starts_at_once():
    device, batcher, _ = world(waiting=False)
    assert [vector.values[0] for vector in batcher.encode(["7"])] == [7]
    assert device.calls == [["7"]]
    assert batcher.encode([]) == []


def test_what_arrives_while_the_device_is_busy_goes_together_in_the_order_of_arrival():
    device, batcher, callers = world()
    for name in range(5):
        callers.ask(name, [str(name)])
    assert batcher.waiting == 4
    assert device.calls == [["0"]]
    callers.finish()
    assert device.calls == [["0"], ["1", "2", "3", "4"]]
    assert callers.answers == {name: [name] for name in range(5)}
    assert batcher.waiting == 0


def test_as_many_calls_run_at_once_as_the_device_is_wide():
    device, batcher, callers = world(width=2)
    for name in range(4):
        callers.ask(name, [str(name)])
    assert device.calls == [["0"], ["1"]]
    assert batcher.waiting == 2
    callers.finish()
    assert device.calls[2:] == [["2", "3"]]
    assert device.most_inside == 2


def test_others_have_their_turn_between_two_portions_of_a_long_list():
    device, batcher, callers = world(cap=2)
    callers.ask("long", ["1", "2", "3", "4", "5"])
    callers.ask("short", ["9"])
    device.permit()
    until(lambda: len(device.calls) == 2 and batcher.waiting == 2)
    callers.finish()
    assert device.calls == [["1", "2"], ["9"], ["3", "4"], ["5"]]
    assert callers.answers == {"long": [1, 2, 3, 4, 5], "short": [9]}


@settings(max_examples=40, deadline=None)
@given(
    lists=st.lists(st.integers(0, 7), min_size=1, max_size=8),
    cap=st.integers(1, 5),
    width=st.integers(1, 3),
    permits=st.lists(st.booleans(), max_size=8),
)
def test_every_caller_gets_the_vectors_of_its_own_texts_in_order(lists, cap, width, permits):
    device, _batcher, callers = world(cap, width)
    wanted = {}
    for name, size in enumerate(lists):
        wanted[name] = list(range(10 * name, 10 * name + size))
        callers.ask(name, [str(number) for number in wanted[name]])
        if name < len(permits) and permits[name]:
            device.permit()
    callers.finish()
    assert callers.answers == wanted
    assert device.most_inside <= width
    assert all(0 < len(call) <= cap for call in device.calls)


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 3), failing=st.sets(st.integers(0, 7)), cap=st.integers(1, 8))
def test_a_poison_text_fails_its_own_caller_alone(width, failing, cap):
    poison = {str(name): Poison("lone-surrogate", f"Text {name} cannot be encoded.") for name in failing}
    _, _, callers = world(cap, width, failures=poison)
    for name in range(8):
        callers.ask(name, [str(name)])
    callers.finish()
    for name, answer in callers.answers.items():
        assert answer == (poison[str(name)] if name in failing else [name])
    assert len(callers.answers) == 8


@pytest.mark.parametrize(
    "failure", [DeviceFull("full"), Fatal("The device failed."), Outage("The encoder is away."), RuntimeError("bug")]
)
def test_whatever_else_is_raised_reaches_every_caller_of_that_call_and_no_other(failure):
    device, _, callers = world(cap=2, failures={"1": failure})
    for name in range(5):
        callers.ask(name, [str(name)])
    callers.finish()
    assert device.calls == [["0"], ["1", "2"], ["3", "4"]]
    assert callers.answers == {0: [0], 1: failure, 2: failure, 3: [3], 4: [4]}


def test_an_interrupted_call_leaves_its_place_and_nobody_waiting():
    _, _, callers = world(cap=2, failures={"1": KeyboardInterrupt()})
    for name in range(4):
        callers.ask(name, [str(name)])
    callers.finish()
    assert callers.answers[1] == "interrupted"
    assert isinstance(callers.answers[2], Outage)
    assert (callers.answers[0], callers.answers[3]) == ([0], [3])


class InterruptedWait(threading.Event):
    """A wait that a signal ends, when its turn has come or before."""

    def __init__(self, *, after):
        super().__init__()
        self.after = after

    def wait(self, timeout=None):
        if self.after:
            super().wait(timeout)
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [True, False])
def test_a_caller_that_is_interrupted_in_line_does_not_take_the_turn_of_others_with_it(after):
    device, batcher, callers = world()
    callers.ask("running", ["0"])
    portion = _Portion(["1"], None, InterruptedWait(after=after))
    assert not batcher._line.arrive(portion)
    callers.ask("behind", ["2"])
    device.permit()
    with pytest.raises(KeyboardInterrupt):
        batcher._turn(portion)
    callers.finish()
    assert device.calls == [["0"], ["2"]]
    assert callers.answers == {"running": [0], "behind": [2]}
    assert batcher._line.arrive(portion)


def test_an_interrupted_caller_with_nobody_behind_it_leaves_the_place_free():
    device, batcher, callers = world()
    callers.ask("running", ["0"])
    portion = _Portion(["1"], None, InterruptedWait(after=True))
    assert not batcher._line.arrive(portion)
    device.permit()
    with pytest.raises(KeyboardInterrupt):
        batcher._turn(portion)
    callers.finish()
    assert batcher._line.arrive(portion)


# --- Deadlines ------------------------------------------------------------------------------------------------------


def test_who_is_late_when_the_turn_comes_is_told_so_and_not_encoded():
    now = [100.0]
    device, _, callers = world(clock=lambda: now[0])
    callers.ask("running", ["0"])
    callers.ask("late", ["1"], deadline=1_000.0)
    callers.ask("in time", ["2"], deadline=3_000.0)
    now[0] = 2_000.0
    callers.finish()
    assert device.calls == [["0"], ["2"]]
    assert isinstance(callers.answers["late"], Late)
    assert callers.answers["in time"] == [2]


def test_who_is_late_hears_it_while_the_device_is_still_busy():
    device, batcher, callers = world()
    callers.ask("running", ["0"])
    callers.ask("late", ["1"], deadline=time.monotonic() + 0.01)
    until(lambda: "late" in callers.answers)
    assert isinstance(callers.answers["late"], Late)
    assert batcher.waiting == 0
    assert "running" not in callers.answers
    callers.finish()
    assert device.calls == [["0"]]


def test_who_comes_too_late_is_not_encoded_even_by_an_idle_device():
    device, batcher, _ = world(waiting=False)
    with pytest.raises(Late, match="Ask again"):
        batcher.encode(["1"], deadline=time.monotonic())
    assert device.calls == []
    assert batcher.encode(["1"], deadline=float("inf"))[0].values[0] == 1


def test_a_call_that_began_in_time_is_finished():
    now = [100.0]
    _, _, callers = world(clock=lambda: now[0])
    callers.ask("began", ["0"], deadline=101.0)
    now[0] = 200.0
    callers.finish()
    assert callers.answers == {"began": [0]}


# --- The end --------------------------------------------------------------------------------------------------------


def test_no_thread_is_left_behind():
    before = threading.active_count()
    _, _batcher, callers = world(cap=2)
    for name in range(6):
        callers.ask(name, [str(name)])
    callers.finish()
    until(lambda: threading.active_count() == before)
