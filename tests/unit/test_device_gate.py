"""The gate between queries, live work and a replay, driven by real threads and no sleeping."""

import contextlib
import threading
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.device_gate import DeviceGate, Rank
from stream.errors import Misuse

DEADLINE_S = 20
QUERY, LIVE, REPLAY = Rank


def until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.001)


class HandClock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Visitors:
    """Threads that each take one turn and note their name; they leave when their door, or the one of all, opens."""

    def __init__(self, gate):
        self.gate = gate
        self.order = []
        self.doors = {}
        self.everybody = False
        self.threads = []

    def send(self, name, rank, *, whole=False):
        before, inside = sum(self.gate.waiting), len(self.order)
        self.doors[name] = threading.Event()
        thread = threading.Thread(target=self._visit, args=(name, rank, whole), daemon=True)
        self.threads.append(thread)
        thread.start()
        until(lambda: sum(self.gate.waiting) > before or len(self.order) > inside)

    def _visit(self, name, rank, whole):
        with self.gate.turn(rank, whole=whole):
            self.order.append(name)
            assert self.doors[name].wait(DEADLINE_S)

    def dismiss(self, name):
        """Ends one turn; its place is free, or another's, when this returns."""
        before = len(self.order)
        free = self.gate.free
        self.doors[name].set()
        until(lambda: self.gate.free > free or len(self.order) > before)

    def leave(self):
        for door in self.doors.values():
            door.set()
        for thread in self.threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def test_a_query_waits_for_the_running_micro_batch_only():
    visitors = Visitors(DeviceGate())
    visitors.send("bulk running", LIVE)
    visitors.send("bulk 1", LIVE)
    visitors.send("bulk 2", LIVE)
    visitors.send("query", QUERY)
    visitors.leave()
    assert visitors.order == ["bulk running", "query", "bulk 1", "bulk 2"]


def test_live_work_goes_before_a_replay_and_queries_before_both():
    visitors = Visitors(DeviceGate())
    visitors.send("running", REPLAY)
    visitors.send("replay", REPLAY)
    visitors.send("live", LIVE)
    visitors.send("query", QUERY)
    assert visitors.gate.waiting == (1, 1, 1)
    visitors.leave()
    assert visitors.order == ["running", "query", "live", "replay"]


def test_a_stream_of_queries_does_not_stop_bulk_work():
    visitors = Visitors(DeviceGate(patience=3))
    visitors.send("first", QUERY)
    visitors.send("bulk", LIVE)
    for number in range(8):
        visitors.send(f"query {number}", QUERY)
    visitors.leave()
    # The first came when nobody waited, so the row begins behind it.
    assert visitors.order.index("bulk") == 4
    assert len(visitors.order) == 10


def test_neither_queries_nor_live_work_stop_a_replay():
    visitors = Visitors(DeviceGate(patience=1))
    visitors.send("first", QUERY)
    visitors.send("r", REPLAY)
    for number in range(4):
        visitors.send(f"q{number}", QUERY)
        visitors.send(f"l{number}", LIVE)
    visitors.leave()
    assert visitors.order == ["first", "q0", "l0", "q1", "r", "q2", "l1", "q3", "l2", "l3"]


def shared_fairly(mine, others, patience):
    """In which order turns of a rank (True) and of those below it begin, where all of them wait from the start."""
    order = []
    while mine >= patience and others:
        order += [True] * patience + [False]
        mine, others = mine - patience, others - 1
    return order + [True] * mine + [False] * others


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(Rank), max_size=12), st.integers(1, 4))
def test_the_law_of_ranks(ranks, patience):
    visitors = Visitors(DeviceGate(patience=patience))
    visitors.send("first", QUERY)
    for number, rank in enumerate(ranks):
        visitors.send((rank, number), rank)
    visitors.leave()
    order = visitors.order[1:]
    for rank in Rank:
        numbers = [number for of, number in order if of is rank]
        assert numbers == sorted(numbers)
        # Turns of higher ranks are not its affair.
        mine = [of is rank for of, _ in order if of >= rank]
        assert mine == shared_fairly(mine.count(True), mine.count(False), patience)


def test_only_one_turn_is_open_at_a_time():
    gate = DeviceGate()
    inside = []
    most = []

    def work(rank):
        for _ in range(200):
            with gate.turn(rank):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in (*Rank, *Rank)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert max(most) == 1
    assert len(most) == 1_200


def test_a_turn_that_fails_leaves_the_device_free():
    gate = DeviceGate()
    with pytest.raises(ValueError, match="broken"), gate.turn(LIVE):
        raise ValueError("broken")
    with gate.turn(QUERY):
        assert gate.waiting == (0, 0, 0)


