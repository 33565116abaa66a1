"""A web application served from a thread of this process: the query service's and every process's telemetry.

The socket is bound here before the thread starts, so a port that is taken is an error (or, where the owner says so,
the next free port) at the place that asked for it, and the address is known when the constructor returns. Closing
lets requests in flight end within a bound, then joins the thread: no socket and no event loop is left behind.

The server takes no signals: stopping is the decision of the process that owns it.
"""

import asyncio
import errno
import logging
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from stream.errors import Fatal, Misuse

_LOG = logging.getLogger("embedstream.http")
_TRIES = 100
"""How many ports after the wanted one are tried."""
_START_S = 10.0
_DRAIN_S = 5


class HttpServer:
    """Serves ``app`` from construction to :meth:`close`. ``host`` and ``port`` are where it really listens."""

    def __init__(self, app: ASGIApp, host: str, port: int, *, name: str = "http", next_free: bool = False) -> None:
        """Port 0 takes any free one. Raises Misuse where the address cannot be listened on."""
        self._socket = _listen(host, port, _TRIES if next_free and port else 1)
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        if next_free and port not in (0, self.port):
            _LOG.warning("Port %d on %s is taken; %s listens on %d instead.", port, host, name, self.port)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
            timeout_keep_alive=5,
        )
        self._server = _Announcing(config)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"{name}-server", daemon=True)
        self._thread.start()
        if not self._server.up.wait(_START_S) or self._failure is not None:
            self.close()
            raise Fatal(f"The {name} server did not start on {self.url}: {self._failure or 'no answer in time'}.")

    @property
    def url(self) -> str:
        """``http://host:port``, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def running(self) -> bool:
        """False once it was closed or died."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends requests in flight, at most a few seconds, and the thread. May be called again."""
        self._server.should_exit = True
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:  # noqa: BLE001 - kept for the thread that waits, and told there
            self._failure = error
        finally:
            self._server.up.set()


class _Announcing(uvicorn.Server):
    """Says when it accepts requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _listen(host: str, port: int, tries: int) -> socket.socket:
    """A socket that listens on the first free port of ``port .. port + tries - 1``."""
    for candidate in range(port, min(port + tries, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, candidate, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except socket.gaierror as error:
            raise Misuse(f"Cannot listen on {host}: the name is unknown ({error.strerror}).") from error
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(128)
        except OSError as error:
            opened.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise Misuse(f"Cannot listen on {host}:{candidate}: {error.strerror}.") from error
        return opened
    if tries > 1:
        raise Misuse(f"Ports {port} to {port + tries - 1} on {host} are all taken; choose another listen address.")
    raise Misuse(f"Port {port} on {host} is taken; choose another listen address, or stop what listens there.")
