"""Both sides of every failure, on a real broker: poison is kept and passed, an outage waited out and nothing lost.

What DESIGN 6 names, and the test that shows its end (``::`` alone: in this file; other files of this tier by name):

    poison   bytes, schema, key, types, placeholder   test_bad_input.py, of the chunk topic test_stream_intake.py
             oversized event                          test_bad_input.py::test_a_text_of_50_megabytes_…
             NaN vector                               test_bad_input.py::test_a_vector_with_nan_…
             4xx about one point                      ::test_what_the_index_refuses_of_one_document_…
             dead letter that cannot be written       ::test_a_letter_that_its_topic_does_not_take_…
    outage   index 5xx, 429, resets, silence          ::test_an_outage_of_the_index_…
             broker                                   test_bad_input_stops.py, tests/scenarios/test_kills.py
             schema registry                          tests/unit/test_chunker_framed.py
             remote encoder                           tests/unit/test_pipeline.py
    fatal    contract, lineage, column, model file    test_bad_input_stops.py
             credentials, rights                      test_bus_security.py
             offsets gone                             tests/unit/test_chunker_loop.py, tests/unit/test_lineage.py

In the loops, with everything held still: tests/unit (test_embedder_loop, test_pipeline, test_chunker_loop).
"""

import time

import pytest
from cdc_events import assert_holds, envelope, row
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from doubles.qdrant_double import QdrantDouble
from stream_process import wait_for

from adapters.kafka.cluster import KafkaCluster
from stream.errors import Fatal
from stream.ports import Partition

WRITES = "points/batch"
READS = "points/scroll"
SESSION_S = 6.0
"""After which the broker misses a member that says nothing."""


@pytest.fixture
def qdrant():
    double = QdrantDouble()
    yield double
    double.close()


@pytest.fixture
def stream(new_stream, qdrant):
    stream = new_stream(index={"url": qdrant.url})
    stream.create()
    return stream


def write(stream, numbers, when="first"):
    for number in numbers:
        stream.put({"id": number}, envelope("u", row(number, f"Number {number} says {when}.")))
    stream.flush()


def members(stream):
    """Member → its partitions, of the embedder's group."""
    found = KafkaCluster({"bootstrap.servers": stream.brokers}).group(stream.deployment().embedder_group)
    return {member.client: member.partitions for member in found.members}


def test_an_outage_of_the_index_dead_letters_nothing_keeps_its_partitions_and_drains_afterwards(stream, qdrant):
    """Longer than a session, in which a member that did not poll on would be gone; and of every kind, one after the
    other: errors, too many requests, half of a batch, and connections that are cut behind what was done.
    """
    running = stream.run().ready()
    write(stream, range(6))
    stream.drained()
    before = members(stream)
    assert sum(map(len, before.values())) == 3
    for call in (WRITES, READS):
        qdrant.faults.order("answer", call, times=4, status=503)
        qdrant.faults.order("answer", call, times=2, status=429, retry_after="1")
    qdrant.faults.order("half", WRITES, times=2)
    for call in (WRITES, READS):
        qdrant.faults.order("reset after", call, times=10**6)
    write(stream, range(12), "then")
    stream.chunked()
    wait_for(lambda: running.metric("retries_total", stage="index") >= 1, "the outage to be met")
    group = stream.deployment().embedder_group
    places = [Partition(stream.chunks, number) for number in range(3)]
    at = stream.topics.committed(group, places)
    waited = wait_longer_than_a_session(running)
    assert waited > SESSION_S
    assert running.alive
    assert members(stream) == before
    assert stream.topics.committed(group, places) == at, "nothing is committed past what is not written"
    assert stream.letters() == []
    qdrant.faults.clear()
    stream.drained()
    assert stream.letters() == []
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    assert running.metric("outages_total", stage="index") >= 1


def wait_longer_than_a_session(running):
    """By the embedder's own clock, while it polls on; seconds."""
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > SESSION_S + 1 or not running.alive, "a session to pass")
    return time.monotonic() - began


def test_what_the_index_refuses_of_one_document_takes_that_one_and_no_other(new_stream):
    """A point that is larger than the server takes, whatever else is in its request."""
    small = QdrantDouble(max_request_bytes=48 << 10)
    try:
        stream = new_stream(index={"url": small.url})
        stream.create()
        stream.run().ready()
        write(stream, range(4))
        stream.put({"id": 9}, envelope("u", row(9, "This is small.", section="large " * (20 << 10))))
        write(stream, range(4, 8))
        stream.drained()
        (letter,) = stream.letters()
        (record,) = [each for each in stream.records(stream.chunks) if b"docs/9" in (each.key or b"")]
        assert (letter.stage, letter.error_class) == ("embedder", "size")
        assert (letter.key, letter.value, letter.headers) == (record.key, record.value, record.headers)
        assert (letter.topic, letter.partition, letter.offset) == (
            stream.chunks,
            record.partition.number,
            record.offset,
        )
        assert sorted(stream.texts()) == [f"docs/{number}" for number in range(8)]
    finally:
        small.close()


@pytest.mark.parametrize("stage", ["chunker", "embedder"])
def test_a_letter_that_its_topic_does_not_take_blocks_the_commit_until_it_does(new_stream, stage):
    """The process stops with a sentence, nothing is passed over, and after the cure the letter is there, once."""
    stream = new_stream()
    stream.create(partitions=1)
    stream.topics.create(stream.letter_topic, 1, 1, {"max.message.bytes": "300"})
    running = stream.run()
    running.ready()
    write(stream, range(3))
    stream.drained()
    ends = dict(stream.topics.ends(stream.chunks))
    if stage == "chunker":
        stream.put({"id": 7}, b"\xff", headers=[("padding", b"x" * 400)])
    else:
        stream.put(b"[7]", b"\xff", topic=stream.chunks, partition=1, headers=[("padding", b"x" * 400)])
    write(stream, range(3, 6))
    failure = running.failure()
    assert isinstance(failure, Fatal)
    assert "raise the topic's max.message.bytes" in str(failure)
    assert stream.letters() == []
    assert blocked(stream, stage, ends)
    raise_limit(stream)
    stream.run().ready()
    stream.drained()
    (letter,) = stream.letters()
    assert (letter.stage, letter.value) == (stage, b"\xff")
    assert sorted(stream.texts()) == [f"docs/{number}" for number in range(6)]


def blocked(stream, stage, ends):
    """Whether the group's offset stands before the record that failed."""
    deployment = stream.deployment()
    if stage == "chunker":
        place = Partition(stream.cdc, 0)
        return stream.topics.committed(deployment.chunker_group, [place])[place].offset == 3
    place = Partition(stream.chunks, 1)
    committed = stream.topics.committed(deployment.embedder_group, [place]).get(place)
    return (0 if committed is None else committed.offset) <= ends[place]


def raise_limit(stream):
    entry = ConfigEntry("max.message.bytes", str(1 << 20), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, stream.letter_topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    for done in admin.incremental_alter_configs([topic]).values():
        done.result(20)
