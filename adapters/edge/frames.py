"""Frames on the owner's socket: a JSON document, then vectors as raw float32.

    4 bytes  length of the JSON in bytes      ┐
    4 bytes  number of vectors                │ unsigned, big-endian
    4 bytes  dimensions of each               ┘
    JSON in UTF-8
    vectors × dimensions × 4 bytes, little-endian

Both sides are processes of one user on one machine, so a frame that breaks these rules comes from another version
and ends the connection. Nothing here knows what a document says; ``wire`` does.
"""

import socket
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

MAX_BYTES = 1 << 30
"""More than any call sends; a length above it is no length."""

_HEADER = struct.Struct(">III")
_LITTLE = np.dtype("<f4")


class Disconnected(Exception):
    """The other side is gone, or speaks something else."""


def no_vectors() -> NDArray[np.float32]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Frame:
    """``vectors`` has shape (count, dimensions); the document refers to its rows in order."""

    document: dict[str, Any]
    vectors: NDArray[np.float32] = field(default_factory=no_vectors)


def send(connection: socket.socket, frame: Frame) -> None:
    """Raises Disconnected; TypeError where the document is not JSON."""
    document = orjson.dumps(frame.document)
    count, dimensions = frame.vectors.shape
    header = _HEADER.pack(len(document), count, dimensions)
    vectors = frame.vectors.astype(_LITTLE, copy=False).tobytes()
    try:
        connection.sendall(b"".join((header, document, vectors)))
    except OSError as error:
        raise Disconnected(str(error)) from error


def receive(connection: socket.socket) -> Frame:
    """Waits for a whole frame. Raises Disconnected, also at the connection's end."""
    length, count, dimensions = _HEADER.unpack(_exactly(connection, _HEADER.size))
    size = count * dimensions * _LITTLE.itemsize
    if length + size > MAX_BYTES:
        raise Disconnected("what came is not a frame")
    try:
        document = orjson.loads(_exactly(connection, length))
    except orjson.JSONDecodeError as error:
        raise Disconnected("what came is not a frame") from error
    if not isinstance(document, dict):
        raise Disconnected("what came is not a frame")
    vectors = np.frombuffer(_exactly(connection, size), dtype=_LITTLE).reshape(count, dimensions)
    return Frame(document, vectors.astype(np.float32, copy=False))


def _exactly(connection: socket.socket, size: int) -> bytearray:
    received = bytearray(size)
    view = memoryview(received)
    while view:
        try:
            count = connection.recv_into(view)
        except OSError as error:
            raise Disconnected(str(error)) from error
        if count == 0:
            raise Disconnected("the connection was closed")
        view = view[count:]
    return received
