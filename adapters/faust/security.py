"""From librdkafka's properties to what Faust's client (aiokafka) takes: brokers and credentials.

The ``[kafka]`` section is written for librdkafka, and the other roles of the deployment read the same one. What
decides where the brokers are and who asks is translated; a way of authentication that is not translated is refused
with a sentence, never left out, because a client would then ask without it. No sentence shows a value.
"""

import ssl
from collections.abc import Mapping, Sequence

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import AuthProtocol, CredentialsT

from stream.errors import Misuse

Given = Mapping[str, str | int | float | bool]

_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TRUSTED = ("ssl.ca.location", "ssl.ca.pem")
_TRANSLATED = frozenset(
    {*_TRUSTED, "ssl.certificate.location", "ssl.key.location", "ssl.key.password"}
    | {"ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification"}
)


def brokers(given: Given) -> Sequence[str]:
    """``kafka://host:port`` of each bootstrap server."""
    servers = str(given.get("bootstrap.servers") or given.get("metadata.broker.list") or "")
    return [f"kafka://{server.strip()}" for server in servers.split(",") if server.strip()]


def credentials(given: Given) -> CredentialsT | None:
    """None where the brokers ask for none. Raises Misuse for what Faust's client cannot be told."""
    protocol = str(given.get("security.protocol", "plaintext")).lower()
    if protocol not in _PROTOCOLS:
        raise Misuse(f'"security.protocol" is {", ".join(_PROTOCOLS)} under Faust; choose one of them.')
    context = _context(given) if protocol.endswith("ssl") else None
    if protocol == "plaintext":
        return None
    if protocol == "ssl":
        return SSLCredentials(context)
    mechanism = str(given.get("sasl.mechanisms") or given.get("sasl.mechanism") or "").upper()
    if mechanism not in _MECHANISMS:
        raise Misuse(f'"sasl.mechanism" is {", ".join(_MECHANISMS)} under Faust; choose one of them.')
    made = SASLCredentials(
        username=str(given.get("sasl.username", "")),
        password=str(given.get("sasl.password", "")),
        mechanism=mechanism,
        ssl_context=context,
    )
    made.protocol = AuthProtocol.SASL_SSL if context is not None else AuthProtocol.SASL_PLAINTEXT
    return made


def _context(given: Given) -> ssl.SSLContext:
    for name in given:
        if name.startswith("ssl.") and name not in _TRANSLATED:
            raise Misuse(
                f'"{name}" is not known under Faust; give certificates as files (ssl.ca.location and others).'
            )
    location, pem = (str(given[name]) if name in given else None for name in _TRUSTED)
    try:
        context = ssl.create_default_context(cafile=location, cadata=pem)
        if "ssl.certificate.location" in given:
            own, key, password = (
                str(given[name]) if name in given else None
                for name in ("ssl.certificate.location", "ssl.key.location", "ssl.key.password")
            )
            context.load_cert_chain(str(own), key, password)
    except OSError as error:  # ssl.SSLError is one
        raise Misuse(
            f"A certificate or key of the [kafka] section cannot be read ({error.strerror or 'TLS'})."
        ) from None
    if str(given.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        context.check_hostname = False
    if str(given.get("enable.ssl.certificate.verification", "true")).lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
