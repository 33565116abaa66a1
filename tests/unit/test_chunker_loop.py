import threading
from dataclasses import replace

import pytest
from chunker_world import BEATS, CDC, GROUP, SOURCE, World, row
from stream_world import CHUNKS, CONTRACT

from schemas import chunk_codec
from schemas.identity import document_point_id
from stream.errors import Fatal, Outage
from stream.lineage import from_metadata
from stream.partitioning import partition_for
from stream.ports import Committed, Outgoing, Partition

LINEAGE_PLACE = Partition(CHUNKS.name, 0)


def texts_of(event):
    return [chunk.text for chunk in event.chunks]


def test_rows_become_events_with_the_version_of_their_offset():
    world = World().start()
    world.write(row("1", "Alpha.", title="One", colour="red"), row("2", "Beta."), Outgoing(CDC, b"1", None))
    world.turn(max_records=2)
    world.turn()
    first, second, third = world.events
    assert (first.doc_id, first.version, texts_of(first), first.title) == ("docs/1", 1, ["Alpha."], "One")
    assert (second.doc_id, second.version, first.fields) == ("docs/2", 2, {"colour": "red"})
    assert (third.kind, third.doc_id, third.version) == ("delete", "docs/1", 3)


def test_offsets_and_lineage_are_committed_with_the_events():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    assert world.committed[CDC] == Committed(1)
    followed = from_metadata(world.committed[LINEAGE_PLACE])
    assert followed.lineages == {"docs": world.events[0].lineage}
    assert followed.headers == CONTRACT.accepted


def test_headers_key_and_partition_are_those_of_the_document():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    (record,) = world.read(CHUNKS.name)
    headers = chunk_codec.decode_headers(record.headers)
    assert headers.chunking == CONTRACT.header_fingerprint("docs")
    assert chunk_codec.decode_key(record.key).doc_id == "docs/1"
    assert record.partition.number == partition_for(b"docs/1", CHUNKS.partitions)
    assert document_point_id("docs/1") not in {chunk.id for chunk in world.events[0].chunks}


def test_revisions_of_one_document_in_one_poll_coalesce_to_the_last_and_stand_where_it_stood():
    world = World().start()
    world.write(row("1", "First."), row("2", "Other."), row("1", "Second."), row("1", "Third."))
    world.turn()
    assert [(event.doc_id, event.version, texts_of(event)) for event in world.events] == [
        ("docs/2", 2, ["Other."]),
        ("docs/1", 4, ["Third."]),
    ]
    assert world.committed[CDC] == Committed(4)


def test_a_poison_between_two_revisions_becomes_a_letter_and_the_last_good_one_stands():
    world = World().start()
    world.write(row("1", "First."), row("1", 7), row("1", "Third."), row("2", "Good."), row("2", None, colour=5))
    world.turn()
    assert [(event.doc_id, event.version) for event in world.events] == [("docs/1", 3), ("docs/2", 4)]
    lineage = world.watch.of("docs")
    assert [(letter.offset, letter.error_class, letter.version, letter.lineage) for letter in world.letters] == [
        (1, "text-type", 2, lineage),
        (4, "field-type", 5, lineage),
    ]
    assert world.counted("dead_letters", stage="chunker", kind="text-type") == 1
    assert world.counted("events", outcome="poison") == 2


def test_a_document_too_large_for_the_topic_becomes_a_letter():
    world = World().start()
    large = replace(CHUNKS, max_event_bytes=300)
    world.chunker._parts = replace(world.chunker._parts, chunks=large)
    world.write(row("1", "word " * 200), row("2", "Beta."))
    world.turn()
    assert [letter.error_class for letter in world.letters] == ["oversized"]
    assert [event.doc_id for event in world.events] == ["docs/2"]


def test_heartbeats_are_not_indexed_and_tell_the_sources_watermark():
    world = World(now_ms=4_000).start()
    world.write(Outgoing(BEATS, b"k", b"\xff whatever"))
    world.turn()
    assert (world.events, world.letters) == ([], [])
    assert BEATS not in world.committed
    age = world.metrics.registry.get_sample_value("embedstream_source_watermark_age_seconds", {"source": "docs"})
    assert age == 6.0


def test_an_aborted_transaction_is_made_again_and_readers_see_it_once():
    away = [Outage("no broker"), Outage("no broker")]

    def step(name):
        if name == "commit transaction" and away:
            raise away.pop()

    world = World(step).start()
    world.write(row("1", "Alpha."), row("2", 7), row("3", "Beta."))
    for _ in range(2):
        with pytest.raises(Outage):
            world.turn()
        assert (world.events, world.letters, world.committed) == ([], [], {})
    world.turn()
    assert [event.doc_id for event in world.events] == ["docs/1", "docs/3"]
    assert len(world.letters) == 1
    assert world.committed[CDC] == Committed(3)
    assert world.counted("chunker_transactions", outcome="aborted") == 2


