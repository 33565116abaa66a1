"""Reads partitions to their ends without a group: for whoever looks, and commits nothing.

Committed records only, from the earliest one to the end that the partition had when reading began; what is written
meanwhile is not waited for.
"""

import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition
from confluent_kafka import Consumer as Client

from adapters.kafka.failures import END_OF_PARTITION, failure, translated
from adapters.kafka.places import record_of
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
    with closing(_read(given, partitions, starts or {})) as reading:
        for told in reading:
            if isinstance(told, Record):
                yield told


def ends_behind(given: Given, starts: Mapping[Partition, int]) -> dict[Partition, int]:
    """For those partitions in which no committed record follows from that offset on, the position at their end: it
    lies behind transaction markers and aborted records. Raises Outage as above.
    """
    ends: dict[Partition, int] = {}
    met: set[Partition] = set()
    with closing(_read(given, list(starts), starts)) as reading:
        for told in reading:
            if isinstance(told, Record):
                met.add(told.partition)
            else:
                ends[told.partition] = told.position
            if met | ends.keys() >= starts.keys():
                break
    return {place: position for place, position in ends.items() if place not in met}


@dataclass(frozen=True, slots=True)
class _End:
    partition: Partition
    position: int


def _read(
    given: Given, partitions: Sequence[Partition], starts: Mapping[Partition, int]
) -> Generator[Record | _End, None, None]:
    if not partitions:
        return
    properties = consumer_properties(given, f"embedstream.look.{uuid.uuid4()}")
    doing = f"Reading {', '.join(sorted({partition.topic for partition in partitions}))}"
    witness = Witness(properties, doing)
    client: Client = witness.open(Client)
    try:
        with translated(doing, properties.servers):
            client.assign(
                [
                    TopicPartition(place.topic, place.number, starts.get(place, OFFSET_BEGINNING))
                    for place in partitions
                ]
            )
            yield from _until_the_ends(client, set(partitions), doing, properties.servers)
    finally:
        client.close()


def _until_the_ends(client: Client, reading: set[Partition], doing: str, servers: str) -> Iterator[Record | _End]:
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
                if place in reading:
                    yield _End(place, message.offset() or 0)
                reading.discard(place)
            elif error.code() != _NO_RIGHT_TO_THE_GROUP:
                raise failure(error, doing, servers)
        if time.monotonic() - heard > _PATIENCE_S:
            raise Outage(f"{doing} brought nothing for {_PATIENCE_S:.0f} s from {servers}; is the broker running?")
