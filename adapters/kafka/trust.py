# ruff: noqa: SLF001 - librdkafka's own errors are named with a leading underscore; they are public
"""What a failed TLS handshake means, and which file a client could not be opened with.

librdkafka tells of a handshake in OpenSSL's words, and of a file that is not there in OpenSSL's numbers. Two things
are made of them here. Certificates that do not belong together need a person, whichever side refused: a broker that
``ssl.ca.location`` does not vouch for, and a client certificate that the broker does not let in. And a file that
cannot be read is named with its key, which is a mistake of the configuration and not of the network.

A handshake that was cut off is neither: it is an outage like any lost connection, whose words name a listener without
TLS as the likely cause.
"""

from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaError as E

_FILES = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.crl.location",
    "ssl.engine.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.private.key.file",
)
_PROBED = "probe"
"""As the value of ``ssl.ca.location``: librdkafka looks in the usual places."""

_BROKER_REFUSED = ("certificate verify failed", "hostname mismatch", "self-signed certificate")
_CLIENT_REFUSED = (
    "alert certificate required",
    "alert bad certificate",
    "alert certificate unknown",
    "alert certificate expired",
    "alert certificate revoked",
    "alert unsupported certificate",
    "alert unknown ca",
    "alert access denied",
    "peer did not return a certificate",
)


def distrust(error: E, servers: str) -> str | None:
    """The sentence of an error of no call in which one side refused the other's certificate; None for any other."""
    if error.code() not in (E._SSL, E._TRANSPORT):
        return None
    said = error.str().lower()
    if any(words in said for words in _BROKER_REFUSED):
        return (
            f"the certificate of the broker at {servers} is not one that this client trusts. Set ssl.ca.location in "
            "[kafka] to the authority that signed it, and use the broker's name as the certificate has it"
        )
    if any(words in said for words in _CLIENT_REFUSED):
        return (
            f"the broker at {servers} refuses this client's certificate. Set ssl.certificate.location and "
            "ssl.key.location in [kafka] to a certificate of an authority that the broker trusts"
        )
    return None


def unreadable(values: Mapping[str, str]) -> str | None:
    """Which file of these properties cannot be read, and why; None where all can."""
    for key in _FILES:
        path = values.get(key)
        if not path or (key == "ssl.ca.location" and path == _PROBED):
            continue
        try:
            if Path(path).is_dir():
                if key == "ssl.ca.location":
                    continue
                return f'"{key}" in [kafka] is {path}, which is a folder; name a file.'
            with Path(path).open("rb"):
                pass
        except OSError as error:
            return f'"{key}" in [kafka] is {path}, which cannot be read: {error.strerror}.'
    return None


def refused_key(said: str, values: Mapping[str, str]) -> str | None:
    """A sentence for a private key that is there and cannot be opened; None where that is not what was said."""
    for key in ("ssl.key.location", "ssl.key.pem", "ssl.keystore.location"):
        if said.find(f"{key} failed") >= 0 and key in values:
            locked = "ssl.keystore.password" if key == "ssl.keystore.location" else "ssl.key.password"
            given = "with the" if locked in values else "without a"
            return (
                f'The private key of "{key}" in [kafka] cannot be opened {given} "{locked}"; correct the password, '
                "or name a key in PEM form."
            )
    return None
