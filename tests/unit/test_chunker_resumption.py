"""Where a chunker may begin or go on, and what would lose rows if it did."""

import pytest
from chunker_world import BEATS, CDC, GROUP, World, row
from stream_world import CHUNKS, CONTRACT

from consumers.chunker import _PORTION_BYTES
from consumers.lineage_watch import LineageWatch
from stream.errors import Fatal
from stream.ports import Committed, Outgoing, Partition


def test_a_mapping_that_was_changed_is_fatal_before_its_rows_are_published_for_nobody():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    changed = LineageWatch(world.bus.topics(), GROUP, {CDC.topic: "docs"}, {"docs": "z" * 26}, CHUNKS.name)
    with pytest.raises(Fatal, match=r"'docs': its text mapping .* changed .*index\.generation"):
        changed.start()
    unchanged = LineageWatch(world.bus.topics(), GROUP, {CDC.topic: "docs"}, CONTRACT.accepted, CHUNKS.name)
    unchanged.start()


def test_offsets_without_a_lineage_tell_that_the_chunk_topic_was_deleted():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    world.consumer.close()
    world.broker.delete_topic(CHUNKS.name)
    world.bus.topics().create(CHUNKS.name, 1, 1, {})
    world.broker.group(GROUP).committed.pop(Partition(CHUNKS.name, 0), None)
    world.start()
    with pytest.raises(Fatal, match="the chunk topic was deleted; raise"):
        world.turn()


def test_a_member_killed_before_its_first_record_leaves_where_its_partitions_begin_but_no_offset():
    """An offset for a partition that another member holds would take back what its holder committed meanwhile."""
    world = World()
    world.write(row("1", "Alpha."), row("2", "Beta."), row("3", "Gamma."))
    world.broker.truncate(CDC, 2)
    world.start()
    world.chunker.turn(NothingYet(world.consumer), world.producer, 500, 0.0)
    assert CDC not in world.committed
    world.consumer.evict()
    world.start()
    world.turn()
    assert [event.version for event in world.events] == [3]


class NothingYet:
    """A consumer that has its partitions, and whose records are still on their way."""

    def __init__(self, consumer):
        self._consumer = consumer

    def poll(self, _max_records, _timeout_s):
        polled = self._consumer.poll(500, 0.0)
        self._consumer.rewind({record.partition: record.offset for record in reversed(polled.records)})
        return type(polled)()


def test_a_heartbeat_topic_that_lost_its_records_stops_nobody():
    world = World().start()
    world.write(Outgoing(BEATS, b"k", b"{}"), row("1", "Alpha."))
    world.turn()
    world.consumer.close()
    world.write(*[Outgoing(BEATS, b"k", b"{}")] * 3)
    world.broker.truncate(BEATS, 4)
    world.start()
    world.turn()
    assert len(world.events) == 1


def test_a_tombstone_behind_its_delete_is_not_told_twice():
    world = World().start()
    world.write(row("1", "Alpha."))
    world.turn()
    world.write(Outgoing(CDC, b"1", None), Outgoing(CDC, b"1", None))
    world.turn()
    assert [(event.kind, event.version) for event in world.events] == [("upsert", 1), ("delete", 2)]


def test_what_is_polled_at_once_is_published_in_portions():
    world = World().start()
    large = "x" * (_PORTION_BYTES // 5)
    world.write(*(row(str(number), large) for number in range(6)), row("last", "Beta."))
    world.turn()
    told = {event.doc_id for event in world.events} | {f"docs/{letter.key.decode()}" for letter in world.letters}
    assert told == {"docs/last", *(f"docs/{number}" for number in range(6))}
    committed = {"outcome": "committed"}
    assert world.metrics.registry.get_sample_value("embedstream_chunker_transactions_total", committed) == 2
    assert world.committed[CDC] == Committed(7)
