"""Rows that a complete snapshot lacks: told, deleted at the snapshot's first version, and nothing else touched."""

import json
from dataclasses import replace

import pytest
from audit_world import AuditedStream
from cdc_events import envelope
from stream_world import PLACE, revision

from adapters.memory.bus import MemoryBroker
from operations.audit.auditing import Scope
from operations.audit.gone_rows import GoneRows
from stream.errors import Fatal
from stream.last_state import LastState
from stream.ports import Outgoing, Partition
from stream.snapshot_start import MARGIN_MS
from stream.source import Source

CDC = "kb.docs"
SOURCE = Source.written(name="docs", topic=CDC, text=["body"])
WIKI = Source.written(name="wiki", topic="kb.wiki", text=["body"])
LOOK = Scope(after_snapshot=True)


class Snapshots(AuditedStream):
    """Rows of a CDC topic with two partitions; the chunk topic has the revisions that they make."""

    def __init__(self, partitions=2):
        self.now_ms = 0
        self.partitions = partitions
        super().__init__(broker=MemoryBroker(self.tick))
        for topic in (CDC, WIKI.topic):
            self.bus.topics().create(topic, partitions, 1, {})
        self.offsets = {}

    def tick(self):
        self.now_ms += 1
        return self.now_ms

    def tell(self, op, number, snapshot="false", *, chunked=True, value=None, key=None, source=SOURCE):
        """Rows of even numbers stand in the first partition."""
        place = Partition(source.topic, number % self.partitions)
        told = envelope(op, None if op == "d" else {"id": number, "body": "A row."}, before=None)
        told["source"]["snapshot"] = snapshot
        bytes_ = json.dumps(told).encode() if value is None else value
        self.bus.producer().send([Outgoing(place, key or json.dumps({"id": number}).encode(), bytes_)])
        self.offsets[place] = self.offsets.get(place, 0) + 1
        if chunked:
            self.publish(revision(f"{source.name}/{number}", self.offsets[place], "A row."))

    def look(self, *, repair=False, scope=LOOK, sources=(SOURCE,), **changed):
        return self.audit(repair=repair, scope=scope, sources=sources, **changed)


@pytest.fixture
def stream():
    with Snapshots() as made:
        for number in range(6):
            made.tell("r", number, "true")
        made.drain()
        made.now_ms += 2 * MARGIN_MS
        yield made


@pytest.fixture
def empty():
    with Snapshots() as made:
        yield made


def gone(report):
    return {one.doc_id for one in report.differences}


def test_the_first_snapshot_lacks_nothing(stream):
    assert stream.look().equal


def test_rows_that_the_snapshot_lacks_are_deleted_at_its_first_version(stream):
    for number in (2, 4, 3):
        stream.tell("r", number, "incremental")
    stream.drain()
    assert gone(stream.look()) == {"docs/0", "docs/1", "docs/5"}
    report = stream.look(repair=True)
    assert report.equal, report.differences
    assert report.repair.published == {"docs/0": 4, "docs/1": 4, "docs/5": 4}
    assert stream.live.keys() == {"docs/2", "docs/3", "docs/4"}
    assert stream.look().equal


def test_a_row_whose_record_cannot_be_read_is_there(stream):
    for number in (1, 2, 3, 4, 5):
        stream.tell("r", number, "incremental")
    stream.tell("u", 0, chunked=False, value=b"{")
    stream.drain()
    assert stream.look().equal


def test_a_row_that_comes_back_is_newer_than_its_delete(stream):
    stream.tell("r", 2, "incremental")
    stream.tell("r", 1, "incremental")
    stream.drain()
    assert stream.look(repair=True).equal
    stream.tell("c", 0)
    stream.drain()
    assert stream.live["docs/0"] == ["A row."]
    assert stream.look().equal


def test_a_delete_for_which_no_version_is_free_waits(stream):
    """The last record of the second partition is the row's own, and the snapshot has none there."""
    for number in (0, 2, 4):
        stream.tell("r", number, "incremental")
    stream.drain()
    report = stream.look(repair=True)
    assert report.repair.left.keys() == {"docs/5"}
    assert "no version is free" in report.repair.left["docs/5"]
    assert gone(report) == {"docs/5"}
    stream.tell("c", 7)
    stream.drain()
    assert stream.look(repair=True).equal
    assert "docs/5" not in stream.live


def test_a_topic_that_has_lost_the_snapshots_beginning_proves_nothing(stream):
    for number in range(1, 6):
        stream.tell("r", number, "incremental")
    stream.drain()
    stream.broker.truncate(Partition(CDC, 0), 4)
    with pytest.raises(Fatal, match=r"has lost records below offset 4 in partition 0"):
        stream.look(scope=Scope(after_snapshot=True, since_ms=0))


def test_a_row_inserted_while_the_snapshot_ran_is_there_wherever_its_partition_begins(stream):
    """An incremental snapshot reads up to the keys that it found at its start: it never comes to this row."""
    stream.tell("r", 0, "incremental")
    stream.tell("c", 7)
    stream.tell("c", 8)
    for number in (1, 3, 5, 2, 4):
        stream.tell("r", number, "incremental")
    stream.drain()
    report = stream.look(repair=True)
    assert report.equal, report.differences
    assert {"docs/7", "docs/8"} <= stream.live.keys()


