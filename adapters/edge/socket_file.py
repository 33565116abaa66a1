"""The socket's place in the file system: ``index.sock`` in the data directory, for its owner's user alone.

A socket's path may have 108 bytes, a data directory's any number, so both sides go through a short symbolic link in
a folder of their own that lives for the moment of the call. The owner binds inside a closed folder, sets mode 0600
and renames the socket into its place: nobody else can connect in between, and the file that a killed owner left is
replaced in the same step.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_FILE = "index.sock"
_UNFINISHED = ".socket-"


def listen(folder: Path) -> socket.socket:
    """A listening socket. Only the owner of the folder may call this. Raises OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        for leftover in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as closed, _short(Path(closed)) as short:
            listening.bind(str(short / "s"))
            (Path(closed) / "s").chmod(0o600)
            listening.listen(64)
            (Path(closed) / "s").replace(folder / SOCKET_FILE)
    except BaseException:
        listening.close()
        raise
    return listening


def connect(folder: Path, timeout_s: float) -> socket.socket:
    """A connection to the folder's owner. Raises OSError where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with _short(folder) as short:
            connection.connect(str(short / SOCKET_FILE))
    except BaseException:
        connection.close()
        raise
    return connection


def remove(folder: Path) -> None:
    (folder / SOCKET_FILE).unlink(missing_ok=True)


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """A short path to the folder."""
    with tempfile.TemporaryDirectory(prefix="embedstream-") as own:
        link = Path(own) / "d"
        link.symlink_to(folder.resolve())
        yield link
