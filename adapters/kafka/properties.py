"""Which librdkafka properties each client gets: ours, the user's, and none that would break a law of the bus.

Every librdkafka property passes through from the ``[kafka]`` section, and the user's value wins over our default. The
exceptions are the properties on which a guarantee rests: offsets are committed by nobody but the core, reading never
jumps and shows committed records only, writing is acknowledged by all replicas and idempotent. Another value there is
refused with a sentence that names the key. What the chosen group protocol refuses is left out, and said.

One section serves consumers, producers and the administrator, so what one kind of client does not know is kept from
it (librdkafka would warn at each start). Values may be secrets: no sentence and no ``repr`` of this module shows one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.errors import Misuse

Given = Mapping[str, str | int | float | bool]
"""The ``[kafka]`` section as it was read, librdkafka's names."""

_NETWORK = {
    "client.id": "embedstream",
    "socket.nagle.disable": "true",
    "socket.keepalive.enable": "true",
    # A broker that comes back is found within two seconds.
    "reconnect.backoff.ms": "100",
    "reconnect.backoff.max.ms": "2000",
    # A topic created after we subscribed is found within three.
    "topic.metadata.refresh.interval.ms": "3000",
}
_READING = {
    "group.protocol": "consumer",
    # The broker answers as soon as there is a record; the wait only bounds how long a partition that was just
    # assigned, resumed or rewound waits for the request under way, and how soon its end is noticed.
    "fetch.wait.max.ms": "100",
    # A second by default, for which a drained local queue would stand empty.
    "fetch.queue.backoff.ms": "10",
    "fetch.error.backoff.ms": "100",
    "max.poll.interval.ms": "300000",
    # A dead member's partitions move after this long; the classic protocol only, elsewhere the broker decides.
    "session.timeout.ms": "10000",
    "heartbeat.interval.ms": "2000",
}
_WRITING = {
    "linger.ms": "0",
    "compression.type": "zstd",
    "message.max.bytes": str(16 * 1024 * 1024),
    # A topic that is not there is an error, not a time-out.
    "topic.metadata.propagation.max.ms": "5000",
}
_ADMINISTRATION = _NETWORK
_ACKNOWLEDGED_WITHIN_MS = "30000"

_CLASSIC_ONLY = (
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "partition.assignment.strategy",
    "group.protocol.type",
)
_CONSUMER_ONLY = frozenset(
    {
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "check.crcs",
        "consume.callback.max.messages",
        "coordinator.query.interval.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.protocol.type",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "offset.store.method",
        "partition.assignment.strategy",
        "queued.max.messages.kbytes",
        "queued.min.messages",
        "session.timeout.ms",
    }
)
_PRODUCER_ONLY = frozenset(
    {
        "acks",
        "batch.num.messages",
        "batch.size",
        "compression.codec",
        "compression.level",
        "compression.type",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "linger.ms",
        "message.send.max.retries",
        "message.timeout.ms",
        "partitioner",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "queuing.strategy",
        "request.required.acks",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
        "transaction.timeout.ms",
        "transactional.id",
    }
)

_TRUE, _FALSE = ("true",), ("false",)
_GUARDED: dict[str, tuple[tuple[str, ...], str]] = {
    "enable.auto.commit": (_FALSE, "an offset is committed only when everything below it is done"),
    "enable.auto.offset.store": (_FALSE, "an offset is committed only when everything below it is done"),
    "auto.offset.reset": (("error",), "a jump over records would lose them"),
    "isolation.level": (("read_committed",), "records of aborted transactions must not be indexed"),
    "enable.partition.eof": (_TRUE, "the end of a partition has to be seen to commit past transaction markers"),
    "partition.assignment.strategy": (("cooperative-sticky",), "partitions have to move one by one"),
    "acks": (("all", "-1"), "a record acknowledged by one replica can be lost"),
    "request.required.acks": (("all", "-1"), "a record acknowledged by one replica can be lost"),
    "enable.idempotence": (_TRUE, "a retried request must not write a record twice"),
    "delivery.report.only.error": (_FALSE, "every acknowledgement is waited for"),
    "allow.auto.create.topics": (_FALSE, "a topic that appears by itself has the wrong partitions and no compaction"),
}
_OURS = {
    "group.id": 'set "group_prefix" instead',
    "group.instance.id": "a static member that dies holds its partitions until the session times out",
    "transaction.timeout.ms": 'set "transaction_timeout_ms" in [chunker]',
    "transactional.id": 'it is made of the group and of "instance" in [chunker]',
}
_SECRET_WORDS = ("password", "secret", "passphrase", "key.pem", "oauthbearer.config")


