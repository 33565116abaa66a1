"""Doors of the local broker beside its plain one: with TLS, with passwords, with client certificates, with rights.

The plain listener on loopback stays what the broker and the stack themselves use, and with an authorizer its
nameless user is the super user: credentials and rights are handed out through it. Every other door is a
:class:`Listener` with settings of its own, so one broker shows all of them to whoever has to be tried at each.

Nothing here makes a certificate or a password. Files are named by their paths, in PEM as every other part of the
system has them; passwords of users are given to the running broker and stand in no file and on no command line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream.errors import Misuse

Protocol = Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"]

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_TAKEN = frozenset({"PLAINTEXT", "CONTROLLER"})


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the broker shows and whom it trusts. ``keystore``: key (PKCS #8) and chain in one PEM file; ``clients``:
    the authorities whose client certificates are let in, or None where none is asked for.
    """

    keystore: Path
    clients: Path | None = None

    def properties(self) -> dict[str, str]:
        """As a listener takes them."""
        shown = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.keystore)}
        if self.clients is None:
            return {**shown, "ssl.client.auth": "none"}
        return {
            **shown,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.clients),
            "ssl.client.auth": "required",
        }


@dataclass(frozen=True, slots=True)
class Listener:
    """One more door. ``scram`` names the mechanisms (``SCRAM-SHA-512``) of a SASL door; ``principals`` are Kafka's
    rules from a certificate's distinguished name to a user's.
    """

    name: str
    protocol: Protocol
    certificate: Certificate | None = None
    scram: tuple[str, ...] = ()
    principals: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            raise Misuse(
                f"A listener cannot be named {self.name!r}: capitals, digits and '_', and a name of its own."
            )
        if self.protocol.endswith("SSL") != (self.certificate is not None):
            raise Misuse(
                f"The listener {self.name} speaks {self.protocol}: with TLS it needs a certificate, else none."
            )
        if self.protocol.startswith("SASL") != bool(self.scram):
            raise Misuse(f"The listener {self.name} speaks {self.protocol}: SASL needs a mechanism, and only SASL.")

    def properties(self) -> dict[str, str]:
        """The broker's settings of this listener."""
        own: dict[str, str] = {} if self.certificate is None else self.certificate.properties()
        if self.scram:
            own["sasl.enabled.mechanisms"] = ",".join(self.scram)
            for mechanism in self.scram:
                login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                own[f"{mechanism.lower()}.sasl.jaas.config"] = login
        if self.principals is not None:
            own["ssl.principal.mapping.rules"] = self.principals
        return {f"listener.name.{self.name.lower()}.{key}": value for key, value in own.items()}


@dataclass(frozen=True, slots=True)
class Access:
    """How a broker is reached beside its plain door, and whether rights are asked for there."""

    listeners: tuple[Listener, ...] = ()
    authorized: bool = False
    """Whoever comes by another door has the rights that were granted, and no others."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Any other setting of the broker."""

    def properties(self) -> dict[str, str]:
        """The broker's settings, the addresses of the doors left out."""
        found = {key: value for listener in self.listeners for key, value in listener.properties().items()}
        if self.authorized:
            found["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            found["super.users"] = "User:ANONYMOUS"
        return {**found, **self.settings}


PLAIN_ONLY = Access()
"""The plain door, and everybody may do everything."""