def test_an_end_without_records_is_committed_even_after_an_abort():
    """Markers take offsets: a source written in transactions ends behind one, and lag has to reach zero."""
    away = []

    def step(name):
        if name == "commit transaction" and away:
            raise away.pop()

    world = World(step).start()
    world.turn()
    writer = world.broker.open_transactional("writer")
    world.broker.append_in_transaction("writer", writer, row("1", "Never."))
    world.broker.end_transaction("writer", writer, committed=False)
    away.append(Outage("no broker"))
    with pytest.raises(Outage):
        world.turn()
    world.turn()
    assert world.committed[CDC] == Committed(2)
    assert world.events == []


def test_a_killed_chunkers_successor_makes_its_transaction_again():
    class Killed(Exception):
        pass

    def step(name):
        if name == "commit transaction":
            raise Killed

    world = World(step).start()
    world.write(row("1", "Alpha."))
    with pytest.raises(Killed):
        world.turn()
    world.consumer.evict()
    world.step = lambda _name: None
    world.start()
    world.turn()
    assert [event.version for event in world.events] == [1]


def test_a_twin_with_the_same_instance_stops_the_first():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.bus.transactional_producer(f"{GROUP}.0", world.consumer)
    with pytest.raises(Fatal, match=r"same \[chunker\] instance"):
        world.turn()
    assert (world.events, world.committed) == ([], {})


def test_a_topic_that_was_made_again_is_fatal_to_a_running_chunker():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    world.broker.delete_topic(CDC.topic)
    world.bus.topics().create(CDC.topic, 1, 1, {})
    world.write(row("1", "Beta."))
    with pytest.raises(Fatal, match=r"'docs'.*re-created or repartitioned.*raise index\.generation"):
        world.turn()
    assert len(world.events) == 1


@pytest.mark.parametrize("topic", [CDC.topic, CHUNKS.name])
def test_a_topic_that_was_deleted_is_fatal_to_a_running_chunker(topic):
    world = World().start()
    world.turn()
    world.broker.delete_topic(topic)
    with pytest.raises(Fatal, match="was deleted"):
        world.turn()


def test_a_topic_that_was_made_again_between_two_runs_is_fatal_at_the_start():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    world.consumer.close()
    world.broker.delete_topic(CDC.topic)
    world.bus.topics().create(CDC.topic, 1, 1, {})
    with pytest.raises(Fatal, match="re-created or repartitioned"):
        world.start()


def test_a_group_that_another_program_uses_is_fatal_at_the_start():
    world = World()
    world.broker.group(GROUP).committed[LINEAGE_PLACE] = Committed(0, "written by something else")
    with pytest.raises(Fatal, match="another program uses the group"):
        world.start()


def consumed_and_forgotten():
    """A source that was consumed before, and whose committed offset is gone."""
    world = World().start()
    world.write(row("1", "Alpha."), row("2", "Beta."))
    world.turn()
    world.consumer.close()
    del world.broker.group(GROUP).committed[CDC]
    return world


def test_offsets_that_are_gone_with_their_history_are_fatal():
    world = consumed_and_forgotten()
    world.broker.truncate(CDC, 1)
    world.start()
    with pytest.raises(Fatal, match="changes may have been missed; take a new snapshot"):
        world.turn()
    assert len(world.events) == 2


def test_offsets_that_are_gone_are_replayed_where_the_history_is_whole():
    world = consumed_and_forgotten()
    world.start()
    world.turn()
    assert [event.version for event in world.events] == [1, 2, 1, 2]


def test_a_first_start_begins_at_the_earliest_record_whatever_was_deleted_before():
    world = World()
    world.write(row("1", "Alpha."), row("2", "Beta."))
    world.broker.truncate(CDC, 1)
    world.start()
    world.turn()
    assert [event.version for event in world.events] == [2]


def test_what_was_polled_before_its_check_could_be_made_is_read_again():
    world = World().start()
    world.write(row("1", "Alpha."))
    describe, away = world.watch._topics.describe, [Outage("no broker")]

    def troubled(names, **asked):
        if away and world.chunker._arrived:
            raise away.pop()
        return describe(names, **asked)

    world.watch._topics.describe = troubled
    with pytest.raises(Outage):
        world.turn()
    assert world.committed == {}
    world.turn()
    assert [event.version for event in world.events] == [1]


def test_an_absent_column_stops_the_process_and_commits_nothing():
    world = World().start()
    world.write(Outgoing(CDC, b"1", b'{"text": "renamed"}'))
    with pytest.raises(Fatal, match=f"'body'.*topic '{SOURCE.topic}'"):
        world.chunker.run(world.consumer, world.producer, threading.Event())
    assert world.committed == {}


def test_an_outage_is_waited_out_by_the_loop():
    stopping = Stops(after_waits=3)

    def step(name):
        if name == "commit transaction":
            raise Outage("no broker", retry_after_s=7)

    world = World(step).start()
    world.write(row("1", "Alpha."))
    world.chunker.run(world.consumer, world.producer, stopping)
    assert stopping.waits == [7, 7, 7]
    assert world.counted("outages", stage="chunker") == 3


class Stops:
    """Told to stop after so many waits, none of which takes any time."""

    def __init__(self, after_waits):
        self.waits, self._after = [], after_waits

    def is_set(self):
        return len(self.waits) >= self._after

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()
