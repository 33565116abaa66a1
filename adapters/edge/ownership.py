"""One process owns a data directory, for as long as it lives and not a moment longer.

Ownership is an exclusive ``flock`` on ``owner.lock``: the kernel drops it when the process ends, however it ends, so
a killed owner leaves nothing to be cleaned up. The file holds the owner's process id for the sentence that refuses a
second owner; the lock alone decides. The file is never removed: a lock on an unlinked file would exclude nobody.
"""

import fcntl
import os
from pathlib import Path

from stream.errors import Fatal

LOCK_FILE = "owner.lock"


class Owned(Fatal):
    """Another process owns the data directory. ``pid`` is its id, or None where it could not be read."""

    def __init__(self, path: Path, pid: int | None) -> None:
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"The index in {path} is owned by {owner}; stop it, or let it serve the index and connect to it."
        )
        self.pid = pid


class Ownership:
    """Held from construction to :meth:`release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Makes the directory where there is none. Raises Owned, or Fatal where the directory cannot be used."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Fatal(
                f"The data directory {path} cannot be used ({error.strerror}); choose another one in index.url."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise Owned(path, owner_of(path)) from error
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    @property
    def held(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        """The directory is free for the next owner."""
        if self.held:
            os.close(self._descriptor)
            self._descriptor = -1


def owner_of(path: Path) -> int | None:
    """The process id that the present, or else the last, owner wrote."""
    try:
        return int((path / LOCK_FILE).read_text())
    except (OSError, ValueError):
        return None
