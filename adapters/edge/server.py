"""The owner's side of the socket: the whole index port for other processes of the same user.

One thread a connection, one answer a request, in order; a client that wants calls side by side opens several
connections. An error of a call is the call's answer and the connection goes on; a frame that is none ends it. The
laws of the port hold across the socket because the owner's adapter keeps them: an answer to a write is sent after
the write was acknowledged.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from adapters.edge import socket_file, wire
from adapters.edge.frames import Disconnected, Frame, receive, send
from schemas.chunk_event import Json
from schemas.identity import ChunkId
from stream.errors import Fatal
from stream.points import DenseVector, Point, StoredPoint
from stream.ports import FieldType, IndexCatalog, MarkBin, VectorIndex, VectorSpec

_LAST_ANSWER_S = 5.0


class ServedIndex(VectorIndex, MarkBin, Protocol):
    """What a client needs beside the port: its pages, and the spec by which it checks what it sends."""

    vector: VectorSpec
    fields: dict[str, FieldType]

    def page(
        self, start: ChunkId | None, limit: int, *, with_vectors: bool
    ) -> tuple[list[Point], ChunkId | None]: ...

    def page_of_marks(self, start: ChunkId | None, limit: int) -> tuple[list[StoredPoint], ChunkId | None]: ...


class ServedCatalog(IndexCatalog, Protocol):
    def open(self, name: str) -> ServedIndex: ...


class SocketServer:
    """Serves from construction to :meth:`close`. Raises Fatal where the socket cannot be made."""

    def __init__(self, catalog: ServedCatalog, folder: Path) -> None:
        self._catalog = catalog
        self._folder = folder
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._closing = False
        try:
            self._listening = socket_file.listen(folder)
        except OSError as error:
            raise Fatal(f"No socket can be made in {folder} ({error}); look at its rights and disk space.") from error
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="index-socket", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Calls under way are answered first; then every connection ends. A second call does nothing."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        socket_file.remove(self._folder)
        self._wake.send(b"!")
        self._acceptor.join()
        for end in (self._listening, self._wake, self._woken):
            end.close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
            thread.join(_LAST_ANSWER_S)
            if thread.is_alive():
                # It stopped reading in the middle of an answer, and nothing would ever make room for the rest.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _accept(self) -> None:
        ready = select.poll()
        ready.register(self._listening, select.POLLIN)
        ready.register(self._woken, select.POLLIN)
        while True:
            if self._woken.fileno() in (descriptor for descriptor, _ in ready.poll()):
                return
            try:
                connection, _ = self._listening.accept()
            except OSError:
                # No descriptor left, or the client went away: the next one may have more luck.
                time.sleep(0.05)
                continue
            thread = threading.Thread(target=self._converse, args=(connection,), name="index-client", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            try:
                while True:
                    request = receive(connection)
                    try:
                        answer = answer_to(self._catalog, request)
                    except Exception as error:  # noqa: BLE001  whatever it is, the client must hear of it
                        answer = Frame(wire.error_out(error))
                    send(connection, answer)
            except Disconnected:
                pass
            finally:
                with self._lock:
                    del self._connections[connection]


def answer_to(catalog: ServedCatalog, request: Frame) -> Frame:
    """Carries one request out. Raises what the adapter raises."""
    document = request.document
    if document.get("protocol") != wire.PROTOCOL:
        raise Fatal(
            f"The owner of the index (process {os.getpid()}) is of another version of embedstream; run one version."
        )
    call, arguments = document["call"], document["arguments"]
    if call in _CATALOG_CALLS:
        return Frame({"result": _CATALOG_CALLS[call](catalog, arguments)})
    return _INDEX_CALLS[call](catalog.open(document["collection"]), arguments, request)


def _create(catalog: ServedCatalog, arguments: Mapping[str, Any]) -> Json:
    vector = VectorSpec(**arguments["vector"])
    catalog.create(arguments["name"], vector, arguments["fields"], arguments["metadata"])
    return None


def _open(catalog: ServedCatalog, arguments: Mapping[str, Any]) -> Json:
    index = catalog.open(arguments["name"])
    vector: Json = {"name": index.vector.name, "dimensions": index.vector.dimensions}
    return {"vector": vector}


_CATALOG_CALLS: Mapping[str, Callable[[ServedCatalog, Mapping[str, Any]], Json]] = {
    "hello": lambda _catalog, _arguments: os.getpid(),
    "collections": lambda catalog, _arguments: list(catalog.collections()),
    "create": _create,
    "ensure_fields": lambda catalog, arguments: catalog.ensure_fields(**arguments),
    "metadata": lambda catalog, arguments: dict(catalog.metadata(arguments["name"])),
    "replace_metadata": lambda catalog, arguments: catalog.replace_metadata(**arguments),
    "aliases": lambda catalog, _arguments: dict(catalog.aliases()),
    "switch_alias": lambda catalog, arguments: catalog.switch_alias(**arguments),
    "drop": lambda catalog, arguments: catalog.drop(**arguments),
    "open": _open,
}


def _read(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    found = index.read(arguments["documents"])
    return Frame({"result": {document: wire.stored_out(points) for document, points in found.items()}})


def _write(index: ServedIndex, arguments: Mapping[str, Any], request: Frame) -> Frame:
    index.write(wire.writes_in(arguments["writes"], request.vectors))
    return Frame({"result": None})


def _search(index: ServedIndex, arguments: Mapping[str, Any], request: Frame) -> Frame:
    asked = arguments["wanted"]
    wanted = None if asked is None else wire.filter_in(asked)
    vector = DenseVector(request.vectors[0])
    hits = index.search(vector, arguments["limit"], wanted, least_score=arguments["least_score"])
    return Frame({"result": wire.hits_out(hits)})


def _page(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    points, following = index.page(arguments["start"], arguments["limit"], with_vectors=arguments["with_vectors"])
    documents, vectors = wire.points_out(points)
    return Frame({"result": documents, "next": following}, vectors)


def _points(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    documents, vectors = wire.points_out(index.points(arguments["ids"], with_vectors=arguments["with_vectors"]))
    return Frame({"result": documents}, vectors)


def _count(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    return Frame({"result": index.count(arguments["state"])})


def _marks(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    marks, following = index.page_of_marks(arguments["start"], arguments["limit"])
    return Frame({"result": wire.marks_out(marks), "next": following})


def _discard(index: ServedIndex, arguments: Mapping[str, Any], _request: Frame) -> Frame:
    index.discard(wire.marks_in(arguments["marks"]))
    return Frame({"result": None})


def _flush(index: ServedIndex, _arguments: Mapping[str, Any], _request: Frame) -> Frame:
    index.flush()
    return Frame({"result": None})


_INDEX_CALLS: Mapping[str, Callable[[ServedIndex, Mapping[str, Any], Frame], Frame]] = {
    "read": _read,
    "write": _write,
    "search": _search,
    "page": _page,
    "points": _points,
    "count": _count,
    "marks": _marks,
    "discard": _discard,
    "flush": _flush,
}
