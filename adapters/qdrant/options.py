"""How a Qdrant server is reached and what is asked of a new collection, as values.

Nothing here imports the client, which takes seconds: a configuration is read and checked without it, and a
deployment whose index is a folder never loads it. Qdrant's own tables (``hnsw``, ``quantization``) pass through as
they stand and are checked by Qdrant's own models when a server is named (see ``layout``).

The key is never part of a text: neither ``repr`` nor an error shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from stream.errors import Misuse

REST_PORT = 6333
GRPC_PORT = 6334
_SCHEMES = {"http": (False, False), "https": (False, True), "grpc": (True, False), "grpcs": (True, True)}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. ``prefix`` is the path in front of its REST interface, behind a gateway."""

    host: str
    port: int
    grpc: bool = False
    tls: bool = False
    prefix: str = ""

    @property
    def rest_url(self) -> str:
        """For the client, which takes http and https alone. Brackets stand around a host with colons."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.prefix}"

    @property
    def loopback(self) -> bool:
        """Whether no network lies in between."""
        return self.host in _LOOPBACK

    def __str__(self) -> str:
        scheme = ("grpc" if self.grpc else "http") + ("s" if self.tls else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.prefix}"


def is_server(url: str) -> bool:
    """Whether ``index.url`` names a server at all."""
    return url.partition("://")[0].lower() in _SCHEMES and "://" in url


def parse_address(url: str) -> Address:
    """``http(s)://host:6333``, ``grpc(s)://host:6334``; the port may be left out. Raises Misuse with a sentence."""
    expected = "it is http(s)://host:6333 or grpc(s)://host:6334, as http://127.0.0.1:6333"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Misuse(f"`url` names no server ({error}); {expected}.") from None
    if parts.username is not None or parts.password is not None:
        raise Misuse("`url` holds a user or password; give the server's key as index.qdrant.api_key instead.")
    if parts.query or parts.fragment:
        raise Misuse(f"`url` has something behind its path, which may be a secret; {expected}.")
    if parts.scheme.lower() not in _SCHEMES or not parts.hostname:
        raise Misuse(f"`url` is {url!r}; {expected}.")
    grpc, tls = _SCHEMES[parts.scheme.lower()]
    prefix = parts.path.rstrip("/")
    if grpc and prefix:
        raise Misuse(f"`url` is {url!r}; a gRPC address has no path: {expected}.")
    return Address(parts.hostname, port or (GRPC_PORT if grpc else REST_PORT), grpc, tls, prefix)


@dataclass(frozen=True, slots=True)
class Trust:
    """What TLS rests on beside the system's own certificates: files in PEM."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection is created with; nothing of it is part of a contract. None: the server's own default."""

    shards: int | None = None
    replicas: int = 1
    write_consistency: int | None = None
    """Replicas that have to take a write; None: the majority."""
    vectors_on_disk: bool | None = None
    payload_on_disk: bool | None = None
    hnsw: Mapping[str, Any] = field(default_factory=dict)
    quantization: Mapping[str, Any] = field(default_factory=dict)

    @property
    def written_replicas(self) -> int:
        """The write consistency factor in force."""
        return self.write_consistency or majority(self.replicas)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is sent at once, and how long an answer may take."""

    timeout_s: int = 30
    batch_points: int = 128
    """Of one request, at most."""
    requests_in_flight: int = 4
    """Of one call, where order allows."""
    request_bytes: int = 24 << 20
    """Estimated, of one request; the server's limit is 32 MB unless it was raised."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """All of ``index.url`` and ``[index.qdrant]``."""

    address: Address
    api_key: str | None = field(default=None, repr=False)
    trust: Trust = Trust()
    layout: Layout = Layout()
    pace: Pace = Pace()


def majority(replicas: int) -> int:
    """The least number of replicas of which any two such sets share one."""
    return replicas // 2 + 1
