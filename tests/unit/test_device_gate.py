"""The gate between bulk work and queries, driven by real threads and no sleeping."""

import threading
import time

import pytest

from adapters.device_gate import DeviceGate

DEADLINE_S = 20


def until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.001)


class Visitors:
    """Threads that each take one turn and note their name; they leave when the door is opened."""

    def __init__(self, gate):
        self.gate = gate
        self.order = []
        self.door = threading.Event()
        self.threads = []

    def send(self, name, *, urgent):
        before, inside = sum(self.gate.waiting), len(self.order)
        thread = threading.Thread(target=self._visit, args=(name, urgent), daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: sum(self.gate.waiting) > before or len(self.order) > inside)

    def _visit(self, name, urgent):
        with self.gate.turn(urgent=urgent):
            self.order.append(name)
            assert self.door.wait(DEADLINE_S)

    def leave(self):
        self.door.set()
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def test_a_query_waits_for_the_running_micro_batch_only():
    visitors = Visitors(DeviceGate())
    visitors.send("bulk running", urgent=False)
    visitors.send("bulk 1", urgent=False)
    visitors.send("bulk 2", urgent=False)
    visitors.send("query", urgent=True)
    visitors.leave()
    assert visitors.order[:2] == ["bulk running", "query"]
    assert sorted(visitors.order[2:]) == ["bulk 1", "bulk 2"]


def test_a_stream_of_queries_does_not_stop_bulk_work():
    visitors = Visitors(DeviceGate(patience=3))
    visitors.send("first", urgent=True)
    visitors.send("bulk", urgent=False)
    for _ in range(8):
        visitors.send("query", urgent=True)
    visitors.leave()
    assert visitors.order.index("bulk") <= 4
    assert len(visitors.order) == 10


def test_only_one_turn_is_open_at_a_time():
    gate = DeviceGate()
    inside = []
    most = []

    def work(urgent):
        for _ in range(200):
            with gate.turn(urgent=urgent):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(number % 2 == 0,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert max(most) == 1
    assert len(most) == 1_200


def test_a_turn_that_fails_leaves_the_device_free():
    gate = DeviceGate()
    with pytest.raises(ValueError, match="broken"), gate.turn(urgent=False):
        raise ValueError("broken")
    with gate.turn(urgent=True):
        assert gate.waiting == (0, 0)


def test_a_wide_gate_lets_as_many_in_as_it_is_wide():
    visitors = Visitors(DeviceGate(width=2))
    for name in ("bulk 1", "bulk 2", "bulk 3"):
        visitors.send(name, urgent=False)
    assert visitors.order == ["bulk 1", "bulk 2"]
    assert visitors.gate.waiting == (0, 1)
    visitors.leave()
    assert visitors.order[2:] == ["bulk 3"]


def test_a_query_enters_a_wide_gate_beside_bulk_work_and_before_what_waits():
    visitors = Visitors(DeviceGate(width=2))
    visitors.send("bulk 1", urgent=False)
    visitors.send("query 1", urgent=True)
    assert visitors.order == ["bulk 1", "query 1"]
    visitors.send("bulk 2", urgent=False)
    visitors.send("query 2", urgent=True)
    visitors.leave()
    assert visitors.order[2] == "query 2"


def test_a_turn_may_be_ended_by_another_thread():
    gate = DeviceGate()
    gate.enter(urgent=False)
    thread = threading.Thread(target=gate.leave)
    thread.start()
    thread.join(DEADLINE_S)
    with gate.turn(urgent=True):
        assert gate.waiting == (0, 0)