def test_a_wide_gate_lets_as_many_in_as_it_is_wide():
    visitors = Visitors(DeviceGate(width=2))
    for name in ("bulk 1", "bulk 2", "bulk 3"):
        visitors.send(name, LIVE)
    assert visitors.order == ["bulk 1", "bulk 2"]
    assert visitors.gate.waiting == (0, 1, 0)
    assert visitors.gate.free == 0
    visitors.leave()
    assert visitors.order[2:] == ["bulk 3"]
    assert visitors.gate.free == 2


def test_a_query_enters_a_wide_gate_beside_bulk_work_and_before_what_waits():
    visitors = Visitors(DeviceGate(width=2))
    visitors.send("bulk 1", LIVE)
    visitors.send("query 1", QUERY)
    assert visitors.order == ["bulk 1", "query 1"]
    visitors.send("bulk 2", LIVE)
    visitors.send("query 2", QUERY)
    visitors.leave()
    assert visitors.order[2] == "query 2"


def test_a_whole_turn_waits_for_all_places_and_is_not_overtaken_by_narrow_ones():
    visitors = Visitors(DeviceGate(width=2))
    visitors.send("narrow 1", LIVE)
    visitors.send("narrow 2", LIVE)
    visitors.send("whole", LIVE, whole=True)
    visitors.send("narrow 3", LIVE)
    visitors.dismiss("narrow 1")
    assert visitors.order == ["narrow 1", "narrow 2"]
    visitors.dismiss("narrow 2")
    assert visitors.order == ["narrow 1", "narrow 2", "whole"]
    assert visitors.gate.waiting == (0, 1, 0)
    visitors.leave()
    assert visitors.order[3:] == ["narrow 3"]


def test_a_turn_may_be_ended_by_another_thread():
    gate = DeviceGate()
    turn = gate.enter(LIVE)
    thread = threading.Thread(target=gate.leave, args=(turn,))
    thread.start()
    thread.join(DEADLINE_S)
    with gate.turn(QUERY):
        assert gate.waiting == (0, 0, 0)


# --- The replay's share ---------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.001, 100), st.floats(0.01, 3))
def test_a_replay_turn_begins_when_the_one_before_it_has_been_rested_for_and_not_before(share, took, part):
    clock = HandClock()
    gate = DeviceGate(clock=clock)
    gate.hold_replay_to(share)
    with gate.turn(REPLAY):
        clock.now += took
    rest = took * (1 / share - 1)
    waits = rest * part
    assume(abs(waits - rest) > 1e-6)  # what such a clock can tell apart
    clock.now += waits
    visitors = Visitors(gate)
    visitors.send("replay", REPLAY)
    assert (visitors.order == ["replay"]) == (waits > rest)
    clock.now += rest
    with gate.turn(LIVE) if not visitors.order else contextlib.nullcontext():
        """Whatever happens at a gate wakes who waits there."""
    visitors.leave()
    assert visitors.order == ["replay"]


def test_without_a_share_a_replay_does_not_rest():
    clock = HandClock()
    gate = DeviceGate(clock=clock)
    for _ in range(3):
        with gate.turn(REPLAY):
            clock.now += 5


def test_nobody_waits_for_a_replay_that_rests():
    clock = HandClock()
    gate = DeviceGate(patience=1, clock=clock)
    gate.hold_replay_to(0.5)
    with gate.turn(REPLAY):
        clock.now += 5
    visitors = Visitors(gate)
    visitors.send("replay", REPLAY)
    for number in range(5):
        visitors.send(f"live {number}", LIVE)
        visitors.send(f"query {number}", QUERY)
        for name in (f"live {number}", f"query {number}"):
            visitors.dismiss(name)
    assert "replay" not in visitors.order
    assert len(visitors.order) == 10
    clock.now += 5
    visitors.send("last", LIVE)
    visitors.leave()
    assert "replay" in visitors.order


def test_a_rest_ends_by_itself():
    gate = DeviceGate()
    gate.hold_replay_to(0.5)
    began = time.monotonic()
    with gate.turn(REPLAY):
        until(lambda: time.monotonic() > began + 0.02)
    ended = time.monotonic()
    visitors = Visitors(gate)
    visitors.send("replay", REPLAY)
    until(lambda: visitors.order == ["replay"])
    assert time.monotonic() >= ended
    visitors.leave()


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(Misuse, match="above 0 and at most 1"):
        DeviceGate().hold_replay_to(share)
