"""What passes between Faust's event loop and the chunker's thread, without Faust and without a broker."""

import asyncio

import pytest

pytest.importorskip("faust")

from stream_world import HeldClock

from adapters.faust.hand_over import HandOver
from adapters.faust.lineage_group import LineageBeside
from adapters.faust.publishing import PublishThenCommit
from stream.errors import Fatal, Outage
from stream.ports import Committed, Outgoing, Partition, Polled, Record

CDC = Partition("kb.docs", 0)
OTHER = Partition("kb.docs", 1)
LINEAGE = Partition("kb.chunks", 0)


class Broker:
    """Committed offsets and first offsets, by hand; it may be away."""

    def __init__(self, committed=None, lows=None):
        self.offsets = dict(committed or {})
        self.lows = {CDC: 0, OTHER: 0, **(lows or {})}
        self.ends = {}
        self.away = False
        self.asked = []

    def committed(self, group, partitions):
        self.asked.append((group, tuple(partitions)))
        if self.away:
            raise Outage("away")
        return {place: Committed(self.offsets[place]) for place in partitions if place in self.offsets}

    def log_ends(self, topic):
        return {place: end for place, end in self.ends.items() if place.topic == topic}

    def low_watermarks(self, topic):
        return {place: low for place, low in self.lows.items() if place.topic == topic}


class Chunker:
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def on_assigned(self, partitions, committed):
        self.told.append(("assigned", list(partitions), {place: known.offset for place, known in committed.items()}))

    def on_revoked(self, partitions):
        self.told.append(("revoked", list(partitions)))


class World:
    def __init__(self, **broker):
        self.broker, self.chunker, self.sought = Broker(**broker), Chunker(), []
        self.clock, self.behind, self.looked = HeldClock(), {}, []
        self.hand_over = HandOver("group", self.broker, self.look_behind, self.clock.monotonic)
        self.hand_over.attach(asyncio.get_running_loop(), lambda place, offset: self.sought.append((place, offset)))
        self.hand_over.connect(self.chunker)

    def assign(self, *partitions):
        self.hand_over.assigned(partitions)
        self.poll()

    async def offer(self, *offsets, partition=CDC):
        for offset in offsets:
            await asyncio.wait_for(self.hand_over.offer(Record(partition, offset, b"k", b"v")), 5)

    def poll(self, most=100):
        return [record.offset for record in self.hand_over.poll(most, 0).records]

    def look_behind(self, starts):
        """``behind``: position → the end from there on, where no record follows."""
        self.looked.append(dict(starts))
        return {place: self.behind[place] for place in starts if place in self.behind}

    def ends(self):
        """Told after two quiet looks."""
        told = {}
        for _ in range(2):
            self.clock.seconds += 2.0
            told.update(self.hand_over.poll(1, 0).ends)
        return told

    def done(self, offset, partition=CDC):
        self.hand_over.commit({partition: Committed(offset)})


def in_a_loop(test):
    def run():
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


@in_a_loop
async def test_records_are_polled_in_order_and_committable_once_published():
    world = World()
    world.assign(CDC)
    await world.offer(0, 1, 2)
    assert world.hand_over.committable() == {}
    assert world.poll(2) == [0, 1]
    assert world.hand_over.committable() == {}, "what was taken is not published yet"
    world.done(2)
    assert world.hand_over.committable() == {CDC: 2}
    assert world.poll() == [2]


@in_a_loop
async def test_what_was_not_published_is_shown_again_in_order():
    world = World()
    world.assign(CDC)
    await world.offer(0, 1, 2, 3)
    assert world.poll(3) == [0, 1, 2]
    world.done(1)
    world.hand_over.rewind({CDC: 1})
    assert world.poll() == [1, 2, 3]
    world.hand_over.rewind({CDC: None})
    assert world.poll() == [1, 2, 3]


@in_a_loop
async def test_the_chunker_is_told_of_partitions_from_within_its_poll():
    world = World(committed={CDC: 7})
    world.hand_over.assigned([OTHER, CDC])
    assert world.chunker.told == []
    assert world.hand_over.poll(1, 0) == Polled()
    world.hand_over.revoked([CDC])
    world.poll()
    assert world.chunker.told == [("assigned", [CDC, OTHER], {CDC: 7}), ("revoked", [CDC])]


