"""The laws of ``Consumer``, ``Producer`` and ``Topics``, on memory and on a real broker."""

import os
import time

import pytest
from confluent_kafka import Producer as ForeignProducer

from stream.errors import Fatal, Poison
from stream.partitioning import partition_for
from stream.ports import Committed, Outgoing, Partition


def test_records_come_in_offset_order_byte_for_byte(world):
    topic = world.topic()
    headers = (("chunking", b"abc"), ("nothing", None), ("chunking", b"twice"))
    place = Partition(topic, 0)
    world.bus().producer().send(
        [Outgoing(place, b"k", b"first", headers), Outgoing(place, None, b"second"), Outgoing(place, b"k", None)]
    )
    reader = world.reader(topic)
    reader.until_values([b"first", b"second", None])
    assert reader.offsets == [0, 1, 2]
    assert [record.key for record in reader.records] == [b"k", None, b"k"]
    assert reader.records[0].headers == headers
    assert reader.records[1].headers == ()


def test_without_a_commit_reading_starts_at_the_earliest_record_that_is_left(world):
    topic = world.topic()
    world.write(topic, b"old", b"older", b"kept")
    world.truncate(Partition(topic, 0), 2)
    reader = world.reader(topic)
    reader.until_values([b"kept"])
    assert reader.committed == {}
    assert world.bus().topics().low_watermarks(topic) == {Partition(topic, 0): 2}


