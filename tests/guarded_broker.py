"""A broker of the local stack behind TLS, passwords, client certificates and rights, with certificates made for it.

Doors beside the plain one: TLS (the server is verified; behind ELSEWHERE it shows another host's certificate), SCRAM
over TLS, and mutual TLS, where a client's user is the common name of its certificate. Nobody has a right at the last
two that was not granted by :meth:`grant`. The authority lives as long as the broker; a second one stands for the
certificates that must not be trusted.
"""

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from deployed_stream import Stream

from compose.native.kafka import Kafka
from compose.native.listeners import Access, Certificate, Listener
from compose.native.ports import Ports

_RULES = "RULE:^.*CN=([^,]+).*$/$1/,DEFAULT"
_MECHANISM = "SCRAM-SHA-512"
_NEEDED = (
    ("topic", "cdc", ("read",), False),
    ("topic", "chunks", ("read", "write", "create", "describe_configs"), False),
    ("topic", "letter_topic", ("write", "create", "describe_configs"), False),
    ("group", "name", ("read",), True),
    ("transactional_id", "name", ("write",), True),
)
"""As README tells them; groups and transactional ids begin with the deployment's name."""


class GuardedBroker:
    """Started by the constructor, ended by ``close``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-guarded-"))
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.ca, self.wrong_ca = self.folder / "ca.pem", self.folder / "stranger.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.stranger.cert_pem.write_to_path(self.wrong_ca)
        keystore = self._keystore("localhost", "127.0.0.1")
        verified, mutual = Certificate(keystore), Certificate(keystore, clients=self.ca)
        access = Access(
            listeners=(
                Listener("TLS", "SSL", verified),
                Listener("ELSEWHERE", "SSL", Certificate(self._keystore("elsewhere.example.org"))),
                Listener("SCRAM", "SASL_SSL", verified, scram=(_MECHANISM,)),
                Listener("MUTUAL", "SSL", mutual, principals=_RULES),
            ),
            authorized=True,
        )
        (self.folder / "kafka").mkdir()
        self.kafka = Kafka(self.folder / "kafka", Ports(self.folder / "ports.json"), access=access)
        self.kafka.start(lambda _line: None)
        self.kafka.await_ready()
        self.admin = AdminClient({"bootstrap.servers": self.plain})

    @property
    def plain(self) -> str:
        """Where everybody may do everything."""
        assert self.kafka.bootstrap is not None
        return self.kafka.bootstrap

    def close(self) -> None:
        self.kafka.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- whoever comes in ---

    def add_user(self, name: str, password: str) -> None:
        """At the door SCRAM."""
        kind = ScramMechanism.SCRAM_SHA_512
        wanted = UserScramCredentialUpsertion(name, ScramCredentialInfo(kind, 4096), password.encode())
        for done in self.admin.alter_user_scram_credentials([wanted]).values():
            done.result(20)

    def certificate(self, user: str, password: str = "", *, trusted: bool = True) -> tuple[Path, Path]:
        """A client's chain and its key, encrypted with ``password`` where one is given."""
        authority = self.authority if trusted else self.stranger
        issued = authority.issue_cert(f"{user}@example.org", common_name=user)
        chain, key = self.folder / f"{user}.pem", self.folder / f"{user}.key"
        chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        key.write_bytes(pkcs8(issued, password))
        key.chmod(0o600)
        return chain, key

    def grant(self, user: str, kind: str, name: str, *operations: str, prefixed: bool = False) -> None:
        """``kind`` is topic, group, transactional_id or broker (the cluster, named ``kafka-cluster``)."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        wanted = [
            AclBinding(
                ResourceType[kind.upper()],
                name,
                pattern,
                f"User:{user}",
                "*",
                AclOperation[operation.upper()],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        for done in self.admin.create_acls(wanted).values():
            done.result(20)

    # --- what a configuration says of the doors ---

    def tls(self, door: str = "TLS") -> dict[str, str]:
        return {
            "bootstrap.servers": self._at(door),
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.ca),
        }

    def scram(self, user: str, password: str) -> dict[str, str]:
        return {
            "bootstrap.servers": self._at("SCRAM"),
            "security.protocol": "sasl_ssl",
            "ssl.ca.location": str(self.ca),
            "sasl.mechanism": _MECHANISM,
            "sasl.username": user,
            "sasl.password": password,
        }

    def mutual(self, user: str, password: str = "", *, trusted: bool = True) -> dict[str, str]:
        chain, key = self.certificate(user, password, trusted=trusted)
        found = {
            "bootstrap.servers": self._at("MUTUAL"),
            "security.protocol": "ssl",
            "ssl.ca.location": str(self.ca),
            "ssl.certificate.location": str(chain),
            "ssl.key.location": str(key),
        }
        return {**found, "ssl.key.password": password} if password else found

    def _keystore(self, *names: str) -> Path:
        shown = self.authority.issue_cert(*names)
        keystore = self.folder / f"{names[0]}.keystore.pem"
        keystore.write_bytes(pkcs8(shown) + b"".join(part.bytes() for part in shown.cert_chain_pems))
        keystore.chmod(0o600)
        return keystore

    def _at(self, door: str) -> str:
        address = self.kafka.address(door)
        assert address is not None
        return address


def granted_all(
    broker: GuardedBroker, user: str, stream: Stream, *, but: Collection[tuple[str, str, str]] = ()
) -> None:
    """Grants what a chunker and an embedder of this deployment need, and nothing else.

    ``but`` holds kind, attribute of the stream and operation of what is left out.
    """
    for kind, attribute, operations, prefixed in _NEEDED:
        granted = [operation for operation in operations if (kind, attribute, operation) not in but]
        if granted:
            broker.grant(user, kind, getattr(stream, attribute), *granted, prefixed=prefixed)


def pkcs8(issued: trustme.LeafCert, password: str = "") -> bytes:
    """The key in the one form that Java reads too."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