def test_an_unreadable_record_inside_a_snapshot_does_not_cut_it_in_two(empty):
    for number in (0, 2, 4):
        empty.tell("r", number, "true")
    empty.tell("r", 10, chunked=False, value=b"{")
    for number in (6, 8):
        empty.tell("r", number, "true")
    empty.drain()
    report = empty.look(repair=True)
    assert report.equal, report.differences
    assert len(empty.live) == 5


def test_a_snapshot_whose_first_row_cannot_be_read_begins_with_it(stream):
    stream.tell("u", 1)
    stream.tell("u", 2)
    stream.tell("r", 0, chunked=False, value=b"{")
    for number in range(1, 6):
        stream.tell("r", number, "true")
    stream.drain()
    assert stream.look().equal


def test_an_update_in_the_first_window_of_an_incremental_snapshot_counts(stream):
    """It goes out at once, and takes the place of the row's own record, which would come when the window closes."""
    stream.tell("u", 0)
    for number in range(1, 6):
        stream.tell("r", number, "incremental")
    stream.drain()
    assert stream.look().equal


def test_since_says_nothing_of_a_source_that_was_not_snapshotted_after_it(stream):
    since_ms = stream.now_ms
    for number in range(4):
        stream.tell("r", number, "true", source=WIKI, chunked=False)
    report = stream.look(repair=True, scope=Scope(after_snapshot=True, since_ms=since_ms), sources=(SOURCE, WIKI))
    assert report.equal, report.differences
    assert any("docs" in note and "no row of a snapshot" in note for note in report.notes)
    assert any("wiki" in note and "4 rows" in note for note in report.notes)


def test_an_instant_after_which_nothing_was_written_proves_nothing(stream):
    report = stream.look(repair=True, scope=Scope(after_snapshot=True, since_ms=9_999_999_999_999))
    assert report.equal, report.differences
    assert len(stream.live) == 6


def test_records_that_cannot_tell_a_snapshot_want_their_source_to_be_named(empty):
    def told(*numbers):
        for number in numbers:
            empty.tell("c", number, value=json.dumps({"id": number, "body": "A row."}).encode())
        empty.drain()

    told(*range(6))
    since_ms = empty.now_ms
    told(*range(5))
    scope = Scope(after_snapshot=True, since_ms=since_ms)
    report = empty.look(scope=scope)
    assert report.equal, report.differences
    assert any("--source docs" in note for note in report.notes)
    assert gone(empty.look(scope=replace(scope, sources=frozenset({"docs"})))) == {"docs/5"}


def test_a_source_that_is_not_named_is_not_looked_at(stream):
    for number in (1, 2, 3, 4, 5):
        stream.tell("r", number, "incremental")
    stream.drain()
    report = stream.look(scope=replace(LOOK, sources=frozenset({"wiki"})), sources=(SOURCE, WIKI))
    assert report.equal, report.differences


def test_a_snapshot_that_begins_between_two_parts_of_the_topic_is_not_looked_at(stream):
    """Each part would otherwise find another beginning, and take what is written behind it for all there is."""
    stream.tell("u", 0)
    stream.tell("u", 1)
    stream.drain()
    around = stream.around(sources=(SOURCE,))
    rows = GoneRows(around)
    state = LastState(around.admission, around.store_text)
    for record in stream.records([PLACE], {}):
        state.take(record)
    assert list(rows.of(state)) == []
    stream.tell("r", 6, "true", chunked=False)
    stream.tell("r", 7, "true", chunked=False)
    assert list(rows.of(state)) == []
    assert [one.document for one in GoneRows(around).of(state)] == [f"docs/{number}" for number in range(6)]


def test_a_document_without_a_record_waits_where_its_partition_is_not_known(stream):
    """Its delete would take the lowest version that any partition allows, and a letter of its own may lie above."""
    for number in (1, 2, 3, 4, 5):
        stream.tell("r", number, "incremental")
    stream.drain()
    stream.broker.truncate(Partition(CDC, 0), 2)
    report = stream.look(repair=True)
    assert gone(report) == {"docs/0"}
    assert report.repair.published == {}
    assert "which partition" in report.repair.left["docs/0"]


def test_a_document_without_a_record_is_deleted_where_there_is_one_partition():
    with Snapshots(partitions=1) as stream:
        for number in range(3):
            stream.tell("r", number, "true")
        stream.drain()
        stream.now_ms += 2 * MARGIN_MS
        for number in (1, 2):
            stream.tell("r", number, "incremental")
        stream.drain()
        stream.broker.truncate(Partition(CDC, 0), 1)
        report = stream.look(repair=True)
        assert report.equal, report.differences
        assert report.repair.published == {"docs/0": 4}


def test_a_snapshot_that_is_lost_between_two_parts_of_the_topic_proves_nothing_more(stream):
    stream.tell("r", 0, "incremental")
    stream.drain()
    around = stream.around(sources=(SOURCE,))
    rows, state = GoneRows(around), LastState(around.admission, around.store_text)
    for record in stream.records([PLACE], {}):
        state.take(record)
    stream.broker.truncate(Partition(CDC, 0), 4)
    with pytest.raises(Fatal, match=r"has lost records below offset 4 in partition 0"):
        list(rows.of(state))


def test_a_record_that_names_no_row_may_be_any_row_of_its_partition(stream):
    for number in (2, 3, 4, 5):
        stream.tell("r", number, "incremental")
    stream.tell("r", 8, chunked=False, key=b"{")
    stream.drain()
    report = stream.look(repair=True)
    assert report.repair.published == {"docs/1": 4}
    assert "names no row" in report.repair.left["docs/0"]
