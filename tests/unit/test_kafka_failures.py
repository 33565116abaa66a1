"""What an error of librdkafka means, and that its sentence says what to do."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.failures import error_of, failure, translated
from stream.errors import Fatal, Outage, Poison

E = KafkaError


def meant(code, **flags):
    return failure(KafkaError(code, "what the broker said", **flags), "Doing this", "broker:9092")


@pytest.mark.parametrize(
    ("code", "kind", "cure"),
    [
        (E._FENCED, Fatal, "same [chunker] instance took over"),
        (E.INVALID_PRODUCER_EPOCH, Fatal, "same [chunker] instance took over"),
        (E._AUTHENTICATION, Fatal, "refuses the credentials"),
        (E.SASL_AUTHENTICATION_FAILED, Fatal, "refuses the credentials"),
        (E.TOPIC_AUTHORIZATION_FAILED, Fatal, "Grant it"),
        (E.GROUP_AUTHORIZATION_FAILED, Fatal, "Grant it"),
        (E.UNKNOWN_TOPIC_OR_PART, Fatal, "Create it"),
        (E._UNKNOWN_PARTITION, Fatal, "Create it"),
        (E.MSG_SIZE_TOO_LARGE, Poison, "max.message.bytes"),
        (E.INVALID_RECORD, Poison, "refuses the record"),
        (E._AUTO_OFFSET_RESET, Fatal, "next generation"),
        (E.OFFSET_OUT_OF_RANGE, Fatal, "next generation"),
        (E.UNSUPPORTED_VERSION, Fatal, '"group.protocol" = "classic"'),
        (E.INCONSISTENT_GROUP_PROTOCOL, Fatal, "Stop them"),
        (E.INVALID_TRANSACTION_TIMEOUT, Fatal, "Lower it"),
        (E.INVALID_REPLICATION_FACTOR, Fatal, "Correct them"),
        (E._ALL_BROKERS_DOWN, Outage, "tried again"),
        (E._TRANSPORT, Outage, "tried again"),
        (E._RESOLVE, Outage, "tried again"),
        (E._NOENT, Outage, "tried again"),
        (E._MSG_TIMED_OUT, Outage, "tried again"),
        (E.NOT_ENOUGH_REPLICAS, Outage, "tried again"),
        (E.UNKNOWN_MEMBER_ID, Outage, "tried again"),
        (E.REBALANCE_IN_PROGRESS, Outage, "tried again"),
        (E._BAD_MSG, Fatal, "does not know"),
    ],
)
def test_each_error_has_its_kind_and_its_cure(code, kind, cure):
    error = meant(code)
    assert type(error) is kind
    assert cure in str(error)
    assert "Doing this" in str(error)
    assert "what the broker said" in str(error)


def test_librdkafkas_own_flags_decide_what_the_table_leaves_open():
    assert isinstance(meant(E._INCONSISTENT, txn_requires_abort=True), Outage)
    assert isinstance(meant(E._INCONSISTENT, retriable=True), Outage)
    assert "start the process again" in str(meant(E._INCONSISTENT, fatal=True))
    assert isinstance(meant(E._INCONSISTENT), Fatal)


def test_no_exception_of_the_library_gets_out():
    with pytest.raises(Outage, match="Reading"), translated("Reading", "broker:9092"):
        raise KafkaException(KafkaError(E._TRANSPORT))
    with pytest.raises(Fatal), translated("Reading", "broker:9092"):
        raise KafkaException("odd")
    assert error_of(KafkaException("odd")).str() == "odd"
