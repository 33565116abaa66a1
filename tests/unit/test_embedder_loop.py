import threading
import time
from dataclasses import replace

import pytest
from embedding_world import SOON_S, Gate, Loop, TroubledEncoder, TroubledIndex
from stream_world import LETTERS, PLACE, delete, outgoing, revision

from schemas.chunk_event import CHUNKING_HEADER, LINEAGE_HEADER
from stream.errors import Fatal, Outage

GARBAGE = b"\xff not JSON"


class NoWait:
    """Told to stop as the event is; waits for nothing."""

    def __init__(self, event):
        self.is_set = event.is_set

    def wait(self, timeout=None):
        return self.is_set()


def altered(event, **headers):
    """The event's record with other headers and a value that nobody can read."""
    made = outgoing(event)
    return replace(
        made, value=GARBAGE, headers=tuple((name, headers.get(name, value)) for name, value in made.headers)
    )


def test_published_revisions_become_searchable_and_their_offset_is_committed():
    with Loop() as loop:
        loop.publish(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta"), delete("docs/1", 3))
        loop.drain()
        assert loop.live == {"docs/2": ["beta"]}
        assert loop.committed == 3


def test_the_marker_behind_the_last_transaction_is_committed_so_that_lag_reaches_zero():
    with Loop() as loop:
        chunker = loop.broker.open_transactional("chunker")
        for number in range(2):
            loop.broker.append_in_transaction(
                "chunker", chunker, outgoing(revision(f"docs/{number}", number + 1, "alpha"))
            )
        loop.broker.end_transaction("chunker", chunker, committed=True)
        loop.drain()
        assert loop.committed == 3


def test_another_chunkings_events_are_dropped_unread_counted_and_committed():
    with Loop() as loop:
        other = "a" * 26
        loop.publish(
            *(altered(revision("docs/1", 1, "alpha"), **{CHUNKING_HEADER: other.encode()}) for _ in range(3))
        )
        loop.drain()
        assert (loop.live, loop.letters, loop.committed) == ({}, [], 3)
        assert loop.counted("mismatched", fingerprint=other) == 3
        assert loop.counted("events", outcome="mismatched") == 3


def test_another_lineages_events_are_dropped_unread_and_counted():
    with Loop() as loop:
        loop.publish(altered(revision("docs/1", 1, "alpha"), **{LINEAGE_HEADER: b"another"}))
        loop.drain()
        assert (loop.live, loop.letters) == ({}, [])
        assert loop.counted("events", outcome="other_lineage") == 1


def test_an_erased_document_is_ignored():
    with Loop() as loop:
        loop.publish(revision("docs/1", 1, "alpha"), replace(outgoing(revision("docs/1", 1)), value=None))
        loop.drain()
        assert loop.live == {"docs/1": ["alpha"]}
        assert loop.counted("events", outcome="ignored") == 1


def test_a_record_that_cannot_be_read_becomes_a_letter_and_its_neighbours_are_applied():
    with Loop() as loop:
        loop.publish(revision("docs/1", 1, "alpha"), altered(revision("docs/2", 2)), revision("docs/3", 3, "beta"))
        loop.drain()
        assert loop.live == {"docs/1": ["alpha"], "docs/3": ["beta"]}
        assert loop.letters == [(1, "undecodable", GARBAGE)]


def test_a_letter_of_the_poll_thread_that_cannot_be_sent_holds_back_the_commit():
    seen, away = [], [Outage("no broker") for _ in range(3)]

    def step(name):
        if name == f"produce {LETTERS.topic}":
            seen.append(loop.workload.committable())
            if away:
                raise away.pop()

    loop = Loop(step=step)
    with loop:
        loop.publish(altered(revision("docs/2", 2)))
        loop.drain()
    assert seen == [{}] * 4
    assert [offset for offset, *_ in loop.letters] == [0]


def test_while_a_letter_waits_polling_goes_on_and_nothing_more_is_read():
    away = [Outage("no broker")]

    def step(name):
        if name == f"produce {LETTERS.topic}" and away:
            raise away[0]

    with Loop(step=step) as loop:
        loop.publish(revision("docs/1", 1, "alpha"), altered(revision("docs/2", 2)))
        loop.until(lambda: loop.consumer._paused == {PLACE} and loop.live == {"docs/1": ["alpha"]})
        loop.publish(revision("docs/3", 3, "beta"))
        for _ in range(5):
            loop.turn()
        assert (loop.committed, loop.letters, set(loop.live)) == (1, [], {"docs/1"})
        away.clear()
        loop.drain()
        assert [offset for offset, *_ in loop.letters] == [1]
        assert set(loop.live) == {"docs/1", "docs/3"}


def test_a_process_that_stops_before_its_letter_is_sent_commits_nothing_of_it():
    stopping = threading.Event()

    def step(name):
        if name == f"produce {LETTERS.topic}":
            stopping.set()
            raise Outage("no broker")

    loop = Loop(step=step, stopping=stopping)
    loop.publish(revision("docs/1", 1, "alpha"), altered(revision("docs/2", 2)), revision("docs/3", 3, "beta"))
    loop.embedder.run(loop.consumer, loop.pipeline, stopping)
    assert loop.letters == []
    assert loop.committed in (None, 1)
    with Loop(broker=loop.broker) as successor:
        successor.drain()
        assert [offset for offset, *_ in successor.letters] == [1]


def test_leaving_the_group_drains_what_is_in_flight_and_commits_it():
    gate = Gate()
    with Loop(encoder=TroubledEncoder(before=gate)) as loop:
        loop.publish(revision("docs/1", 1, "alpha"))
        loop.until(gate.reached.is_set)
        opener = threading.Timer(0.05, gate.opened.set)
        opener.start()
        loop.consumer.close()
        opener.join()
        assert loop.live == {"docs/1": ["alpha"]}
        assert loop.committed == 1


def test_what_does_not_finish_within_the_deadline_is_left_to_the_next_owner():
    gate = Gate()
    with Loop(encoder=TroubledEncoder(before=gate), drain_deadline_s=0.0) as loop:
        loop.publish(revision("docs/1", 1, "alpha"))
        loop.until(gate.reached.is_set)
        loop.consumer.close()
        assert loop.committed is None
        gate.opened.set()
    with Loop(broker=loop.broker, index=loop.index) as successor:
        successor.drain()
        assert successor.live == {"docs/1": ["alpha"]}


def test_lost_partitions_are_dropped_and_nothing_is_committed():
    gate = Gate()
    with Loop(encoder=TroubledEncoder(before=gate)) as loop:
        loop.publish(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta"))
        loop.until(gate.reached.is_set)
        loop.consumer.evict()
        other = Loop(broker=loop.broker)
        other.turn()
        loop.turn()
        assert (loop.workload.partitions(), loop.committed) == ([], None)
        gate.opened.set()
        loop.until(lambda: loop.workload.idle)
        assert loop.index.written == 0
        assert loop.committed is None


def test_letters_of_lost_partitions_are_their_next_owners():
    away = [Outage("no broker")]

    def step(name):
        if name == f"produce {LETTERS.topic}" and away:
            raise away[0]

    loop = Loop(step=step)
    loop.publish(altered(revision("docs/1", 1)))
    loop.turn()
    loop.consumer.evict()
    other = Loop(broker=loop.broker)
    other.drain()
    away.clear()
    loop.turn()
    assert [offset for offset, *_ in loop.letters] == [0]


def test_a_partition_that_was_lost_and_comes_back_is_read_again_and_applied_once():
    gate = Gate()
    with Loop(encoder=TroubledEncoder(before=gate)) as loop:
        loop.publish(revision("docs/1", 1, "alpha"))
        loop.until(gate.reached.is_set)
        loop.consumer.evict()
        loop.turn()
        assert not loop.workload.idle
        gate.opened.set()
        loop.drain()
        assert loop.live == {"docs/1": ["alpha"]}
        assert loop.counted("events", outcome="applied") == 1


def test_a_backlog_above_its_bound_pauses_and_a_worked_off_one_resumes():
    gate = Gate()
    with Loop(encoder=TroubledEncoder(before=gate), backlog_tokens=20) as loop:
        loop.publish(*(revision(f"docs/{number}", number + 1, "word " * 8) for number in range(10)))
        loop.until(lambda: loop.consumer._paused == {PLACE})
        assert loop.metrics.registry.get_sample_value("embedstream_paused_partitions") == 1
        loop.publish(revision("docs/late", 11, "late"))
        loop.turn()
        assert loop.workload.oldest_ts_ms is not None
        gate.opened.set()
        loop.drain()
        assert loop.consumer._paused == set()
        assert len(loop.live) == 11


def test_the_index_is_flushed_before_the_offset_is_committed_and_not_each_turn():
    order = []
    loop = Loop(step=order.append)
    loop.index.calls = order
    with loop:
        loop.publish(revision("docs/1", 1, "alpha"))
        loop.drain()
        assert order[-2:] == ["flush", "commit offsets"]
        # What is erased is done at once, and yet its commit waits for the next interval.
        loop.publish(replace(outgoing(revision("docs/2", 2)), value=None))
        for _ in range(5):
            loop.embedder.turn(500, 0.0)
        assert loop.workload.committable() == {PLACE: 2}
        assert order.count("commit offsets") == 1
        loop.turn()
        assert order.count("commit offsets") == order.count("flush") == 2


def test_nothing_is_committed_that_could_not_be_flushed():
    with Loop(index=TroubledIndex(failures={"flush": [Outage("no disk")]})) as loop:
        loop.publish(revision("docs/1", 1, "alpha"))
        with pytest.raises(Outage, match="no disk"):
            loop.drain()
        assert loop.committed is None
        loop.drain()
        assert loop.index.calls.count("write") == 1


class Moving:
    """A consumer whose group does not take its first commits."""

    def __init__(self, consumer, refusals):
        self._consumer, self._refusals = consumer, refusals

    def commit(self, offsets):
        self._refusals -= 1
        return () if self._refusals >= 0 else self._consumer.commit(offsets)

    def __getattr__(self, name):
        return getattr(self._consumer, name)


def test_what_the_group_did_not_take_is_committed_later_though_nothing_more_comes():
    with Loop() as loop:
        loop.embedder._consumer = Moving(loop.consumer, refusals=2)
        loop.publish(revision("docs/a", 1, "Alpha."))
        loop.until(lambda: loop.committed == 1)


def test_an_outage_of_any_length_dead_letters_nothing_and_drains_afterwards():
    away = {"read": [Outage("no index")] * 2, "write": [Outage("no index")] * 2, "flush": [Outage("no index")] * 4}
    stopping = threading.Event()
    loop = Loop(index=TroubledIndex(failures=away), stopping=stopping)
    loop.publish(*(revision(f"docs/{number}", number + 1, f"word {number}") for number in range(9)))
    runner = threading.Thread(target=loop.embedder.run, args=(loop.consumer, loop.pipeline, NoWait(stopping), 3, 0.0))
    runner.start()
    give_up = time.monotonic() + SOON_S
    while loop.committed != 9 and runner.is_alive() and time.monotonic() < give_up:
        loop.clock.seconds += 1.0
        stopping.wait(0.002)
    stopping.set()
    runner.join(SOON_S)
    assert (loop.committed, loop.letters, len(loop.live)) == (9, [], 9)


def test_a_stage_that_fails_for_good_stops_the_loop():
    loop = Loop(encoder=TroubledEncoder(failures=[Fatal("The device is broken.")]))
    loop.publish(revision("docs/1", 1, "alpha"))
    with pytest.raises(Fatal, match="broken"):
        loop.embedder.run(loop.consumer, loop.pipeline, threading.Event(), 10, 0.0)
    loop.consumer.close()
    assert loop.committed is None


def test_what_is_looked_at_now_and_then_may_stop_the_loop():
    def lineage_changed():
        raise Fatal("The lineage changed.")

    loop = Loop(every_while=lineage_changed)
    with pytest.raises(Fatal, match="lineage"):
        loop.embedder.run(loop.consumer, loop.pipeline, threading.Event(), 10, 0.0)