@in_a_loop
async def test_a_broker_that_is_away_at_assignment_is_asked_again():
    world = World()
    world.hand_over.assigned([CDC])
    world.broker.away = True
    with pytest.raises(Outage):
        world.poll()
    world.broker.away = False
    world.poll()
    assert [told[0] for told in world.chunker.told] == ["assigned"]


@in_a_loop
async def test_records_of_a_partition_that_left_are_neither_shown_nor_committable():
    world = World()
    world.assign(CDC, OTHER)
    await world.offer(0, 1)
    await world.offer(0, partition=OTHER)
    assert world.poll(1) == [0]
    world.hand_over.revoked([CDC])
    await world.offer(2)
    assert [record.partition for record in world.hand_over.poll(9, 0).records] == [OTHER]
    world.done(1)
    assert world.hand_over.committable() == {}


@in_a_loop
async def test_what_lies_below_the_committed_offset_is_not_shown():
    world = World(committed={CDC: 5})
    world.assign(CDC)
    await world.offer(3, 4, 5, 6)
    assert world.poll() == [5, 6]


@in_a_loop
async def test_a_record_of_a_former_assignment_that_comes_late_is_not_taken_for_the_first_one():
    world = World(committed={CDC: 100})
    world.assign(CDC)
    await world.offer(105, 106)
    assert world.sought == [(CDC, 100)]
    assert world.poll() == []
    await world.offer(100, 101)
    assert world.poll() == [100, 101]


@in_a_loop
async def test_a_gap_at_the_beginning_is_believed_when_it_is_found_twice():
    world = World(committed={CDC: 100})
    world.assign(CDC)
    await world.offer(103, 104)
    assert world.sought == [(CDC, 100)]
    await world.offer(103, 104)
    assert world.poll() == [103, 104]
    assert world.sought == [(CDC, 100)]


@in_a_loop
async def test_gaps_on_the_way_are_usual():
    world = World()
    world.assign(CDC)
    await world.offer(0, 2, 9)
    assert world.poll() == [0, 2, 9]


@in_a_loop
async def test_a_committed_offset_that_is_gone_is_fatal():
    world = World(committed={CDC: 3}, lows={CDC: 4})
    world.hand_over.assigned([CDC])
    with pytest.raises(Fatal, match=r"offset 3 of kb\.docs \[0\] is gone before it was read: the topic begins at 4"):
        world.poll()


@in_a_loop
async def test_records_deleted_while_it_lags_are_fatal():
    world = World()
    world.assign(CDC)
    await world.offer(0)
    assert world.poll() == [0]
    world.broker.lows[CDC] = 8
    await world.offer(8)
    with pytest.raises(Fatal, match=r"offset 1 of kb\.docs \[0\] is gone before it was read: the topic begins at 8"):
        world.poll()


@in_a_loop
async def test_offering_waits_while_too_much_waits():
    world = World()
    world.assign(CDC)
    await world.offer(*range(1_000))
    late = asyncio.ensure_future(world.offer(1_000))
    done, _ = await asyncio.wait([late], timeout=0.05)
    assert not done
    assert len(world.poll(10)) == 10
    await asyncio.wait_for(late, 5)


@in_a_loop
async def test_offering_does_not_wait_for_a_chunker_that_ended():
    world = World()
    world.hand_over.assigned([CDC])
    late = asyncio.ensure_future(world.offer(0))
    await asyncio.sleep(0)
    world.hand_over.close()
    await asyncio.wait_for(late, 5)


@in_a_loop
async def test_an_end_behind_markers_is_told_once_and_the_next_record_is_no_gap():
    world = World()
    world.assign(CDC)
    await world.offer(0, 1)
    assert world.poll() == [0, 1]
    world.done(2)
    world.broker.ends, world.behind = {CDC: 4}, {CDC: 4}
    assert world.ends() == {CDC: 4}
    assert world.looked == [{CDC: 2}]
    world.done(4)
    assert world.hand_over.committable() == {CDC: 4}
    assert world.ends() == {}
    assert len(world.looked) == 1
    await world.offer(4)
    assert (world.poll(), world.sought) == ([4], [])


@in_a_loop
async def test_a_partition_without_any_record_has_an_end_too():
    world = World()
    world.assign(CDC)
    world.broker.ends, world.behind = {CDC: 3}, {CDC: 3}
    assert world.ends() == {CDC: 3}


