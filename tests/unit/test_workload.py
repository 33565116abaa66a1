import threading

import pytest
from stream_world import PLACE, delete, record, revision

from consumers.workload import Workload
from stream.ports import Committed, Partition, Record

OTHER = Partition("kb.chunks", 1)
SOON_S = 20.0


@pytest.fixture
def workload():
    made = Workload()
    made.assign([PLACE, OTHER], {})
    return made


def arrive(workload, event, offset, place=PLACE):
    made = record(event, offset)
    workload.arrive(Record(place, offset, made.key, made.value, made.headers), event)


def pass_by(workload, offset, place=PLACE):
    workload.arrive(Record(place, offset, b"k", b"v"), None)


def take(workload, budget=1_000):
    return workload.take(budget)


def in_thread(call):
    """Calls it in a thread; the result is awaited with ``result()``."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()

    def result():
        thread.join(SOON_S)
        assert found, "it did not return"
        return found[0]

    return result


def test_only_what_is_done_without_a_gap_may_be_committed(workload):
    for offset in range(3):
        arrive(workload, revision(f"docs/{offset}", offset + 1, "alpha"), offset)
    first, second, third = take(workload)
    workload.finish(third)
    workload.finish(second)
    assert workload.committable() == {}
    workload.finish(first)
    assert workload.committable() == {PLACE: 3}


def test_what_passes_by_is_done_at_once(workload):
    pass_by(workload, 0)
    pass_by(workload, 5)
    assert workload.committable() == {PLACE: 6}


def test_markers_at_the_end_are_committed_once_nothing_is_open(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    workload.reach({PLACE: 2, Partition("kb.chunks", 7): 9})
    (only,) = take(workload)
    assert workload.committable() == {}
    workload.finish(only)
    assert workload.committable() == {PLACE: 2}


def test_what_is_committed_is_not_committed_again(workload):
    pass_by(workload, 0)
    workload.committed({PLACE: 1})
    assert workload.committable() == {}


def test_a_partition_goes_on_behind_its_committed_offset():
    workload = Workload()
    workload.assign([PLACE], {PLACE: Committed(7)})
    assert workload.committable() == {}
    pass_by(workload, 7)
    assert workload.committable() == {PLACE: 8}


def test_a_document_has_one_revision_in_flight_and_takes_them_in_order(workload):
    for offset in range(3):
        arrive(workload, revision("docs/1", offset + 1, "alpha"), offset)
    arrive(workload, revision("docs/2", 9, "alpha"), 8)
    first, other = take(workload)
    assert (first.event.version, other.event.doc_id) == (1, "docs/2")
    for version in (2, 3):
        workload.finish(first)
        (first,) = take(workload)
        assert first.event.version == version


def test_the_planner_waits_for_a_revision_and_for_nothing_else(workload):
    taken = in_thread(lambda: take(workload))
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    assert [one.event.doc_id for one in taken()] == ["docs/1"]


def test_the_planner_hears_of_the_end():
    workload = Workload()
    taken = in_thread(lambda: take(workload))
    workload.close()
    assert taken() == []


def test_a_revision_of_an_earlier_assignment_leaves_the_present_progress_alone(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    (late,) = take(workload)
    workload.release([PLACE])
    workload.assign([PLACE], {})
    assert not workload.owned(late)
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    workload.finish(late)
    assert workload.committable() == {}
    (again,) = take(workload)
    workload.finish(again)
    assert workload.committable() == {PLACE: 1}
    assert workload.idle


def test_a_record_that_waits_for_its_letter_is_not_done(workload):
    pass_by(workload, 0)
    number = workload.hold(Record(PLACE, 1, b"k", b"v"))
    pass_by(workload, 2)
    assert workload.committable() == {PLACE: 1}
    workload.let_go(Record(PLACE, 1, b"k", b"v"), number)
    assert workload.committable() == {PLACE: 3}


def test_a_letter_of_an_earlier_assignment_leaves_the_present_progress_alone(workload):
    waiting = Record(PLACE, 0, b"k", b"v")
    earlier = workload.hold(waiting)
    workload.release([PLACE])
    workload.let_go(waiting, earlier)
    workload.assign([PLACE], {})
    workload.hold(waiting)
    workload.let_go(waiting, earlier)
    assert workload.committable() == {}


def test_a_document_waits_for_its_late_revision_even_in_the_next_assignment(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    (late,) = take(workload)
    workload.release([PLACE])
    workload.assign([PLACE], {})
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    arrive(workload, revision("docs/2", 2, "alpha"), 1)
    assert [one.event.doc_id for one in take(workload)] == ["docs/2"]
    workload.finish(late)
    assert [one.event.doc_id for one in take(workload)] == ["docs/1"]


def test_settling_drops_what_waits_and_keeps_what_others_wait_for(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    arrive(workload, revision("docs/2", 1, "alpha"), 0, OTHER)
    assert workload.settle([PLACE], SOON_S)
    assert [one.event.doc_id for one in take(workload)] == ["docs/2"]
    # It was read and never applied: its next owner reads it again.
    assert workload.committable() == {}


def test_settling_waits_for_what_is_in_flight(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    (only,) = take(workload)
    settled = in_thread(lambda: workload.settle([PLACE], SOON_S))
    workload.finish(only)
    assert settled() is True
    assert workload.committable() == {PLACE: 1}


def test_settling_ends_at_its_deadline(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    take(workload)
    assert workload.settle([PLACE], 0.0) is False


def test_settling_does_not_wait_for_other_partitions(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0, OTHER)
    take(workload)
    assert workload.settle([PLACE], 0.0) is True


def test_settling_does_not_wait_for_stages_that_have_ended(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    take(workload)
    workload.close()
    assert workload.settle([PLACE], SOON_S) is True
    assert workload.committable() == {}


def test_a_revision_put_back_is_taken_again_before_its_successors(workload):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    arrive(workload, revision("docs/1", 2, "alpha"), 1)
    (first,) = take(workload)
    workload.put_back(first)
    assert take(workload) == [first]
    assert workload.committable() == {}


@pytest.mark.parametrize("gone", ["released", "settled"])
def test_a_revision_put_back_is_dropped_where_its_partition_leaves(workload, gone):
    arrive(workload, revision("docs/1", 1, "alpha"), 0)
    (only,) = take(workload)
    if gone == "released":
        workload.release([PLACE])
        workload.put_back(only)
    else:
        assert workload.settle([PLACE], 0.0) is False
        workload.put_back(only)
        assert workload.waiting_tokens == 0
        assert workload.settle([PLACE], 0.0) is True
    assert workload.waiting_tokens == 0
    assert workload.idle
    assert workload.oldest_ts_ms is None
    assert workload.committable() == {}
    # The document is free for whoever reads it next.
    arrive(workload, revision("docs/1", 2, "alpha"), 1, OTHER)
    assert [one.event.version for one in take(workload)] == [2]


def test_the_oldest_commit_counts_until_it_is_applied(workload):
    arrive(workload, revision("docs/1", 1, "alpha", source_ts_ms=500), 0)
    arrive(workload, delete("docs/2", 2, source_ts_ms=400), 1)
    arrive(workload, revision("docs/3", 3, source_ts_ms=None), 2)
    assert workload.oldest_ts_ms == 400
    first, second, third = take(workload)
    workload.finish(second)
    assert workload.oldest_ts_ms == 500
    workload.finish(first)
    assert workload.oldest_ts_ms is None
    assert not workload.idle
    workload.finish(third)
    assert workload.idle


def test_waiting_tokens_are_what_waits_and_not_what_is_in_flight(workload):
    arrive(workload, revision("docs/1", 1, "alpha " * 100), 0)
    assert workload.waiting_tokens > 100
    take(workload)
    assert workload.waiting_tokens == 0


def test_released_partitions_are_ours_no_more(workload):
    workload.release([OTHER])
    assert workload.partitions() == [PLACE]
    workload.committed({OTHER: 3})
    workload.reach({OTHER: 3})
    assert workload.committable() == {}
