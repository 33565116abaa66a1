"""The loopback ports of the local stack, remembered from one ``up`` to the next.

An address handed out by ``up`` should hold after ``down`` and ``up``, so a port once chosen is chosen again unless
somebody else listens on it by then. New ports are taken below the range from which the kernel picks the ports of
outgoing connections: a port found free there stays free until the server binds it.
"""

import secrets
import socket
import threading
from pathlib import Path

from compose.native import records
from stream.errors import Fatal

LOOPBACK = "127.0.0.1"
_RANGE = range(20_000, 32_000)
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether nobody listens on this loopback port. Connections that linger after a dead server do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


class Ports:
    """The ports by name, kept in one file. Safe to use from several threads of one process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def remembered(self, name: str) -> int | None:
        """The port that ``name`` was last given, listening or not."""
        port = records.read(self._file).get(name)
        return port if isinstance(port, int) else None

    def claim(self, name: str) -> int:
        """A port on which ``name`` can listen now: the remembered one if it is free, else a new one, remembered.

        Raises Fatal when the machine has no free port left in the range.
        """
        with self._lock:
            known = records.read(self._file)
            port = known.get(name)
            if not isinstance(port, int) or not is_free(port):
                port = self._unused(taken=set(known.values()))
                records.write(self._file, {**known, name: port})
            return port

    @staticmethod
    def _unused(taken: set[records.Value]) -> int:
        for _ in range(_ATTEMPTS):
            port = secrets.choice(_RANGE)
            if port not in taken and is_free(port):
                return port
        raise Fatal(
            f"No free port was found between {_RANGE.start} and {_RANGE.stop}: stop some servers and try again."
        )
