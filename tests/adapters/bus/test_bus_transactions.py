"""The laws of ``TransactionalProducer`` and of readers beside it, on memory and on a real broker."""

import os
import threading
import time

import pytest

from stream.errors import Fatal, Outage, Poison
from stream.ports import Committed, Outgoing, Partition


def to(topic, *values):
    return [Outgoing(Partition(topic, 0), b"key", value) for value in values]


def assigned(world, topic, group=""):
    reader = world.reader(topic, group)
    reader.until_end(Partition(topic, 0))
    return reader


def fail_at(effect, error):
    """A step hook that raises ``error`` once, before ``effect``."""
    left = [effect]

    def step(name):
        if name in left:
            left.remove(name)
            raise error

    return step


def test_records_and_offsets_of_a_transaction_are_seen_together(group_world):
    world, source, target, group = group_world, group_world.topic(), group_world.topic(), group_world.name("group")
    place = Partition(source, 0)
    chunker, reader = assigned(world, source, group), assigned(world, target)
    world.transactional(chunker, world.name("id")).transact(to(target, b"1", b"2"), {place: Committed(7, "done")})
    reader.until_values([b"1", b"2"])
    assert world.bus().topics().committed(group, [place]) == {place: Committed(7, "done")}


def test_metadata_can_be_kept_with_a_topic_that_the_group_does_not_read(group_world):
    world, source, target, group = group_world, group_world.topic(), group_world.topic(), group_world.name("group")
    lineage = "cdc=a1+b2/3,чанки=ö" * 20
    chunker = assigned(world, source, group)
    producer = world.transactional(chunker, world.name("id"))
    producer.transact(
        to(target, b"1"), {Partition(source, 0): Committed(1), Partition(target, 0): Committed(0, lineage)}
    )
    producer.transact(to(target, b"2"), {Partition(source, 0): Committed(2)})
    committed = world.bus().topics().committed(group, [Partition(source, 0), Partition(target, 0)])
    assert committed == {Partition(source, 0): Committed(2), Partition(target, 0): Committed(0, lineage)}


def test_what_was_committed_with_a_transaction_is_where_a_successor_starts(group_world):
    world, source, target, group = group_world, group_world.topic(), group_world.topic(), group_world.name("group")
    world.write(source, b"1", b"2")
    first = assigned(world, source, group)
    world.transactional(first, world.name("id")).transact(to(target, b"x"), {Partition(source, 0): Committed(1, "m")})
    first.consumer.close()
    second = world.reader(source, group)
    second.until_values([b"2"])
    assert second.committed == {Partition(source, 0): Committed(1, "m")}


@pytest.mark.parametrize("effect", ["begin transaction", "send offsets", "commit transaction"])
def test_nothing_of_an_aborted_transaction_is_seen_and_the_same_call_works_again(world, effect):
    source, target, group = world.topic(), world.topic(), world.name("group")
    place = Partition(source, 0)
    chunker = assigned(world, source, group)
    bus = world.bus(step=fail_at(effect, Outage("the broker is away")))
    producer = world.transactional(chunker, world.name("id"), bus)
    with pytest.raises(Outage):
        producer.transact(to(target, b"1", b"2"), {place: Committed(5)})
    assert world.bus().topics().committed(group, [place]) == {}
    producer.transact(to(target, b"1", b"2"), {place: Committed(5)})
    reader = world.reader(target)
    reader.until_values([b"1", b"2"])
    assert reader.until_end(Partition(target, 0)) == world.bus().topics().ends(target)[Partition(target, 0)]
    assert reader.values == [b"1", b"2"]
    assert world.bus().topics().committed(group, [place]) == {place: Committed(5)}


def test_the_end_lies_behind_markers_and_aborted_records(world):
    source, target = world.topic(), world.topic()
    place = Partition(target, 0)
    chunker, reader = assigned(world, source), assigned(world, target)
    bus = world.bus(step=fail_at("send offsets", Outage("away")))
    producer = world.transactional(chunker, world.name("id"), bus)
    with pytest.raises(Outage):
        producer.transact(to(target, b"lost", b"lost"), {Partition(source, 0): Committed(0)})
    aborted_end = world.bus().topics().ends(target)[place]
    producer.transact(to(target, b"1", b"2"), {})
    reader.until(lambda: reader.ends.get(place) == aborted_end + 3, "the end behind two records and their marker")
    assert reader.offsets == [aborted_end, aborted_end + 1]
    assert world.bus().topics().ends(target) == {place: aborted_end + 3}


def test_a_twin_with_the_same_id_ends_the_first_one(world):
    source, target, name = world.topic(), world.topic(), world.name("id")
    first_reader, second_reader = assigned(world, source), assigned(world, source)
    first = world.transactional(first_reader, name)
    first.transact(to(target, b"first"), {})
    second = world.transactional(second_reader, name)
    with pytest.raises(Fatal, match="same \\[chunker\\] instance"):
        first.transact(to(target, b"zombie"), {Partition(source, 0): Committed(9)})
    second.transact(to(target, b"second"), {})
    reader = world.reader(target)
    reader.until_values([b"first", b"second"])


def test_a_killed_producers_successor_lets_readers_go_on(world):
    topic, name = world.topic(), world.name("id")
    reader = assigned(world, topic)
    world.die_in_transaction(name, topic, [b"half", b"done"])
    world.write(topic, b"behind")
    place = Partition(topic, 0)
    assert world.bus().topics().ends(topic)[place] == 0
    assert world.bus().topics().log_ends(topic)[place] == 3
    reader.poll(timeout_s=0.5)
    assert reader.records == []
    began = time.monotonic()
    world.transactional(assigned_elsewhere := world.reader(world.topic()), name)
    reader.until_values([b"behind"])
    assert time.monotonic() - began < 15
    assert assigned_elsewhere.records == []


