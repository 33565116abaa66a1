"""A rewind that Kafka refuses when its time has come: with it would go what else came in the same poll."""

import uuid

import pytest

from adapters.kafka.bus import KafkaBus
from stream.errors import Fatal, Outage
from stream.ports import Outgoing, Partition

pytestmark = pytest.mark.kafka


class Owner:
    """Rewinds what it gets in the moment it gets it."""

    def on_assigned(self, partitions, committed):
        self.consumer.rewind(dict.fromkeys(partitions, 1))

    def on_revoked(self, partitions): ...

    def on_lost(self, partitions): ...


def poll_for_a_minute(consumer):
    for _ in range(600):
        consumer.poll(10, 0.1)


def test_a_partition_that_cannot_be_rewound_when_reading_begins_is_fatal(kafka, monkeypatch):
    bus = KafkaBus({"bootstrap.servers": kafka})
    topic = f"t{uuid.uuid4().hex[:10]}"
    bus.topics().create(topic, 1, 1, {})
    producer = bus.producer()
    producer.send([Outgoing(Partition(topic, 0), None, value) for value in (b"1", b"2")])
    producer.close()
    owner = Owner()
    consumer = owner.consumer = bus.consumer(topic, [topic], owner)

    def refused(_partition, _offset):
        raise Outage("no broker.")

    monkeypatch.setattr(consumer, "_seek", refused)
    with pytest.raises(Fatal, match=r"\[0\] cannot be read again \(no broker\), and going on would skip its records"):
        poll_for_a_minute(consumer)
    monkeypatch.undo()
    consumer.close()
