"""What the user may set of librdkafka, what is refused, and that no secret is shown."""

import logging

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from adapters.kafka.properties import (
    admin_properties,
    consumer_properties,
    producer_properties,
    transactional_properties,
)
from adapters.kafka.witness import Witness
from stream.errors import Fatal, Misuse, Outage

SERVERS = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enable.auto.commit", True),
        ("enable.auto.offset.store", "true"),
        ("isolation.level", "read_uncommitted"),
        ("auto.offset.reset", "latest"),
        ("auto.offset.reset", "earliest"),
        ("enable.partition.eof", False),
        ("partition.assignment.strategy", "range"),
        ("acks", 1),
        ("request.required.acks", 0),
        ("enable.idempotence", False),
        ("allow.auto.create.topics", True),
        ("delivery.report.only.error", True),
        ("group.id", "mine"),
        ("group.instance.id", "mine"),
        ("transactional.id", "mine"),
        ("transaction.timeout.ms", 5000),
    ],
)
def test_a_property_on_which_a_guarantee_rests_is_refused_by_name(key, value):
    for properties in (
        lambda given: consumer_properties(given, "group"),
        producer_properties,
        lambda given: transactional_properties(given, "id", 10_000),
        admin_properties,
    ):
        with pytest.raises(Misuse, match=f'"{key}"'):
            properties({**SERVERS, key: value})


def test_the_same_value_as_ours_is_no_error():
    given = {**SERVERS, "enable.auto.commit": False, "acks": "all", "isolation.level": "read_committed"}
    assert consumer_properties(given, "group").values["enable.auto.commit"] == "false"
    assert producer_properties(given).values["acks"] == "all"


def test_without_servers_the_key_is_named():
    with pytest.raises(Misuse, match=r"bootstrap\.servers"):
        consumer_properties({}, "group")


def test_an_unknown_group_protocol_is_refused():
    with pytest.raises(Misuse, match=r"group\.protocol"):
        consumer_properties({**SERVERS, "group.protocol": "raft"}, "group")


def test_any_other_property_passes_through_and_wins_over_our_default():
    given = {**SERVERS, "fetch.wait.max.ms": 7, "linger.ms": 5, "socket.keepalive.enable": False, "client.rack": "a"}
    consumer, producer = consumer_properties(given, "group").values, producer_properties(given).values
    assert consumer["fetch.wait.max.ms"] == "7"
    assert consumer["socket.keepalive.enable"] == producer["socket.keepalive.enable"] == "false"
    assert producer["linger.ms"] == "5"
    assert "linger.ms" not in consumer
    assert "fetch.wait.max.ms" not in producer
    assert list(producer_properties({**SERVERS, "delivery.timeout.ms": 9000}).values).count("message.timeout.ms") == 0


def test_what_the_broker_decides_is_left_out_and_said():
    given = {**SERVERS, "session.timeout.ms": 6000, "partition.assignment.strategy": "cooperative-sticky"}
    properties = consumer_properties(given, "group")
    assert "session.timeout.ms" not in properties.values
    assert "partition.assignment.strategy" not in properties.values
    assert ['"session.timeout.ms"' in note for note in properties.notes] == [True, False]
    classic = consumer_properties({**given, "group.protocol": "classic"}, "group")
    assert classic.values["session.timeout.ms"] == "6000"
    assert classic.values["partition.assignment.strategy"] == "cooperative-sticky"
    assert classic.notes == ()


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_librdkafka_takes_what_each_client_is_given_without_a_warning(protocol, caplog):
    caplog.set_level(logging.DEBUG)
    given = {**SERVERS, "group.protocol": protocol, "fetch.min.bytes": 1, "retries": 5, "batch.size": 100_000}
    given |= {"session.timeout.ms": 7000} if protocol == "classic" else {}
    opened = [
        (Consumer, consumer_properties(given, "group")),
        (Producer, producer_properties(given)),
        (Producer, transactional_properties(given, "id", 10_000)),
        (AdminClient, admin_properties(given)),
    ]
    for kind, properties in opened:
        client = Witness(properties, "Testing").open(kind)
        client.poll(0.05)
        if kind is Consumer:
            client.close()
    assert [record.getMessage() for record in caplog.records if "CONFWARN" in record.getMessage()] == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("foo.bar", 1, "foo.bar"), ("receive.message.max.bytes", "much", "receive.message.max.bytes")],
)
def test_what_librdkafka_refuses_is_a_misuse_that_names_the_key(key, value, said):
    properties = admin_properties({**SERVERS, key: value})
    with pytest.raises(Misuse, match=said):
        Witness(properties, "Testing").open(AdminClient)


def test_no_secret_is_shown():
    given = {**SERVERS, "sasl.password": "hunter2", "ssl.key.password": "swordfish", "sasl.username": "ada"}
    properties = consumer_properties(given, "group")
    assert properties.values["sasl.password"] == "hunter2"
    assert "hunter2" not in repr(properties)


def test_a_secret_in_a_log_line_of_librdkafka_is_blotted_out_and_a_repeated_line_kept_back(caplog):
    caplog.set_level(logging.DEBUG)
    witness = Witness(consumer_properties({**SERVERS, "sasl.password": "hunter2"}, "group"), "Testing")
    for attempt in range(20):
        witness.log(logging.ERROR, "%s [%s] %s", "FAIL", "client", f"refused hunter2 after {attempt} ms")
    assert [record.getMessage() for record in caplog.records] == ["FAIL [client] refused ******** after 0 ms"]


def test_a_broker_that_cannot_be_reached_is_an_outage_everywhere(capfd):
    from adapters.kafka.bus import KafkaBus
    from stream.ports import Outgoing, Partition

    class Owner:
        on_assigned = on_revoked = on_lost = None

    bus = KafkaBus({**SERVERS, "message.timeout.ms": 500})
    with pytest.raises(Outage, match=r"127\.0\.0\.1:1"):
        bus.producer().send([Outgoing(Partition("topic", 0), None, b"1")])
    consumer = bus.consumer("group", ["topic"], Owner())
    with pytest.raises(Outage, match=r"127\.0\.0\.1:1"):
        consumer.poll(1, 5.0)
    consumer.close()
    assert capfd.readouterr().err == ""


def test_a_consumer_of_another_bus_is_refused():
    from adapters.kafka.bus import KafkaBus
    from adapters.memory.bus import MemoryBroker, MemoryBus

    class Owner:
        def on_assigned(self, partitions, committed): ...

        def on_revoked(self, partitions): ...

        def on_lost(self, partitions): ...

    stranger = MemoryBus(MemoryBroker()).consumer("group", ["topic"], Owner())
    with pytest.raises(Fatal, match="consumer on Kafka"):
        KafkaBus(SERVERS).transactional_producer("id", stranger)
