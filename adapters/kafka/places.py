"""Between librdkafka's words for partitions, offsets and messages and ours."""

import logging
from collections.abc import Sequence
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as Client

from schemas.chunk_event import Headers
from stream.ports import Partition, Record

_LOG = logging.getLogger(__name__)


def place_of(partition: Partition, offset: int = OFFSET_BEGINNING) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number, offset)


def start_of(place: TopicPartition) -> TopicPartition:
    return TopicPartition(place.topic, place.partition, place.offset if place.offset >= 0 else OFFSET_BEGINNING)


def unassign(client: Client, places: Sequence[TopicPartition]) -> None:
    """Left to itself, confluent-kafka does this with an error that is no exception, and that nothing can catch."""
    try:
        client.incremental_unassign(list(places))
    except KafkaException as exception:
        _LOG.warning("librdkafka had let go already: %s", exception)
        client.incremental_unassign([])


def sound(places: list[TopicPartition]) -> list[TopicPartition]:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)
    return places


def number_of(told: int | None) -> int:
    """Only messages that tell of no partition have none."""
    return -1 if told is None else told


def record_of(partition: Partition, message: Message) -> Record:
    kind, timestamp = message.timestamp()
    return Record(
        partition,
        number_of(message.offset()),
        message.key(),
        message.value(),
        cast("Headers", tuple(message.headers() or ())),  # as produced: bytes or None
        timestamp if kind else 0,
    )
