# ruff: noqa: SLF001 - librdkafka's own errors are named with a leading underscore; they are public
"""What an error of librdkafka means: Outage, Poison or Fatal, with a sentence that says what to do.

    fenced, credentials, rights, unknown topic, offsets gone, wrong broker version → Fatal: a person has to act
    a record the broker refuses for its size or form                              → Poison
    anything that passes by itself, or that only ends this transaction            → Outage
    anything else                                                                 → Fatal: unforeseen

The table below is the policy; librdkafka's own flags (fatal, retriable, abortable) decide only what it leaves open.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from confluent_kafka import KafkaError as E
from confluent_kafka import KafkaException

from stream.errors import EmbedstreamError, Fatal, Outage, Poison

END_OF_PARTITION = E._PARTITION_EOF
POLLED_TOO_LATE = E._MAX_POLL_EXCEEDED
NO_BROKER = E._ALL_BROKERS_DOWN
NOT_BEGUN = E._STATE
FENCED = frozenset({E._FENCED, E.PRODUCER_FENCED, E.INVALID_PRODUCER_EPOCH, E.FENCED_INSTANCE_ID})
"""Another producer opened the same transactional id, or our transaction outlived its timeout."""
MEMBER_GONE = frozenset(
    {E.UNKNOWN_MEMBER_ID, E.ILLEGAL_GENERATION, E.FENCED_MEMBER_EPOCH, E._ASSIGNMENT_LOST, E.GROUP_ID_NOT_FOUND}
)
"""The group went on without us: what we held is another member's."""
GROUP_MOVES = frozenset({E.REBALANCE_IN_PROGRESS, E.STALE_MEMBER_EPOCH, E.UNSTABLE_OFFSET_COMMIT, E._WAIT_COORD})
"""Partitions are on their way: the same request succeeds in a moment."""
NOT_FETCHING_YET = frozenset({E._STATE, E._PREV_IN_PROGRESS, E._IN_PROGRESS})
"""A partition that was just assigned cannot be rewound for a moment."""
UNKNOWN_TOPIC = frozenset({E.UNKNOWN_TOPIC_OR_PART, E._UNKNOWN_TOPIC, E._UNKNOWN_PARTITION, E.UNKNOWN_TOPIC_ID})
CREDENTIALS = frozenset({E._AUTHENTICATION, E.SASL_AUTHENTICATION_FAILED, E.UNSUPPORTED_SASL_MECHANISM})
OFFSETS_GONE = frozenset({E._AUTO_OFFSET_RESET, E.OFFSET_OUT_OF_RANGE})
RIGHTS = frozenset(
    {
        E.TOPIC_AUTHORIZATION_FAILED,
        E.GROUP_AUTHORIZATION_FAILED,
        E.CLUSTER_AUTHORIZATION_FAILED,
        E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_TOO_LARGE = frozenset({E.MSG_SIZE_TOO_LARGE, E.RECORD_LIST_TOO_LARGE})
_TOO_OLD = frozenset({E.UNSUPPORTED_VERSION, E._UNSUPPORTED_FEATURE, E.UNSUPPORTED_ASSIGNOR})
_REFUSED_TOPIC = frozenset(
    {E.INVALID_PARTITIONS, E.INVALID_REPLICATION_FACTOR, E.INVALID_CONFIG, E.POLICY_VIOLATION, E.TOPIC_EXCEPTION}
)
_PASSING = (
    MEMBER_GONE
    | GROUP_MOVES
    | {
        E._TRANSPORT,
        E._ALL_BROKERS_DOWN,
        E._RESOLVE,
        E._SSL,
        E._TIMED_OUT,
        E._TIMED_OUT_QUEUE,
        E._MSG_TIMED_OUT,
        E._PURGE_QUEUE,
        E._PURGE_INFLIGHT,
        E._QUEUE_FULL,
        E._WAIT_CACHE,
        # What a request to the leaders of partitions says while no leader is known.
        E._NOENT,
        E._DESTROY,
        E._DESTROY_BROKER,
        E.BROKER_NOT_AVAILABLE,
        E.LEADER_NOT_AVAILABLE,
        E.NOT_LEADER_FOR_PARTITION,
        E.REPLICA_NOT_AVAILABLE,
        E.NOT_ENOUGH_REPLICAS,
        E.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        E.KAFKA_STORAGE_ERROR,
        E.REQUEST_TIMED_OUT,
        E.NETWORK_EXCEPTION,
        E.COORDINATOR_NOT_AVAILABLE,
        E.COORDINATOR_LOAD_IN_PROGRESS,
        E.NOT_COORDINATOR,
        E.NOT_CONTROLLER,
        E.CONCURRENT_TRANSACTIONS,
        E.OFFSET_NOT_AVAILABLE,
        E.FENCED_LEADER_EPOCH,
        E.UNKNOWN_LEADER_EPOCH,
        E.GROUP_MAX_SIZE_REACHED,
        E.THROTTLING_QUOTA_EXCEEDED,
    }
)

_TABLE: tuple[tuple[frozenset[int], Callable[[str], EmbedstreamError], str], ...] = (
    (
        FENCED,
        Fatal,
        "another chunker with the same [chunker] instance took over. Stop one of the two, or rename one's instance.",
    ),
    (CREDENTIALS, Fatal, "the broker at {servers} refuses the credentials. Correct them in [kafka]."),
    (RIGHTS, Fatal, "this user has no right to do so at {servers}. Grant it with an ACL of Kafka."),
    (UNKNOWN_TOPIC, Fatal, "the topic or partition does not exist. Create it, or correct its name."),
    (
        _TOO_LARGE,
        partial(Poison, "too-large"),
        'a record is larger than the topic takes. Raise the topic\'s "max.message.bytes", or shorten the document.',
    ),
    (frozenset({E.INVALID_RECORD}), partial(Poison, "refused-by-broker"), "the broker refuses the record itself."),
    (
        OFFSETS_GONE,
        Fatal,
        (
            "the topic no longer has the offset to go on from, so records may be lost to this group. Build the next "
            "generation of the index, or reset the group's offsets if you know that nothing is missing."
        ),
    ),
    (
        _TOO_OLD,
        Fatal,
        'the broker at {servers} is too old. Use Kafka 4.0 or newer, or "group.protocol" = "classic" in [kafka].',
    ),
    (
        frozenset({E.INCONSISTENT_GROUP_PROTOCOL}),
        Fatal,
        'other members of this group use another "group.protocol". Stop them, then start all with one protocol.',
    ),
    (
        frozenset({E.INVALID_TRANSACTION_TIMEOUT}),
        Fatal,
        '"transaction.timeout.ms" in [kafka] is above what the broker allows. Lower it.',
    ),
    (_REFUSED_TOPIC, Fatal, "the broker at {servers} refuses these settings of the topic. Correct them."),
)


def failure(error: E, doing: str, servers: str) -> EmbedstreamError:
    """The error to raise. ``doing`` tells the effect that failed ("Committing as a member of group x")."""
    said = f"{error.name()}: {error.str()}"
    for codes, kind, sentence in _TABLE:
        if error.code() in codes:
            return kind(f"{doing} failed: {sentence.format(servers=servers)} ({said})")
    if error.fatal():
        return Fatal(f"{doing} failed, and this client cannot go on; start the process again. ({said})")
    if error.code() in _PASSING or error.retriable() or error.txn_requires_abort():
        return Outage(f"{doing} failed at {servers} and is tried again. ({said})")
    return Fatal(f"{doing} failed at {servers} for a reason that embedstream does not know. ({said})")


def error_of(exception: KafkaException) -> E:
    """The error inside; a KafkaException without one becomes an unforeseen one."""
    inside = exception.args[0] if exception.args else None
    return inside if isinstance(inside, E) else E(E._FAIL, str(exception))


def is_group_gone(error: E) -> bool:
    """Whether a member's client was given up because the broker does not know its group any more. The protocol of
    consumer groups has no way back from that but another client, and librdkafka says why in words alone.
    """
    return error.code() == E._FATAL and E(E.GROUP_ID_NOT_FOUND).str() in error.str()


@contextmanager
def translated(doing: str, servers: str) -> Iterator[None]:
    """Lets no KafkaException out: raises :func:`failure` instead."""
    try:
        yield
    except KafkaException as exception:
        raise failure(error_of(exception), doing, servers) from exception