def test_after_a_commit_a_successor_starts_there(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    world.write(topic, b"1", b"2", b"3")
    first = world.reader(topic, group)
    first.until_values([b"1", b"2", b"3"])
    first.consumer.commit({Partition(topic, 0): Committed(2)})
    first.consumer.close()
    second = world.reader(topic, group)
    second.until_values([b"3"])
    assert second.committed == {Partition(topic, 0): Committed(2)}


def test_what_was_not_committed_comes_again(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    world.write(topic, b"1", b"2")
    first = world.reader(topic, group)
    first.until_values([b"1", b"2"])
    first.consumer.close()
    world.reader(topic, group).until_values([b"1", b"2"])


@pytest.mark.parametrize("kept_from", [None, 3], ids=["beyond the end", "below what is left"])
def test_a_committed_offset_that_the_topic_does_not_have_is_fatal(world, kept_from):
    topic, group = world.topic(), world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2", b"3", b"4")
    first = world.reader(topic, group)
    first.until_values([b"1", b"2", b"3", b"4"])
    first.consumer.commit({place: Committed(50 if kept_from is None else 1)})
    first.consumer.close()
    if kept_from is not None:
        world.truncate(place, kept_from)
    second = world.reader(topic, group)
    with pytest.raises(Fatal, match="to go on from"):
        second.until(lambda: second.records, "nothing: it has to stop")
    assert second.records == []


def test_a_paused_partition_brings_nothing_while_polling_goes_on(world):
    topic = world.topic(partitions=2)
    still, moving = Partition(topic, 0), Partition(topic, 1)
    reader = world.reader(topic)
    reader.when_assigned = lambda _partitions: reader.consumer.pause([still])
    world.write(topic, b"held", number=0)
    world.write(topic, b"1", b"2", number=1)
    reader.until_values([b"1", b"2"])
    world.write(topic, b"3", number=1)
    reader.until_values([b"1", b"2", b"3"])
    reader.consumer.resume([still])
    reader.until_values([b"1", b"2", b"3", b"held"])
    assert reader.until_end(moving) == 3


def test_a_partition_that_was_paused_at_its_end_tells_the_end_again(world):
    topic = world.topic()
    place = Partition(topic, 0)
    world.write(topic, b"1")
    reader = world.reader(topic)
    assert reader.until_end(place) == 1
    reader.consumer.pause([place])
    reader.ends.clear()
    reader.consumer.resume([place])
    assert reader.until_end(place) == 1


def test_a_member_that_comes_back_reads_a_partition_that_it_had_paused(group_world, together):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    place = Partition(topic, 0)
    first = world.reader(topic, group)
    first.until_end(place)
    first.consumer.pause([place])
    first.consumer.close()
    world.write(topic, b"1")
    world.reader(topic, group).until_values([b"1"])


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_a_rewound_partition_is_read_again_from_there(world, paused):
    topic = world.topic()
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2", b"3")
    reader = world.reader(topic)
    reader.until_values([b"1", b"2", b"3"])
    if paused:
        reader.consumer.pause([place])
    reader.consumer.rewind({place: 1})
    if paused:
        reader.consumer.resume([place])
    reader.until_values([b"1", b"2", b"3", b"2", b"3"])
    assert reader.until_end(place) == 3


def test_a_partition_is_rewound_to_its_first_record_wherever_that_is(world):
    topic = world.topic()
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2", b"3")
    world.truncate(place, 1)
    reader = world.reader(topic)
    reader.until_values([b"2", b"3"])
    reader.consumer.rewind({place: None})
    reader.until_values([b"2", b"3", b"2", b"3"])


def test_a_commit_may_go_back_and_its_metadata_reaches_the_successor(world):
    topic, group = world.topic(), world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2", b"3")
    first = world.reader(topic, group)
    first.until_values([b"1", b"2", b"3"])
    first.consumer.commit({place: Committed(3, "all")})
    first.consumer.commit({place: Committed(1, "only ü")})
    first.consumer.close()
    second = world.reader(topic, group)
    second.until_values([b"2", b"3"])
    assert second.committed == {place: Committed(1, "only ü")}


def test_a_partition_can_be_rewound_in_the_moment_it_is_assigned(world):
    topic = world.topic()
    world.write(topic, b"1", b"2", b"3")
    reader = world.reader(topic)
    reader.when_assigned = lambda partitions: reader.consumer.rewind(dict.fromkeys(partitions, 2))
    reader.until_values([b"3"])


def test_a_lone_record_does_not_wait_for_others(world):
    topic = world.topic()
    reader = world.reader(topic)
    reader.until_end(Partition(topic, 0))
    world.write(topic, b"alone")
    began = time.monotonic()
    polled = reader.poll(max_records=10_000, timeout_s=20)
    assert [record.value for record in polled.records] == [b"alone"]
    assert time.monotonic() - began < 5


def test_a_full_queue_is_drained_in_bulk_and_within_the_limit(world):
    topic = world.topic()
    world.write(topic, *(b"%d" % number for number in range(5000)))
    reader = world.reader(topic)
    reader.until(lambda: reader.records, "the first records")
    first = reader.polls
    while len(reader.records) < 5000:
        assert len(reader.poll(max_records=300, timeout_s=5).records) <= 300
    assert reader.values == [b"%d" % number for number in range(5000)]
    assert reader.polls - first < 300


def test_a_poll_without_records_returns_in_time(world):
    topic = world.topic()
    reader = world.reader(topic)
    reader.until_end(Partition(topic, 0))
    began = time.monotonic()
    polled = reader.poll(timeout_s=0.3)
    assert (polled.records, polled.ends) == ((), {})
    assert 0.2 < time.monotonic() - began < 5


def test_a_topic_that_is_created_after_subscribing_is_read(group_world):
    world, topic = group_world, group_world.name("topic")
    reader = world.reader(topic)
    assert reader.poll(timeout_s=0.2).records == ()
    world.topic(name=topic)
    world.write(topic, b"late")
    reader.until_values([b"late"])


def test_an_error_in_the_owners_method_surfaces_from_poll_and_loses_no_record(group_world):
    world, topic = group_world, group_world.topic()
    world.write(topic, b"1", b"2")
    reader = world.reader(topic)

    def refuse(_partitions):
        reader.when_assigned = lambda _partitions: None
        raise Fatal("the lineage has changed")

    reader.when_assigned = refuse
    with pytest.raises(Fatal, match="lineage"):
        reader.until(lambda: False, "the error")
    reader.until_values([b"1", b"2"])


def test_a_commit_for_a_partition_that_is_not_assigned_commits_nothing(world):
    topic, other, group = world.topic(), world.topic(), world.name("group")
    world.write(topic, b"1")
    reader = world.reader(topic, group)
    reader.until_values([b"1"])
    assert list(reader.consumer.commit({Partition(other, 0): Committed(0)})) == []
    assert list(reader.consumer.commit({Partition(topic, 0): Committed(1)})) == [Partition(topic, 0)]
    committed = world.bus().topics().committed(group, [Partition(topic, 0), Partition(other, 0)])
    assert committed == {Partition(topic, 0): Committed(1)}


def test_partitions_move_to_a_second_member_and_back_behind_what_was_committed(group_world, together):
    world, topic, group = group_world, group_world.topic(partitions=2), group_world.name("group")
    for number in (0, 1):
        world.write(topic, b"1", b"2", number=number)
    first = world.reader(topic, group)
    first.when_revoked = lambda partitions: first.consumer.commit(dict.fromkeys(partitions, Committed(1)))
    first.until(lambda: len(first.records) == 4, "all records")
    second = world.reader(topic, group)
    second.when_revoked = lambda partitions: second.consumer.commit(dict.fromkeys(partitions, Committed(2)))
    together([first, second], lambda: second.records, "the second member's first record")
    (moved,) = second.mine
    assert first.mine == {Partition(topic, 0), Partition(topic, 1)} - {moved}
    assert second.committed == {moved: Committed(1)}
    assert second.values == [b"2"]
    second.consumer.close()
    first.until(lambda: moved in first.mine, "the partition to come back")
    assert first.committed == {moved: Committed(2)}
    assert len(first.records) == 4
    assert second.told[-1] == ("revoked", (moved,))


def test_a_member_that_the_group_went_on_without_is_told_that_it_lost(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2")
    stalled = world.reader(topic, group, world.bus(poll_within_ms=6000))
    stalled.until_values([b"1", b"2"])
    world.stall(stalled)
    other = world.reader(topic, group)
    other.until_values([b"1", b"2"])
    assert list(stalled.consumer.commit({place: Committed(2)})) == []
    assert world.bus().topics().committed(group, [place]) == {}
    stalled.until(lambda: "lost" in stalled.kinds(), "the loss")
    assert stalled.kinds() == ["assigned", "lost"]
    other.consumer.commit({place: Committed(1)})
    other.consumer.close()
    stalled.until(lambda: len(stalled.records) > 2, "the records after it joined again")
    assert stalled.values == [b"1", b"2", b"2"]
    assert stalled.kinds() == ["assigned", "lost", "assigned"]


def test_closing_revokes_and_what_is_committed_there_holds(group_world):
    world, topic, group = group_world, group_world.topic(), group_world.name("group")
    world.write(topic, b"1", b"2")
    reader = world.reader(topic, group)
    reader.when_revoked = lambda partitions: reader.consumer.commit(dict.fromkeys(partitions, Committed(1)))
    reader.until_values([b"1", b"2"])
    reader.consumer.close()
    reader.consumer.close()
    assert reader.kinds() == ["assigned", "revoked"]
    assert world.bus().topics().committed(group, [Partition(topic, 0)]) == {Partition(topic, 0): Committed(1)}


def test_a_member_that_never_polled_leaves_at_once(group_world):
    reader = group_world.reader(group_world.topic())
    began = time.monotonic()
    reader.consumer.close()
    assert time.monotonic() - began < 10
    assert reader.told == []


def test_when_send_returns_the_records_are_there(world):
    topic = world.topic(partitions=2)
    world.write(topic, b"1", b"2", number=1)
    assert world.bus().topics().ends(topic) == {Partition(topic, 0): 0, Partition(topic, 1): 2}


def test_a_record_that_the_topic_does_not_take_is_poison(world):
    topic = world.topic(config={"max.message.bytes": "2000"})
    with pytest.raises(Poison) as raised:
        world.write(topic, os.urandom(5000))
    assert raised.value.kind == "too-large"
    world.write(topic, b"small")
    world.reader(topic).until_values([b"small"])


def test_writing_to_a_topic_or_partition_that_does_not_exist_is_fatal(world):
    with pytest.raises(Fatal, match="does not exist"):
        world.write(world.name("nowhere"), b"1")
    with pytest.raises(Fatal, match="does not exist"):
        world.write(world.topic(), b"1", number=3)


def test_topics_are_described_with_ids_partitions_and_settings(world):
    topics, name = world.bus().topics(), world.topic(partitions=3, config={"cleanup.policy": "compact"})
    missing = world.name("missing")
    described = topics.describe([name, missing], settings=True)
    assert set(described) == {name}
    assert described[name].partitions == 3
    assert described[name].config["cleanup.policy"] == "compact"
    topics.create(name, 5, 1, {})
    assert topics.describe([name])[name].id == described[name].id
    assert topics.describe([name])[name].partitions == 3
    assert topics.describe([]) == {}
    with pytest.raises(Fatal, match="does not exist"):
        topics.ends(missing)


def test_a_topic_that_is_created_again_has_another_id_and_no_commits(world):
    topics, topic, group = world.bus().topics(), world.topic(), world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1")
    reader = world.reader(topic, group)
    reader.until_values([b"1"])
    reader.consumer.commit({place: Committed(1)})
    reader.consumer.close()
    before = topics.describe([topic])[topic].id
    assert topics.committed(group, [place]) == {place: Committed(1)}
    world.delete(topic)
    world.topic(name=topic)
    assert topics.describe([topic])[topic].id != before
    assert topics.committed(group, [place]) == {}
    assert topics.committed(world.name("unknown-group"), [place]) == {}


@pytest.mark.parametrize("key", [b"docs/1", "docs/Ж-42".encode(), b"docs/a-much-longer-primary-key/with-slashes"])
def test_a_producer_that_keys_by_document_finds_our_partition(kafka, unique_name, key):
    from adapters.kafka.bus import KafkaBus

    topic = unique_name("topic")
    KafkaBus({"bootstrap.servers": kafka}).topics().create(topic, 7, 1, {})
    landed = []
    other = ForeignProducer({"bootstrap.servers": kafka, "partitioner": "murmur2"})
    other.produce(topic, b"value", key, on_delivery=lambda _error, message: landed.append(message.partition()))
    other.flush(20)
    assert landed == [partition_for(key, 7)]
