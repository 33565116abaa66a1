"""What the bus in memory does beyond the laws: it is shared by threads, and time passes when it is told to."""

import threading
import time

from adapters.memory.bus import MemoryBroker, MemoryBus
from stream.ports import Outgoing, Partition

PLACE = Partition("topic", 0)


class Owner:
    def __init__(self):
        self.told = []

    def on_assigned(self, partitions, committed):
        self.told.append(("assigned", list(partitions)))

    def on_revoked(self, partitions):
        self.told.append(("revoked", list(partitions)))

    def on_lost(self, partitions):
        self.told.append(("lost", list(partitions)))


def opened(partitions=1, config=None):
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    bus.topics().create("topic", partitions, 1, config or {})
    return broker, bus


def test_a_waiting_reader_wakes_when_another_thread_writes():
    _broker, bus = opened()
    consumer = bus.consumer("group", ["topic"], Owner())
    assert consumer.poll(10, 0).ends == {PLACE: 0}
    writer = threading.Timer(0.05, lambda: bus.producer().send([Outgoing(PLACE, b"k", b"v")]))
    began = time.monotonic()
    writer.start()
    assert [record.value for record in consumer.poll(10, 30).records] == [b"v"]
    assert time.monotonic() - began < 20
    writer.join()


def test_a_compacted_topic_keeps_the_last_record_of_each_key_at_its_offset():
    broker, bus = opened(config={"cleanup.policy": "compact"})
    pairs = [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", None)]
    bus.producer().send([Outgoing(PLACE, key, value) for key, value in pairs])
    broker.compact("topic")
    records = bus.consumer("group", ["topic"], Owner()).poll(10, 0).records
    assert [(record.offset, record.key, record.value) for record in records] == [
        (1, b"b", b"1"),
        (2, b"a", b"2"),
        (3, b"c", None),
    ]
    broker.compact("topic", drop_tombstones=True)
    assert [record.offset for record in bus.consumer("other", ["topic"], Owner()).poll(10, 0).records] == [1, 2]


def test_compaction_leaves_what_is_younger_than_its_minimum_lag():
    now = [0]
    broker = MemoryBroker(lambda: now[0])
    bus = MemoryBus(broker)
    bus.topics().create("topic", 1, 1, {"cleanup.policy": "compact"})
    for now[0], value in ((1, b"1"), (2, b"2"), (3, b"3")):
        bus.producer().send([Outgoing(PLACE, b"k", value)])
    for before_ms, offsets in ((2, [0, 1, 2]), (3, [1, 2]), (4, [2])):
        broker.compact("topic", before_ms=before_ms)
        assert [record.offset for record in broker.log(PLACE).read(0, 9)[0]] == offsets


def test_a_running_reader_of_a_topic_that_was_created_again_goes_on_without_an_error():
    """As seen on Kafka: this is why lineage is compared."""
    broker, bus = opened()
    bus.producer().send([Outgoing(PLACE, b"k", b"old")])
    consumer = bus.consumer("group", ["topic"], Owner())
    assert len(consumer.poll(10, 0).records) == 1
    broker.delete_topic("topic")
    bus.topics().create("topic", 1, 1, {})
    bus.producer().send([Outgoing(PLACE, b"k", b"skipped"), Outgoing(PLACE, b"k", b"new")])
    assert [record.value for record in consumer.poll(10, 0).records] == [b"new"]


def test_a_topic_that_goes_away_is_revoked():
    broker, bus = opened(partitions=2)
    owner = Owner()
    consumer = bus.consumer("group", ["topic"], owner)
    consumer.poll(10, 0)
    broker.delete_topic("topic")
    assert consumer.poll(10, 0).records == ()
    assert owner.told[-1] == ("revoked", [PLACE, Partition("topic", 1)])


def test_three_members_share_seven_partitions_evenly_and_keep_theirs():
    _broker, bus = opened(partitions=7)
    owners = [Owner() for _ in range(3)]
    consumers = [bus.consumer("group", ["topic"], owner) for owner in owners[:2]]
    for consumer in consumers * 2:
        consumer.poll(10, 0)
    held = [{place for kind, places in owner.told for place in places if kind == "assigned"} for owner in owners[:2]]
    consumers.append(bus.consumer("group", ["topic"], owners[2]))
    for consumer in consumers * 2:
        consumer.poll(10, 0)
    after = []
    for owner in owners:
        mine = set()
        for kind, places in owner.told:
            mine = mine | set(places) if kind == "assigned" else mine - set(places)
        after.append(mine)
    assert sorted(map(len, after)) == [2, 2, 3]
    assert set().union(*after) == {Partition("topic", number) for number in range(7)}
    assert after[0] < held[0]
    assert after[1] <= held[1]
