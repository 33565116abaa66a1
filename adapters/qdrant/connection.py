"""The way to one server: a client that any number of threads may use, and the one place where its errors are told.

Nothing is asked of the server before the first call, so a process starts while the server is away and waits as for
any outage. The first call asks for the server's version: below 1.17 a conditional write does not do what the protocol
rests on, and is refused; below 1.19 its write-ahead log could undo deletes by filter, which is said once, and refused
where marks are to be deleted.

Requests of one call may be in flight together, on threads that belong to the connection. Every one of them is waited
for before the call ends, whatever became of the others: what a caller does next comes after all it has asked for.
"""

import logging
import re
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
from qdrant_client import QdrantClient

from adapters.qdrant.failures import server
from adapters.qdrant.options import Pace, ServerOptions
from stream.errors import EmbedstreamError, Fatal, Misuse, Outage, Poison

OLDEST = (1, 17)
RECOMMENDED = (1, 19)

_LOG = logging.getLogger("embedstream.qdrant")
_KEEPALIVE_MS = 30_000

Answer = TypeVar("Answer")


class Connection:
    """``where`` is the address as errors show it."""

    def __init__(self, client: QdrantClient, where: str, pace: Pace, *, binary: bool = False) -> None:
        self.where = where
        self.pace = pace
        self.binary = binary
        """Whether numbers travel as numbers, not as JSON's digits."""
        self._client = client
        self._pool = ThreadPoolExecutor(pace.requests_in_flight, "qdrant")
        self._lock = threading.Lock()
        self._version: str | None = None
        self._closed = False

    def call(self, doing: str, use: Callable[[QdrantClient], Answer], *, points: bool = False) -> Answer:
        """What the client answered. Raises Outage, Fatal, and Poison where ``points`` were refused."""
        self.version()
        with server(self.where, doing, points=points):
            return use(self._open_client())

    def side_by_side(self, calls: Sequence[Callable[[], object]]) -> None:
        """All of them, as many at once as the pace allows; raises what is gravest of what any of them raised."""
        if len(calls) == 1:
            calls[0]()
            return
        self._open_client()
        running: list[Future[object]] = [self._pool.submit(call) for call in calls]
        failures = [error for future in running if (error := future.exception()) is not None]
        if failures:
            raise min(failures, key=_gravity)

    def version(self) -> str:
        """The server's, asked for once. Raises Fatal where it is too old."""
        if self._version is not None:
            return self._version
        with self._lock:
            if self._version is None:
                with server(self.where, "asking for its version"):
                    version = str(self._open_client().info().version)
                _check(version, self.where)
                self._version = version
        return self._version

    def require_lasting_deletes(self) -> None:
        """Raises Fatal for a server that may undo a delete by condition when it starts again (its issue 9575)."""
        version = self.version()
        if (_numbers(version) or OLDEST) < RECOMMENDED:
            raise Fatal(
                f"Qdrant at {self.where} is version {version}, which may undo a delete when it starts again; upgrade "
                "the server to 1.19 or later to purge."
            )

    def close(self) -> None:
        """Waits for what is in flight. Later calls raise Fatal; a second closing does nothing."""
        if not self._closed:
            self._closed = True
            self._pool.shutdown()
            self._client.close()

    def _open_client(self) -> QdrantClient:
        if self._closed:
            raise Fatal("This index was closed; open the catalog again.")
        return self._client


def connect(options: ServerOptions) -> Connection:
    """Nothing is asked of the server yet. Raises Misuse where a certificate's file cannot be read."""
    address, pace = options.address, options.pace
    if options.api_key is not None and not address.tls and not address.loopback:
        _LOG.warning("index.qdrant.api_key is sent to %s unencrypted; use https or grpcs", address)
    client = QdrantClient(
        url=address.rest_url,
        grpc_port=address.port,
        prefer_grpc=address.grpc,
        https=address.tls,
        timeout=pace.timeout_s,
        # As a header: given as a key the client warns on standard error where the address is not https.
        headers={} if options.api_key is None else {"api-key": options.api_key},
        check_compatibility=False,
        grpc_options=_grpc_options(options),
        pool_size=None if not address.grpc else pace.requests_in_flight,
        limits=_limits(pace) if not address.grpc else None,
        verify=_verification(options),
        trust_env=not address.loopback,
    )
    if address.grpc:
        # The client makes its channels when they are first used, and two threads would make them twice.
        with server(str(address), "opening a channel"):
            client._client.grpc_root  # type: ignore[attr-defined]  # noqa: B018, SLF001
    return Connection(client, str(address), pace, binary=address.grpc)


def _limits(pace: Pace) -> httpx.Limits:
    """Connections are kept: the client's own default opens one for each request to this machine."""
    kept = pace.requests_in_flight + 4
    return httpx.Limits(max_connections=None, max_keepalive_connections=kept)


def _verification(options: ServerOptions) -> ssl.SSLContext | bool:
    if not options.address.tls:
        return True
    trust = options.trust
    try:
        context = ssl.create_default_context(cafile=trust.authority)
        if trust.certificate is not None:
            context.load_cert_chain(trust.certificate, trust.key)
    except (OSError, ssl.SSLError) as error:
        raise Misuse(
            f"A certificate's file of [index.qdrant] cannot be used ({error}); see to ca_location, "
            "certificate_location and key_location."
        ) from error
    return context


def _grpc_options(options: ServerOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {"grpc.keepalive_time_ms": _KEEPALIVE_MS}
    if options.address.loopback:
        settings["grpc.enable_http_proxy"] = 0
    if options.address.tls and options.address.grpc:
        trust = options.trust
        files = {
            "root_certificates": trust.authority,
            "certificate_chain": trust.certificate,
            "private_key": trust.key,
        }
        for name, file in files.items():
            if file is not None:
                settings[name] = _content(file)
    return settings


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise Misuse(f"{file}, named in [index.qdrant], cannot be read ({error.strerror}).") from error


def _check(version: str, where: str) -> None:
    found = _numbers(version)
    if found is None:
        raise Fatal(f"What answers at {where} calls itself version {version!r}; see whether index.url is a Qdrant.")
    if found < OLDEST:
        raise Fatal(
            f"Qdrant at {where} is version {version}, which does not keep the conditions of writes as this index "
            "needs them; upgrade the server to 1.19 or later."
        )
    if found < RECOMMENDED:
        _LOG.warning(
            "Qdrant at %s is version %s; from 1.19 on a restart surely keeps what was written by condition: upgrade",
            where,
            version,
        )


def _numbers(version: str) -> tuple[int, int] | None:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return None if numbers is None else (int(numbers[1]), int(numbers[2]))


def _gravity(error: BaseException) -> tuple[int, float]:
    """Unforeseen and fatal first; then outages, the one that asks for the longest wait in front; poison last."""
    if not isinstance(error, EmbedstreamError):
        return 0, 0.0
    if isinstance(error, Outage):
        return 2, -(error.retry_after_s or 0.0)
    return (3, 0.0) if isinstance(error, Poison) else (1, 0.0)
