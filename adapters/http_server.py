"""A web application served from a thread of this process: the query service's and every process's telemetry.

The socket is bound here before the thread starts, so a port that is taken is an error (or, where the owner says so,
the next free port) at the place that asked for it, and the address is known when the constructor returns. Closing
fails no request: the address is given up first, so that a new connection is refused; then every answer asks its
connection to close, idle connections get a moment for the request that may be on its way, and requests in flight end
within a bound. Then the thread is joined: no socket and no event loop is left behind.

The server takes no signals: stopping is the decision of the process that owns it.
"""

import asyncio
import errno
import logging
import math
import socket
import threading
import time
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
_FAREWELL_S = 0.5
"""How long an idle connection of a server that closes may still bring a request."""
_LOOK_S = 0.01
_CLOSE = (b"connection", b"close")


class HttpServer:
    """Serves ``app`` from construction to :meth:`close`. ``host`` and ``port`` are where it really listens."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        name: str = "http",
        next_free: bool = False,
        drain_s: float = _DRAIN_S,
        farewell_s: float = _FAREWELL_S,
    ) -> None:
        """Port 0 takes any free one. Raises Misuse where the address cannot be listened on.

        ``drain_s``: how long requests in flight may take once it closes, idle connections ``farewell_s`` before.
        """
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
            timeout_graceful_shutdown=math.ceil(drain_s),
            timeout_keep_alive=5,
        )
        self._server = _Announcing(config, farewell_s)
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
        """Lets requests in flight end, for as long as was said, then the thread. May be called again."""
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
    """Says when it accepts requests, and takes leave of its connections before it closes them."""

    def __init__(self, config: uvicorn.Config, farewell_s: float) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._farewell_s = farewell_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # In place: requests in flight hold this very list. Those of an earlier one are closed behind their answer.
        self.server_state.default_headers.append(_CLOSE)
        end = time.monotonic() + self._farewell_s
        while self.server_state.connections and time.monotonic() < end:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(_LOOK_S)
        await super().shutdown(sockets)


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
