"""A Kafka cluster as a doctor sees it. See ``stream.cluster``.

Brokers do not tell their version. They tell which requests they know in which versions, which librdkafka asks of each
at the connection and writes to its log; the release is read from there: the newest whose requests are all known. A
cluster that is asked for nothing else is sound with any answer, so a release that cannot be told is None.

Rights come with the descriptions of topics, groups and cluster. Of a transactional id nobody can be asked, so one is
opened: of our own making, beginning as the deployment's do, so that it fences nobody and a right by prefix covers it.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicCollection
from confluent_kafka import Producer as Client
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._config import ConfigResource

from adapters.kafka.administrator import REQUEST_S, Administrator
from adapters.kafka.failures import UNKNOWN_TOPIC, error_of, failure
from adapters.kafka.properties import Given, Properties, admin_properties, transactional_properties
from adapters.kafka.reader import read_partitions
from adapters.kafka.topics import KafkaTopics
from adapters.kafka.witness import Witness
from stream.cluster import ClusterInfo, GroupInfo, Member, Rights
from stream.errors import Outage
from stream.ports import Partition, Record

_API = re.compile(r"ApiKey \S+ \((\d+)\) Versions (\d+)\.\.(\d+)")
_RELEASES: tuple[tuple[tuple[int, int], Mapping[int, int]], ...] = (
    # (major, minor), and requests (by number) that it knows at least in this version and no release before it does.
    ((4, 1), {1: 18, 90: 0}),
    ((4, 0), {1: 17, 68: 1}),
    ((3, 9), {1: 17}),
    ((3, 7), {1: 16}),
    ((3, 5), {1: 15}),
    ((3, 0), {1: 12, 65: 0}),
)
"""Source: the request schemas of Apache Kafka. 1 is Fetch, 65 DescribeTransactions, 68 ConsumerGroupHeartbeat, 90
DescribeShareGroupOffsets.
"""
_COORDINATOR_WITHIN_S = 10.0
_PAUSE_S = 0.1
_OPEN_WITHIN_S = 15.0
_SHORT_MS = 10_000


class KafkaCluster:
    """See ``stream.cluster.Cluster``."""

    def __init__(self, given: Given) -> None:
        self._given = given
        properties = admin_properties(given)
        talkative = Properties({**properties.values, "debug": properties.values.get("debug", "feature")})
        self._witness = _Listener(talkative, "Asking about the cluster")
        self._brokers = Administrator(talkative, "", self._witness)

    def describe(self) -> ClusterInfo:
        """See the port."""
        client, doing = self._brokers.client, "Describing the cluster"
        future = self._brokers.asked(
            doing, lambda: client.describe_cluster(include_authorized_operations=True, request_timeout=REQUEST_S)
        )
        told = self._brokers.answer(doing, future)
        if told is None:
            raise Outage(f"{doing} brought nothing from {self._brokers.servers}.")
        self._brokers.hear()
        nodes = sorted(told.nodes, key=lambda node: node.id)
        return ClusterInfo(
            id=str(told.cluster_id),
            brokers=tuple(f"{node.host}:{node.port}" for node in nodes),
            release=_release(self._witness.requests),
            rights=_rights(told.authorized_operations),
            settings=self._settings(nodes[0].id) if nodes else {},
        )

    def topic_rights(self, topic: str) -> Rights | None:
        """See the port."""
        client, doing = self._brokers.client, f"Describing {topic}"
        futures = self._brokers.asked(
            doing,
            lambda: client.describe_topics(
                TopicCollection([topic]), include_authorized_operations=True, request_timeout=REQUEST_S
            ),
        )
        try:
            found = futures[topic].result()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in UNKNOWN_TOPIC:
                return None
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return frozenset()
            self._brokers.hear()
            raise failure(error, doing, self._brokers.servers) from exception
        return _rights(found.authorized_operations)

    def group(self, name: str) -> GroupInfo:
        """See the port. A coordinator that is being chosen is waited for."""
        doing = f"Describing group {name}"
        deadline = time.monotonic() + _COORDINATOR_WITHIN_S
        while True:
            try:
                return self._group(name, doing)
            except Outage:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)

    def check_transactions(self, prefix: str) -> None:
        """See the port."""
        name = f"{prefix}.doctor"
        doing = f'Opening the transactional id "{name}"'
        properties = transactional_properties(self._given, name, _SHORT_MS)
        witness = Witness(properties, doing)
        client: Client = witness.open(Client)
        try:
            _retried(lambda: client.init_transactions(1.0), witness)
        except KafkaException as exception:
            raise failure(error_of(exception), doing, properties.servers) from exception
        finally:
            client.purge()

    def newest(self, topic: str, each: int) -> Sequence[Record]:
        """See the port."""
        topics = KafkaTopics(self._given)
        lows, ends = topics.low_watermarks(topic), topics.ends(topic)
        starts = {place: max(lows.get(place, 0), end - each) for place, end in ends.items()}
        waiting = [place for place, end in ends.items() if end > starts[place]]
        return list(read_partitions(self._given, waiting, starts))

    def _group(self, name: str, doing: str) -> GroupInfo:
        client = self._brokers.client
        future = self._brokers.asked(
            doing,
            lambda: client.describe_consumer_groups(
                [name], include_authorized_operations=True, request_timeout=REQUEST_S
            ),
        )[name]
        found = self._brokers.answer(doing, future, KafkaError.GROUP_AUTHORIZATION_FAILED)
        if found is None:
            return GroupInfo()
        gone = found.state == ConsumerGroupState.DEAD
        members = () if gone else tuple(_member(member) for member in found.members)
        return GroupInfo(members, _rights(found.authorized_operations))

    def _settings(self, broker: int) -> Mapping[str, str]:
        client, doing = self._brokers.client, f"Reading the settings of broker {broker}"
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        futures = self._brokers.asked(doing, lambda: client.describe_configs([resource], request_timeout=REQUEST_S))
        for future in futures.values():
            entries = self._brokers.answer(doing, future, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
            return {key: entry.value for key, entry in (entries or {}).items() if entry.value is not None}
        return {}


class _Listener(Witness):
    """Keeps the requests that a broker knows (number → newest version), and logs none of them."""

    def __init__(self, properties: Properties, doing: str) -> None:
        super().__init__(properties, doing)
        self.requests: dict[int, int] = {}

    def log(self, level: int, template: str, *arguments: object) -> None:
        line = template % arguments if arguments else template
        found = _API.search(line)
        if found is not None:
            number, newest = int(found[1]), int(found[3])
            # The oldest broker of a cluster that is being upgraded counts.
            self.requests[number] = min(newest, self.requests.get(number, newest))
        elif not line.startswith(("APIVERSION", "FEATURE")):
            super().log(level, template, *arguments)


def _release(requests: Mapping[int, int]) -> tuple[int, int] | None:
    for release, known in _RELEASES:
        if all(requests.get(number, -1) >= version for number, version in known.items()):
            return release
    return None


def _rights(operations: Sequence[AclOperation] | None) -> Rights:
    return frozenset(operation.name.lower() for operation in operations or ())


def _member(told: object) -> Member:
    assignment = getattr(told, "assignment", None)
    places = assignment.topic_partitions if assignment is not None else ()
    return Member(
        client=str(getattr(told, "client_id", "")),
        host=str(getattr(told, "host", "")).removeprefix("/"),
        partitions=frozenset(Partition(place.topic, place.partition) for place in places),
    )


def _retried(request: Callable[[], None], witness: Witness) -> None:
    deadline = time.monotonic() + _OPEN_WITHIN_S
    while True:
        try:
            return request()
        except KafkaException as exception:
            witness.raise_fatal()
            if not error_of(exception).retriable() or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
