"""A partition that librdkafka left standing is read on by itself, from where the group stands."""

import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from stream_process import wait_for

from adapters.kafka.bus import KafkaBus
from adapters.kafka.consumer import KafkaConsumer
from adapters.kafka.properties import consumer_properties
from stream.ports import Committed, Outgoing, Partition

pytestmark = pytest.mark.kafka


class Owner:
    def __init__(self):
        self.told = []

    def on_assigned(self, partitions, committed):
        self.told.append("assigned")

    def on_revoked(self, partitions):
        self.told.append("revoked")

    def on_lost(self, partitions):
        self.told.append("lost")


def write(bus, topic, number, *values):
    producer = bus.producer()
    producer.send([Outgoing(Partition(topic, number), None, value) for value in values])
    producer.close()


def read_until(consumer, found, value, deadline_s=60):
    give_up = time.monotonic() + deadline_s
    while value not in found:
        assert time.monotonic() < give_up, f"{value} did not come"
        found.extend(record.value for record in consumer.poll(100, 0.05).records)


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_partition_that_stands_still_is_read_on_where_the_group_stands(kafka, protocol, caplog):
    given = {"bootstrap.servers": kafka, "group.protocol": protocol}
    bus, topic, owner, found = KafkaBus(given), f"t{uuid.uuid4().hex[:10]}", Owner(), []
    bus.topics().create(topic, 2, 1, {})
    write(bus, topic, 0, b"0 first", b"0 again")
    write(bus, topic, 1, b"1 first")
    consumer = KafkaConsumer(given, topic, [topic], owner, stall_s=0.3)
    for value in (b"0 again", b"1 first"):
        read_until(consumer, found, value)
    consumer.commit({Partition(topic, 0): Committed(1), Partition(topic, 1): Committed(1)})
    # What librdkafka does to itself, and tells nobody.
    consumer._client.pause([TopicPartition(topic, 0)])
    write(bus, topic, 0, b"0 behind")
    found.clear()
    read_until(consumer, found, b"0 behind")
    write(bus, topic, 1, b"1 behind")
    read_until(consumer, found, b"1 behind")
    consumer.close()
    assert found == [b"0 again", b"0 behind", b"1 behind"]
    assert "lost" in owner.told
    assert f"{topic} [0] stands still although it goes on to offset 3" in caplog.text


def test_an_open_transaction_is_no_end_that_a_member_stands_before(kafka):
    given = {"bootstrap.servers": kafka}
    bus, topic = KafkaBus(given), f"t{uuid.uuid4().hex[:10]}"
    bus.topics().create(topic, 1, 1, {})
    write(bus, topic, 0, b"committed")
    writer = Producer({**given, "transactional.id": topic})
    reader = Consumer(dict(consumer_properties(given, topic).values))
    writer.init_transactions(30)
    writer.begin_transaction()
    writer.produce(topic, b"open", partition=0)
    assert writer.flush(30) == 0
    place = Partition(topic, 0)
    assert bus.topics().log_ends(topic)[place] == 2
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=30) == (0, 1)
    writer.abort_transaction(30)
    wait_for(lambda: reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=30) == (0, 3), "the marker")
    reader.close()
