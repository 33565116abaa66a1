"""A loopback double of a Qdrant server's REST interface: a test double, not a server.

    python tests/doubles/qdrant_double.py [--port N] [--api-key KEY] [--version V] [--grpc]

It speaks the part of the interface that the adapter uses, over real sockets, answers from ``qdrant_state`` and does
wrong what was ordered (``ordered_faults``). As a process it prints its address, takes orders at ``POST
/double/faults`` (the fields of a fault as JSON), takes them back at ``POST /double/clear``, answers both, and ``GET
/double/faults``, with how often it did wrong and how often it still has to, and ends with its standard input.
"""

import argparse
import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import TypeAdapter, ValidationError
from qdrant_client import models

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).parents[1]))

from doubles.ordered_faults import Fault, Faults
from doubles.qdrant_state import VERSION, Refused, ServerState

_ALIASES = TypeAdapter(models.ChangeAliasesOperation)
_OPERATIONS = TypeAdapter(models.UpdateOperations)


class QdrantDouble:
    """Serves from construction to ``close``."""

    def __init__(
        self,
        state: ServerState | None = None,
        *,
        port: int = 0,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        max_request_bytes: int = 32 << 20,
    ) -> None:
        self.state = state or ServerState()
        self.faults = Faults()
        self.api_key = api_key
        self.max_request_bytes = max_request_bytes
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.double = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cuts every connection. The state stays, and another double may serve it on the same port."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.cut()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    double: QdrantDouble

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not worth a traceback."""

    def cut(self) -> None:
        for connection in list(self._connections):
            cut(connection)


def cut(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names by which requests are dispatched

    def _answer(self) -> None:
        double = self.server.double
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path).rstrip("/") or "/"
        if path.startswith("/double/"):
            self._ordered(path, body)
            return
        fault = double.faults.due(f"{self.command} {path}")
        try:
            self._check(body)
            if fault is not None and self._done_with(fault):
                return
            carry, name = route(self.command, path)
            result = carry(Asked(double.state, name, body, fault))
        except Refused as refused:
            self._send(refused.status, {"status": {"error": str(refused)}, "time": 0.0})
            return
        except ValidationError as error:
            self._send(400, {"status": {"error": f"Format error in JSON body: {error}"}, "time": 0.0})
            return
        if fault is not None and fault.kind in ("reset after", "silence after"):
            double.closing.wait(fault.seconds)
            self._cut()
        elif fault is not None and fault.kind == "half":
            self._send(500, {"status": {"error": fault.sentence}, "time": 0.0})
        elif path == "/":
            self._send(200, result)
        else:
            self._send(200, {"result": result, "status": "ok", "time": 0.001})

    def _check(self, body: bytes) -> None:
        """What a server looks at before anything else."""
        double = self.server.double
        if double.api_key is not None and self.headers.get("api-key") != double.api_key:
            raise Refused(401, "Must provide an API key or an Authorization bearer token")
        if len(body) > double.max_request_bytes:
            raise Refused(
                413,
                f"Payload error: JSON payload ({len(body)} bytes) is larger than allowed (limit: "
                f"{double.max_request_bytes} bytes).",
            )

    def _done_with(self, fault: Fault) -> bool:
        """What is done instead of what was asked for; False where that is still to be done."""
        match fault.kind:
            case "answer":
                error = {"status": {"error": fault.sentence}, "time": 0.0}
                self._send(fault.status, error, fault.retry_after)
            case "reset" | "silence":
                self.server.double.closing.wait(fault.seconds)
                self._cut()
            case "slow":
                self.server.double.closing.wait(fault.seconds)
                return False
            case _:
                return False
        return True

    def _ordered(self, path: str, body: bytes) -> None:
        faults = self.server.double.faults
        if path == "/double/faults" and body:
            faults.order(**json.loads(body))
        if path == "/double/clear":
            faults.clear()
        self._send(200, {"met": faults.met, "left": faults.left})

    def _cut(self) -> None:
        self.close_connection = True
        cut(self.connection)

    def _send(self, status: int, document: Any, retry_after: str | None = None) -> None:
        content = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\nContent-Type: application/json\r\n"
        if retry_after is not None:
            head += f"Retry-After: {retry_after}\r\n"
        try:
            self.wfile.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        except OSError:
            self.close_connection = True


@dataclass(frozen=True)
class Asked:
    """A request as its route reads it; ``fault`` is what was ordered for it."""

    state: ServerState
    name: str
    body: bytes
    fault: Fault | None


def route(method: str, path: str) -> tuple[Callable[[Asked], Any], str]:
    """What carries the request out, and the collection that it names."""
    for known, pattern, carry in _ROUTES:
        found = re.fullmatch(pattern, path)
        if known == method and found is not None:
            return carry, found[1] if found.groups() else ""
    raise Refused(404, f"This double knows no {method} {path}")


def _batch(asked: Asked) -> Any:
    operations = _OPERATIONS.validate_json(asked.body).operations
    half = len(operations) // 2 if asked.fault is not None and asked.fault.kind == "half" else None
    return [_dumped(one) for one in asked.state.batch(asked.name, operations, half)]


def _index_field(asked: Asked) -> Any:
    wanted = models.CreateFieldIndex.model_validate_json(asked.body)
    return _dumped(asked.state.index_field(asked.name, wanted.field_name, wanted.field_schema))


def _points(asked: Asked) -> Any:
    wanted = models.PointRequest.model_validate_json(asked.body)
    return [_dumped(record) for record in asked.state.retrieve(asked.name, wanted)]


_ONE = "/collections/([^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[[Asked], Any]], ...] = (
    ("GET", "/", lambda asked: {"title": "a double of qdrant", "version": asked.state.version}),
    ("GET", "/collections", lambda asked: _dumped(asked.state.collections())),
    ("GET", "/aliases", lambda asked: _dumped(asked.state.aliases())),
    (
        "POST",
        "/collections/aliases",
        lambda asked: asked.state.change_aliases(_ALIASES.validate_json(asked.body).actions),
    ),
    ("GET", _ONE, lambda asked: _dumped(asked.state.described(asked.name))),
    (
        "PUT",
        _ONE,
        lambda asked: asked.state.create(asked.name, models.CreateCollection.model_validate_json(asked.body)),
    ),
    (
        "PATCH",
        _ONE,
        lambda asked: asked.state.update(asked.name, models.UpdateCollection.model_validate_json(asked.body)),
    ),
    ("DELETE", _ONE, lambda asked: asked.state.delete(asked.name)),
    ("PUT", f"{_ONE}/index", _index_field),
    ("POST", f"{_ONE}/points/batch", _batch),
    (
        "POST",
        f"{_ONE}/points/scroll",
        lambda asked: _dumped(asked.state.scroll(asked.name, models.ScrollRequest.model_validate_json(asked.body))),
    ),
    (
        "POST",
        f"{_ONE}/points/count",
        lambda asked: _dumped(asked.state.count(asked.name, models.CountRequest.model_validate_json(asked.body))),
    ),
    (
        "POST",
        f"{_ONE}/points/query",
        lambda asked: _dumped(asked.state.query(asked.name, models.QueryRequest.model_validate_json(asked.body))),
    ),
    ("POST", f"{_ONE}/points", _points),
)


def _dumped(model: Any) -> Any:
    return model.model_dump(mode="json")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--api-key")
    arguments.add_argument("--version", default=VERSION)
    arguments.add_argument("--grpc", action="store_true", help="the gRPC interface instead, which takes no orders")
    given = arguments.parse_args()
    serve: Any = QdrantDouble
    if given.grpc:
        from doubles.qdrant_grpc_double import QdrantGrpcDouble

        serve = QdrantGrpcDouble
    double = serve(ServerState(version=given.version), port=given.port, api_key=given.api_key)
    sys.stdout.write(f"{double.url}\n")
    sys.stdout.flush()
    sys.stdin.read()
    double.close()


if __name__ == "__main__":
    main()