def test_offsets_of_a_dead_member_are_waited_for_until_they_are_decided(world):
    """A colleague with another id takes over: it must not begin before the dead one's transaction is over."""
    topic, group = world.topic(), world.name("group")
    place = Partition(topic, 0)
    world.write(topic, b"1", b"2")
    world.die_in_transaction(world.name("id"), topic, [b"half"], group, {place: 1}, timeout_ms=1000)
    colleague = world.reader(topic, group)
    colleague.poll(timeout_s=0.05)
    if world.kind == "memory":
        assert colleague.mine == set()
        world.expire(topic)
    colleague.until_values([b"1", b"2"])
    assert colleague.committed == {}


def test_a_transaction_that_outlives_its_time_out_is_an_outage_and_the_next_call_works(world):
    source, target = world.topic(), world.topic()
    chunker = assigned(world, source)
    late = [True]

    def step(name):
        if name == "commit transaction" and late:
            late.clear()
            producer_client = getattr(producer, "_client", None)
            if producer_client is not None:
                producer_client.flush(5)
            world.expire(target)

    producer = world.transactional(chunker, world.name("id"), world.bus(step=step), timeout_ms=1000)
    with pytest.raises(Outage, match="time-out"):
        producer.transact(to(target, b"late"), {Partition(source, 0): Committed(1)})
    producer.transact(to(target, b"again"), {Partition(source, 0): Committed(1)})
    world.reader(target).until_values([b"again"])


def test_a_member_that_the_group_went_on_without_publishes_nothing(group_world):
    world, source, target, group = group_world, group_world.topic(), group_world.topic(), group_world.name("group")
    place = Partition(source, 0)
    world.write(source, b"1")
    stalled = world.reader(source, group, world.bus(poll_within_ms=6000))
    stalled.until_values([b"1"])
    producer = world.transactional(stalled, world.name("id"))
    world.stall(stalled)
    other = world.reader(source, group)
    other.until_values([b"1"])
    world.transactional(other, world.name("other-id")).transact(to(target, b"other"), {place: Committed(1)})
    with pytest.raises(Outage):
        producer.transact(to(target, b"zombie"), {place: Committed(1)})
    reader = world.reader(target)
    reader.until_end(Partition(target, 0))
    assert reader.values == [b"other"]


def test_a_record_that_is_too_large_is_poison_and_takes_its_transaction_with_it(world):
    source, target, group = world.topic(), world.topic(config={"max.message.bytes": "2000"}), world.name("group")
    chunker = assigned(world, source, group)
    producer = world.transactional(chunker, world.name("id"))
    with pytest.raises(Poison) as raised:
        producer.transact(to(target, b"small", os.urandom(5000)), {Partition(source, 0): Committed(1)})
    assert raised.value.kind == "too-large"
    producer.transact(to(target, b"next"), {Partition(source, 0): Committed(2)})
    world.reader(target).until_values([b"next"])
    assert world.bus().topics().committed(group, [Partition(source, 0)]) == {Partition(source, 0): Committed(2)}


def test_a_transaction_into_a_topic_that_does_not_exist_is_fatal(world):
    source = world.topic()
    producer = world.transactional(assigned(world, source), world.name("id"))
    with pytest.raises(Fatal, match="does not exist"):
        producer.transact(to(world.name("nowhere"), b"1"), {Partition(source, 0): Committed(1)})


def test_a_transaction_without_records_carries_offsets(world):
    source, group = world.topic(), world.name("group")
    producer = world.transactional(assigned(world, source, group), world.name("id"))
    producer.transact([], {Partition(source, 0): Committed(3, "empty")})
    producer.transact([], {})
    assert world.bus().topics().committed(group, [Partition(source, 0)]) == {
        Partition(source, 0): Committed(3, "empty")
    }


class Deaf:
    """A client that never comes back from sending its offsets, as librdkafka when connections break under it."""

    def __init__(self, client):
        self._client = client
        self.go_on = threading.Event()
        self.came_back = threading.Event()

    def __getattr__(self, name):
        return getattr(self._client, name)

    def send_offsets_to_transaction(self, *arguments):
        self.go_on.wait()
        try:
            self._client.send_offsets_to_transaction(*arguments)
        finally:
            self.came_back.set()


@pytest.mark.parametrize("world", [pytest.param("consumer", marks=pytest.mark.kafka)], indirect=True)
def test_a_client_that_forgets_its_offsets_is_left_behind_and_its_late_request_counts_for_nothing(world, monkeypatch):
    source, target, group = world.topic(), world.topic(), world.name("group")
    place = Partition(source, 0)
    producer = world.transactional(assigned(world, source, group), world.name("id"))
    deaf = producer._client = Deaf(producer._client)
    monkeypatch.setattr("adapters.kafka.transactions._ANSWERED_WITHIN_S", 0.3)
    with pytest.raises(Outage, match="tried again by a new producer"):
        producer.transact(to(target, b"1"), {place: Committed(1)})
    monkeypatch.undo()
    producer.transact(to(target, b"1"), {place: Committed(5)})
    deaf.go_on.set()
    assert deaf.came_back.wait(60)
    producer.transact(to(target, b"2"), {place: Committed(6)})
    reader = world.reader(target)
    reader.until_end(Partition(target, 0))
    assert reader.values == [b"1", b"2"]
    assert world.bus().topics().committed(group, [place]) == {place: Committed(6)}
