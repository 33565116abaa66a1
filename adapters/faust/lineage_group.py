"""The lineage of a chunker under Faust: in a consumer group of its own, beside the one that Faust's workers are in.

A transactional chunker commits its lineage together with its offsets, as metadata of the chunk topic. Without a
transaction there is no together, and Faust's client commits neither metadata nor for a topic that it does not read;
nobody from outside may commit for a group with members. So the lineage stands in the group ``<group>.lineage``, which
has none: any worker may commit it at any time, without joining. It is written before the first offset is, and an
offset is committed only then, so that what is found at a restart is a lineage without offsets (which begins anew) or
both, and never offsets alone.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from adapters.kafka.failures import error_of, failure
from adapters.kafka.properties import Given, onlooker_properties
from adapters.kafka.witness import Witness
from stream.ports import Committed, Partition, TopicInfo, Topics

WORKERS = ".faust"
"""How the name of a group of Faust's workers ends."""
SUFFIX = ".lineage"


def group_beside(group: str) -> str:
    """The group that holds the lineage of a chunkers' group: itself, but for Faust's workers."""
    return group + SUFFIX if group.endswith(WORKERS) else group


class LineageBeside:
    """``stream.ports.Topics`` in which the commits of Faust's workers for the chunk topic are those of the group
    beside theirs. Other groups' are their own.
    """

    def __init__(self, topics: Topics, chunk_topic: str) -> None:
        self._topics = topics
        self._chunk_topic = chunk_topic

    def describe(self, names: Sequence[str], *, settings: bool = False) -> Mapping[str, TopicInfo]:
        return self._topics.describe(names, settings=settings)

    def create(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        self._topics.create(name, partitions, replication, config)

    def ends(self, topic: str) -> Mapping[Partition, int]:
        return self._topics.ends(topic)

    def log_ends(self, topic: str) -> Mapping[Partition, int]:
        return self._topics.log_ends(topic)

    def low_watermarks(self, topic: str) -> Mapping[Partition, int]:
        return self._topics.low_watermarks(topic)

    def committed(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """Of the chunk topic, what the group beside the workers' committed."""
        beside = [partition for partition in partitions if partition.topic == self._chunk_topic]
        others = [partition for partition in partitions if partition.topic != self._chunk_topic]
        return {**self._topics.committed(group_beside(group), beside), **self._topics.committed(group, others)}


class LineageNotes:
    """Commits for the group beside ``group``. One thread."""

    def __init__(self, given: Given, group: str) -> None:
        properties = onlooker_properties(given, group + SUFFIX)
        self._servers = properties.servers
        self._doing = f"Committing the lineage of group {group}"
        self._witness = Witness(properties, self._doing)
        self._client: Client = self._witness.open(Client)

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Raises Outage, or Fatal where rights are missing."""
        places = [
            TopicPartition(partition.topic, partition.number, place.offset, place.metadata)
            for partition, place in offsets.items()
        ]
        try:
            self._client.commit(offsets=places, asynchronous=False)
        except KafkaException as exception:
            self._witness.raise_fatal()
            raise failure(error_of(exception), self._doing, self._servers) from exception

    def close(self) -> None:
        self._client.close()
