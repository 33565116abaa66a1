"""What a broker is told of its doors. No server is started here."""

from pathlib import Path

import pytest

from compose.native.listeners import PLAIN_ONLY, Access, Certificate, Listener
from stream.errors import Misuse

CERTIFICATE = Certificate(Path("/keys/broker.pem"))


def test_a_plain_broker_is_told_nothing():
    assert PLAIN_ONLY.properties() == {}


def test_each_door_has_settings_of_its_own():
    properties = Access(
        listeners=(
            Listener("TLS", "SSL", CERTIFICATE),
            Listener("MUTUAL", "SSL", Certificate(Path("/k"), clients=Path("/ca")), principals="DEFAULT"),
            Listener("SCRAM", "SASL_SSL", CERTIFICATE, scram=("SCRAM-SHA-512",)),
        ),
        authorized=True,
        settings={"num.io.threads": "2"},
    ).properties()
    assert properties["listener.name.tls.ssl.keystore.location"] == "/keys/broker.pem"
    assert properties["listener.name.tls.ssl.client.auth"] == "none"
    assert properties["listener.name.mutual.ssl.client.auth"] == "required"
    assert properties["listener.name.mutual.ssl.truststore.location"] == "/ca"
    assert properties["listener.name.mutual.ssl.principal.mapping.rules"] == "DEFAULT"
    assert properties["listener.name.scram.sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert "ScramLoginModule" in properties["listener.name.scram.scram-sha-512.sasl.jaas.config"]
    assert properties["super.users"] == "User:ANONYMOUS"
    assert properties["num.io.threads"] == "2"


@pytest.mark.parametrize(
    "door",
    [
        ("plaintext", "SSL", CERTIFICATE, ()),
        ("CONTROLLER", "SSL", CERTIFICATE, ()),
        ("TLS", "SSL", None, ()),
        ("SASL", "SASL_PLAINTEXT", CERTIFICATE, ("SCRAM-SHA-256",)),
        ("SASL", "SASL_SSL", CERTIFICATE, ()),
        ("TLS", "SSL", CERTIFICATE, ("SCRAM-SHA-256",)),
    ],
)
def test_a_door_that_cannot_be_opened_is_refused(door):
    name, protocol, certificate, scram = door
    with pytest.raises(Misuse, match="listener"):
        Listener(name, protocol, certificate, scram)
