"""Reads partitions from end to end without a group: for commands that look, and commit nothing.

Committed records only, from the earliest one to the end that the partition had when reading began; what is written
meanwhile is not waited for.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition
from confluent_kafka import Consumer as Client

from adapters.kafka.consumer import record_of
from adapters.kafka.failures import END_OF_PARTITION, failure, translated
from adapters.kafka.properties import Given, consumer_properties
from adapters.kafka.witness import Witness
from stream.errors import Outage
from stream.ports import Partition, Record

_BATCH = 500
_TURN_S = 0.2
_PATIENCE_S = 30.0
_NO_RIGHT_TO_THE_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED
"""librdkafka looks for the coordinator of any group; to one that is never joined nobody needs a right."""


def read_partitions(
    given: Given, partitions: Sequence[Partition], starts: Mapping[Partition, int] | None = None
) -> Iterator[Record]:
    """Every record, each partition's in offset order; ``starts`` says where a partition is to be read from.

    Raises Outage after half a minute without a word.
    """
    if not partitions:
        return
    properties = consumer_properties(given, f"embedstream.look.{uuid.uuid4()}")
    doing = f"Reading {', '.join(sorted({partition.topic for partition in partitions}))}"
    witness = Witness(properties, doing)
    client: Client = witness.open(Client)
    try:
        with translated(doing, properties.servers):
            at = starts or {}
            client.assign(
                [TopicPartition(place.topic, place.number, at.get(place, OFFSET_BEGINNING)) for place in partitions]
            )
            yield from _until_the_ends(client, set(partitions), doing, properties.servers)
    finally:
        client.close()


def _until_the_ends(client: Client, reading: set[Partition], doing: str, servers: str) -> Iterator[Record]:
    heard = time.monotonic()
    while reading:
        for message in client.consume(_BATCH, _TURN_S):
            heard = time.monotonic()
            place = Partition(message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                if place in reading:
                    yield record_of(place, message)
            elif error.code() == END_OF_PARTITION:
                reading.discard(place)
            elif error.code() != _NO_RIGHT_TO_THE_GROUP:
                raise failure(error, doing, servers)
        if time.monotonic() - heard > _PATIENCE_S:
            raise Outage(f"{doing} brought nothing for {_PATIENCE_S:.0f} s from {servers}; is the broker running?")
