import ssl

import pytest

pytest.importorskip("faust")

from adapters.faust.security import brokers, credentials
from stream.errors import Misuse


def test_every_bootstrap_server_is_an_address_of_its_own():
    assert brokers({"bootstrap.servers": "one:9092, two:9093"}) == ["kafka://one:9092", "kafka://two:9093"]
    assert brokers({"metadata.broker.list": "one:9092"}) == ["kafka://one:9092"]


def test_a_plain_broker_asks_for_nothing():
    assert credentials({}) is None
    assert credentials({"security.protocol": "PLAINTEXT"}) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_name_and_password_are_passed_on(mechanism):
    given = {"sasl.mechanisms": mechanism, "sasl.username": "name", "sasl.password": "word"}
    plain = credentials({"security.protocol": "sasl_plaintext", **given})
    assert (plain.protocol.value, plain.mechanism.value) == ("SASL_PLAINTEXT", mechanism)
    assert (plain.username, plain.password, plain.ssl_context) == ("name", "word", None)
    secured = credentials({"security.protocol": "SASL_SSL", **given})
    assert secured.protocol.value == "SASL_SSL"
    assert secured.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_certificates_are_checked_unless_that_is_switched_off():
    asked = credentials({"security.protocol": "ssl"})
    assert asked.protocol.value == "SSL"
    assert asked.context.check_hostname
    off = credentials({"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"})
    assert not off.context.check_hostname
    assert off.context.verify_mode is ssl.CERT_REQUIRED
    none = credentials({"security.protocol": "ssl", "enable.ssl.certificate.verification": False})
    assert none.context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"security.protocol": "kerberos"},
            r'"security\.protocol" is plaintext, ssl, sasl_plaintext, sasl_ssl under Faust',
        ),
        ({"security.protocol": "sasl_ssl", "sasl.mechanism": "GSSAPI"}, r'"sasl\.mechanism" is PLAIN, SCRAM'),
        (
            {"security.protocol": "ssl", "ssl.keystore.location": "x"},
            r'"ssl\.keystore\.location" is not known under Faust',
        ),
        ({"security.protocol": "ssl", "ssl.ca.location": "/not/there"}, "certificate or key .* cannot be read"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_without_its_value(given, sentence):
    with pytest.raises(Misuse, match=sentence) as refused:
        credentials({**given, "sasl.password": "very secret"})
    assert "very secret" not in str(refused.value)
    assert "/not/there" not in str(refused.value)
