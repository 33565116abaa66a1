"""Reads what a group has committed, from outside of the group.

The administrator's request for it ends the process: where the group's coordinator is on the move, as it is for a
moment after every broker's start, librdkafka's ``ListConsumerGroupOffsets`` follows a null pointer (librdkafka #5040;
seen with 2.16.1 at a broker's first second). So a consumer of the group asks, one that never subscribes and hence
never joins. It is a classic one: under the newer protocol librdkafka would name a member and its epoch in the
request, and the broker refuses both from somebody who is no member.

An offset in an open transaction is not seen yet, and the one before it is the answer: only a member that resumes has
to wait for the transaction's end.
"""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer as Client
from confluent_kafka import TopicPartition

from adapters.kafka.failures import UNKNOWN_TOPIC, failure, translated
from adapters.kafka.properties import Given, onlooker_properties
from adapters.kafka.witness import Witness
from stream.errors import Outage
from stream.ports import Committed, Partition

_PAUSE_S = 0.05
_ATTEMPT_S = 2.0
"""A request that was under way when the broker went is not sent to its successor."""


class GroupOffsets:
    """The committed offsets of one group. Many threads may ask."""

    def __init__(self, given: Given, group: str) -> None:
        properties = onlooker_properties(given, group)
        self._servers = properties.servers
        self._doing = f"Reading the offsets of group {group}"
        self._witness = Witness(properties, self._doing)
        self._client: Client = self._witness.open(Client)

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, Committed]:
        """Partitions without a commit, and those of topics that do not exist, are left out.

        Raises Outage where no coordinator answered within ``timeout_s``, Fatal for refused credentials and rights.
        """
        self._client.poll(0)  # what librdkafka wants to say stands in a queue until somebody polls
        self._witness.raise_fatal()
        asked = [TopicPartition(partition.topic, partition.number) for partition in partitions]
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                places = self._places(asked, min(timeout_s, _ATTEMPT_S))
            except Outage:  # a coordinator on the move answers so at once
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
            else:
                break
        return {
            Partition(place.topic, place.partition): Committed(place.offset, place.metadata or "")
            for place in places
            if place.error is None and place.offset >= 0
        }

    def _places(self, asked: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
        with translated(self._doing, self._servers):
            places = self._client.committed(asked, timeout_s)
        for place in places:
            if place.error is not None and place.error.code() not in UNKNOWN_TOPIC:
                raise failure(place.error, self._doing, self._servers)
        return places
