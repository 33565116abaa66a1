"""What is heard of handshakes and files, and what a client's owner is told of it."""

import pytest
from confluent_kafka import KafkaError

from adapters.kafka.properties import Properties
from adapters.kafka.trust import distrust, refused_key, unreadable
from adapters.kafka.witness import Witness
from stream.errors import Fatal, Outage

SERVERS = Properties({"bootstrap.servers": "broker:9093"})
VERIFY = (
    "ssl://b/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker "
    "certificate could not be verified (after 14ms in state SSL_HANDSHAKE)"
)
ALERT = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116"
CUT_OFF = "SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms in state X)"
AWAY = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


def heard(*errors):
    witness = Witness(SERVERS, "Doing this")
    for error in errors:
        witness.on_error(error)
    with pytest.raises((Fatal, Outage)) as raised:
        witness.raise_heard()
    return raised.value


@pytest.mark.parametrize(
    ("code", "said", "cure"),
    [
        (KafkaError._SSL, VERIFY, "Set ssl.ca.location"),
        (KafkaError._TRANSPORT, "error:0A000086:SSL routines::certificate verify failed", "Set ssl.ca.location"),
        (KafkaError._TRANSPORT, ALERT, "Set ssl.certificate.location"),
        (KafkaError._SSL, "tlsv1 alert unknown ca", "Set ssl.certificate.location"),
    ],
)
def test_certificates_that_do_not_belong_together_are_fatal_once_no_broker_is_left(code, said, cure):
    error = KafkaError(code, said)
    assert cure in distrust(error, "broker:9093")
    witness = Witness(SERVERS, "Doing this")
    witness.on_error(error)
    witness.raise_heard()  # one broker among several may show an old certificate
    failure = heard(error, AWAY)
    assert isinstance(failure, Fatal)
    assert cure in str(failure)
    assert "broker:9093" in str(failure)
    assert "in state" not in str(failure)


def test_a_handshake_that_was_cut_off_is_an_outage_told_with_its_likely_cause():
    failure = heard(KafkaError(KafkaError._TRANSPORT, CUT_OFF), AWAY)
    assert isinstance(failure, Outage)
    assert "PLAINTEXT broker listener?" in str(failure)
    assert distrust(KafkaError(KafkaError._ALL_BROKERS_DOWN, VERIFY), "b") is None


def test_refused_credentials_are_not_forgotten_for_the_outage_that_follows():
    refused = KafkaError(KafkaError._AUTHENTICATION, "invalid credentials")
    failure = heard(refused, AWAY)
    assert isinstance(failure, Fatal)
    assert "refuses the credentials" in str(failure)


def test_a_certificate_that_was_mended_is_not_held_against_a_later_outage():
    mended = heard(KafkaError(KafkaError._SSL, VERIFY), KafkaError(KafkaError._TRANSPORT, "refused"), AWAY)
    assert isinstance(mended, Outage)


def test_a_file_that_cannot_be_read_is_named_with_its_key(tmp_path):
    there = tmp_path / "ca.pem"
    there.touch()
    assert unreadable({"ssl.ca.location": str(there), "ssl.key.location": ""}) is None
    assert unreadable({"ssl.ca.location": "probe"}) is None
    assert unreadable({"ssl.ca.location": str(tmp_path)}) is None, "a folder of authorities"
    assert "No such file" in unreadable({"ssl.ca.location": str(tmp_path / "none")})
    assert "which is a folder" in unreadable({"ssl.key.location": str(tmp_path)})


def test_a_key_that_does_not_open_names_the_password_and_tells_none():
    values = {"ssl.key.location": "/key.pem", "ssl.key.password": "hunter2"}
    said = "ssl.key.location failed: error:0A080009:SSL routines::PEM lib"
    assert 'with the "ssl.key.password"' in refused_key(said, values)
    assert "hunter2" not in refused_key(said, values)
    assert 'without a "ssl.key.password"' in refused_key(said, {"ssl.key.location": "/key.pem"})
    assert refused_key("linger.ms failed", values) is None


def test_a_hint_outlives_the_same_failure_without_it():
    hinted = KafkaError(KafkaError._TRANSPORT, f"ssl://b/bootstrap: {CUT_OFF}")
    terse = KafkaError(KafkaError._TRANSPORT, "ssl://b/bootstrap: Disconnected (after 6ms in state SSL_HANDSHAKE)")
    other = KafkaError(KafkaError._TRANSPORT, "ssl://b/bootstrap: Connect to b failed: Connection refused")
    assert "PLAINTEXT broker listener?" in str(heard(hinted, terse, AWAY))
    assert "PLAINTEXT broker listener?" in str(heard(terse, hinted, AWAY))
    assert "Connection refused" in str(heard(hinted, other, AWAY))
    assert "PLAINTEXT" not in str(heard(hinted, other, terse, AWAY))
