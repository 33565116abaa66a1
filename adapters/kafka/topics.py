"""Topics and groups of Kafka as an administrator sees them: ids, ends, low watermarks, committed offsets.

Ends are read with the isolation of our readers: the last stable offset, behind which an open transaction may stand.
Metadata travels with a commit and is read back here; a group may commit for a topic that it does not read, which is
how the chunker keeps its lineage.
"""

import threading
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewTopic

from adapters.kafka.administrator import REQUEST_S, Administrator
from adapters.kafka.failures import UNKNOWN_TOPIC, failure
from adapters.kafka.group_offsets import GroupOffsets
from adapters.kafka.properties import Given, admin_properties
from stream.errors import Outage
from stream.ports import Committed, Partition, Step, TopicInfo, no_step

_VISIBLE_WITHIN_S = 10.0
_PAUSE_S = 0.02
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # annotated nowhere in confluent-kafka
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]


class KafkaTopics:
    """See ``stream.ports.Topics``. A request without an answer within 15 s is an Outage."""

    def __init__(self, given: Given, *, step: Step = no_step) -> None:
        properties = admin_properties(given)
        self._brokers = Administrator(properties, "Asking about topics")
        self._client = self._brokers.client
        self._step = step
        self._given = dict(given)
        self._lock = threading.Lock()
        self._offsets_of: dict[str, GroupOffsets] = {}

    def describe(self, names: Sequence[str], *, settings: bool = False) -> Mapping[str, TopicInfo]:
        """See the port. ``config`` then holds every setting of the topic, defaults included."""
        found = self._descriptions(names)
        configs = self._configs(list(found)) if settings else {}
        return {
            name: TopicInfo(str(topic.topic_id), len(topic.partitions), configs.get(name, {}))
            for name, topic in found.items()
        }

    def create(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        """Returns when the topic can be described."""
        self._step(f"create topic {name}")
        topic = NewTopic(name, num_partitions=partitions, replication_factor=replication, config=dict(config))
        doing = f"Creating topic {name}"
        created = self._brokers.asked(doing, lambda: self._client.create_topics([topic], request_timeout=REQUEST_S))[
            name
        ]
        self._brokers.answer(doing, created, KafkaError.TOPIC_ALREADY_EXISTS)
        deadline = time.monotonic() + _VISIBLE_WITHIN_S
        while not self._descriptions([name]):
            if time.monotonic() > deadline:
                raise Outage(f"Topic {name} was created and is not visible yet on {self._brokers.servers}.")
            time.sleep(_PAUSE_S)

    def ends(self, topic: str) -> Mapping[Partition, int]:
        """See the port. Raises Fatal where the topic does not exist."""
        return self._offsets(topic, _LATEST, IsolationLevel.READ_COMMITTED)

    def log_ends(self, topic: str) -> Mapping[Partition, int]:
        """See the port: the high watermarks. Raises Fatal where the topic does not exist."""
        return self._offsets(topic, _LATEST, IsolationLevel.READ_UNCOMMITTED)

    def low_watermarks(self, topic: str) -> Mapping[Partition, int]:
        """The first offset that is still there, for each partition."""
        return self._offsets(topic, _EARLIEST, IsolationLevel.READ_COMMITTED)

    def committed(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """See the port. Offsets inside an open transaction are not seen yet."""
        if not partitions:
            return {}
        with self._lock:
            offsets = self._offsets_of.get(group)
            if offsets is None:
                offsets = self._offsets_of[group] = GroupOffsets(self._given, group)
        return offsets.committed(partitions, REQUEST_S)

    def _descriptions(self, names: Sequence[str]) -> dict[str, TopicDescription]:
        if not names:
            return {}
        doing = f"Describing {', '.join(names)}"
        futures = self._brokers.asked(
            doing, lambda: self._client.describe_topics(TopicCollection(list(names)), request_timeout=REQUEST_S)
        )
        answers = {
            name: self._brokers.answer(f"Describing {name}", future, *UNKNOWN_TOPIC)
            for name, future in futures.items()
        }
        return {name: topic for name, topic in answers.items() if topic is not None}

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Left empty where this user may not read them: they matter to checks, not to the stream."""
        if not names:
            return {}
        doing = f"Reading the settings of {', '.join(names)}"
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        futures = self._brokers.asked(doing, lambda: self._client.describe_configs(asked, request_timeout=REQUEST_S))
        found: dict[str, dict[str, str]] = {}
        for resource, future in futures.items():
            entries = self._brokers.answer(doing, future, KafkaError.TOPIC_AUTHORIZATION_FAILED, *UNKNOWN_TOPIC)
            found[resource.name] = {
                key: entry.value for key, entry in (entries or {}).items() if entry.value is not None
            }
        return found

    def _offsets(self, topic: str, spec: OffsetSpec, isolation: IsolationLevel) -> dict[Partition, int]:
        doing = f"Reading the offsets of topic {topic}"
        described = self._descriptions([topic])
        if topic not in described:
            raise failure(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), doing, self._brokers.servers)
        asked = {TopicPartition(topic, partition.id): spec for partition in described[topic].partitions}
        futures = self._brokers.asked(
            doing,
            lambda: self._client.list_offsets(asked, isolation_level=isolation, request_timeout=REQUEST_S),
        )
        found = {}
        for place, future in futures.items():
            answer = self._brokers.answer(doing, future)
            if answer is not None:
                found[Partition(topic, place.partition)] = answer.offset
        return found