@in_a_loop
async def test_no_end_is_told_where_a_record_follows_or_nothing_is_longer():
    world = World()
    world.assign(CDC, OTHER)
    world.broker.ends = {CDC: 3, OTHER: 0}
    assert world.ends() == {}
    assert world.looked == [{CDC: 0}]


@in_a_loop
async def test_a_partition_that_brought_something_is_not_looked_at():
    world = World()
    world.assign(CDC)
    world.broker.ends, world.behind = {CDC: 9}, {CDC: 9}
    for offset in range(3):
        world.clock.seconds += 2.0
        assert world.hand_over.poll(1, 0).ends == {}
        await world.offer(offset)
        assert world.poll() == [offset]
    assert world.looked == []


@in_a_loop
async def test_a_record_that_comes_while_it_is_looked_is_not_jumped():
    world = World()
    world.assign(CDC)
    world.broker.ends = {CDC: 3}

    def late(starts):
        assert world.hand_over._taken(Record(CDC, 0, b"k", b"v"))
        return {CDC: 3}

    world.hand_over._behind = late
    assert world.ends() == {}
    assert world.poll() == [0]


@in_a_loop
async def test_records_that_are_never_committed_do_not_pile_up():
    """Heartbeats are not."""
    world = World()
    world.assign(CDC)
    for offset in range(50):
        await world.offer(offset)
        assert world.poll() == [offset]
    assert len(world.hand_over._held[CDC].taken) == 1


@in_a_loop
async def test_a_refused_commit_stops_the_chunker():
    world = World()
    world.assign(CDC)
    world.hand_over.refuse(Fatal("grant Read"))
    with pytest.raises(Fatal, match="grant Read"):
        world.poll()


@in_a_loop
async def test_a_beginning_that_was_deleted_before_the_first_record_came_is_fatal():
    world = World(committed={CDC: 3})
    world.assign(CDC)
    world.broker.lows[CDC] = 8
    await world.offer(8)
    await world.offer(8)
    with pytest.raises(Fatal, match=r"offset 3 of kb\.docs \[0\] is gone before it was read"):
        world.poll()


class Notes:
    """Stands for producer, lineage and offsets at once, and keeps the order."""

    def __init__(self, said, name):
        self.said, self.name = said, name

    def send(self, records):
        self.said.append((self.name, len(records)))

    def commit(self, offsets):
        self.said.append((self.name, {place.topic: known.offset for place, known in offsets.items()}))


def test_records_come_before_the_lineage_and_the_lineage_before_the_offsets():
    said = []
    publishing = PublishThenCommit(Notes(said, "records"), Notes(said, "lineage"), Notes(said, "offsets"))
    publishing.transact([Outgoing(LINEAGE, b"k", b"v")], {CDC: Committed(3), LINEAGE: Committed(0, "{…}")})
    assert said == [("records", 1), ("lineage", {"kb.chunks": 0}), ("offsets", {"kb.docs": 3})]


def test_nothing_is_committed_of_what_was_not_published():
    class Away(Notes):
        def send(self, records):
            raise Outage("away")

    said = []
    publishing = PublishThenCommit(Away(said, "records"), Notes(said, "lineage"), Notes(said, "offsets"))
    with pytest.raises(Outage):
        publishing.transact([Outgoing(LINEAGE, b"k", b"v")], {CDC: Committed(3), LINEAGE: Committed(0, "{…}")})
    assert said == []


def test_the_lineage_is_looked_for_in_the_group_beside():
    broker = Broker({CDC: 4, LINEAGE: 0})
    found = LineageBeside(broker, "kb.chunks").committed("group.faust", [CDC, LINEAGE])
    assert found == {CDC: Committed(4), LINEAGE: Committed(0)}
    assert broker.asked == [("group.faust.lineage", (LINEAGE,)), ("group.faust", (CDC,))]


def test_what_another_group_committed_for_the_chunk_topic_is_its_own():
    broker = Broker({LINEAGE: 7})
    assert LineageBeside(broker, "kb.chunks").committed("embedders", [LINEAGE]) == {LINEAGE: Committed(7)}
    assert {group for group, _ in broker.asked} == {"embedders"}