@dataclass(frozen=True, slots=True)
class Properties:
    """What a client is opened with. ``notes`` are sentences about what was left out."""

    values: Mapping[str, str] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def servers(self) -> str:
        """Where the brokers are."""
        return self.values.get("bootstrap.servers") or self.values["metadata.broker.list"]

    def without_secrets(self, text: str) -> str:
        """The text with every secret value of these properties blotted out."""
        for key, value in self.values.items():
            if is_secret(key) and value:
                text = text.replace(value, "***")
        return text


def is_secret(key: str) -> bool:
    """Whether the value of this property must not be shown."""
    return any(word in key for word in _SECRET_WORDS)


def consumer_properties(given: Given, group: str) -> Properties:
    """For a member of ``group``. Raises Misuse."""
    user = _checked(given)
    protocol = user.get("group.protocol", _READING["group.protocol"])
    if protocol not in ("consumer", "classic"):
        raise Misuse(f'"group.protocol" is "consumer" (brokers from Kafka 4.0 on) or "classic", not "{protocol}".')
    enforced = {
        "group.id": group,
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": "true",
        "allow.auto.create.topics": "false",
        "partition.assignment.strategy": "cooperative-sticky",
    }
    values = _merged(_NETWORK | _READING, user, enforced, unknown_there=_PRODUCER_ONLY)
    if protocol == "classic":
        return Properties(values)
    notes = tuple(
        f'"{key}" is left out: with "group.protocol" = "consumer" the broker decides it '
        f"({'group.consumer.' + key if key.endswith('.ms') else 'group.consumer.assignors'})."
        for key in _CLASSIC_ONLY
        if key in user
    )
    return Properties({key: value for key, value in values.items() if key not in _CLASSIC_ONLY}, notes)


def onlooker_properties(given: Given, group: str) -> Properties:
    """For a consumer that asks about ``group`` and never joins it. Raises Misuse."""
    common = {key: value for key, value in given.items() if key != "group.remote.assignor"}
    joining = consumer_properties({**common, "group.protocol": "classic"}, group)
    return Properties({**joining.values, "isolation.level": "read_uncommitted"})


def producer_properties(given: Given) -> Properties:
    """For a producer without transactions. Raises Misuse."""
    user = _checked(given)
    patience = {} if "delivery.timeout.ms" in user else {"message.timeout.ms": _ACKNOWLEDGED_WITHIN_MS}
    return Properties(_writing(user, _NETWORK | _WRITING | patience, {}))


def transactional_properties(given: Given, transactional_id: str, timeout_ms: int) -> Properties:
    """For the producer under ``transactional_id``, whose transactions the broker ends after ``timeout_ms``."""
    ours = {"transactional.id": transactional_id, "transaction.timeout.ms": str(timeout_ms)}
    return Properties(_writing(_checked(given), _NETWORK | _WRITING, ours))


def admin_properties(given: Given) -> Properties:
    """For the administrator. Raises Misuse."""
    return Properties(_merged(_ADMINISTRATION, _checked(given), {}, unknown_there=_CONSUMER_ONLY | _PRODUCER_ONLY))


def _writing(user: Mapping[str, str], defaults: Mapping[str, str], enforced: Mapping[str, str]) -> dict[str, str]:
    always = {"acks": "all", "enable.idempotence": "true"}
    return _merged(defaults, user, {**enforced, **always}, unknown_there=_CONSUMER_ONLY)


def _merged(
    defaults: Mapping[str, str],
    user: Mapping[str, str],
    enforced: Mapping[str, str],
    *,
    unknown_there: frozenset[str],
) -> dict[str, str]:
    """Ours first and the user's behind them: librdkafka takes them in order, so an alias given by the user wins."""
    free = {key: value for key, value in user.items() if key not in unknown_there and key not in _GUARDED}
    kept = {key: value for key, value in defaults.items() if key not in free}
    return {**kept, **free, **enforced}


def _checked(given: Given) -> dict[str, str]:
    user = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
    for key, instead in _OURS.items():
        if key in user:
            raise Misuse(f'"{key}" cannot be set in [kafka]: {instead}.')
    for key, (allowed, reason) in _GUARDED.items():
        if key in user and user[key].lower() not in allowed:
            raise Misuse(f'"{key}" in [kafka] must stay "{allowed[0]}": {reason}. Remove the key.')
    if not user.get("bootstrap.servers") and not user.get("metadata.broker.list"):
        raise Misuse('"bootstrap.servers" is missing in [kafka]: give the brokers as "host:port".')
    return user
