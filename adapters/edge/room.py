"""Room on the disk, asked for before the engine needs it.

The engine writes to mapped files: where the file system has no block left for a page, the kernel ends the process
(SIGBUS, seen with qdrant-edge-py on a full file system), and no sentence tells why. So a process stops while there is
still some room, by one it can tell. What was acknowledged before is in the files; nothing is committed past it.
"""

import os
from pathlib import Path

from stream.errors import Fatal

RESERVE_BYTES = 32 << 20
"""What a portion of writes, a flush and a new segment of the write-ahead log may take together."""


def require_room(folder: Path) -> None:
    """Raises Fatal where the file system of ``folder`` has less than the reserve left for us."""
    disk = os.statvfs(folder)
    left = disk.f_bavail * disk.f_frsize
    if left < RESERVE_BYTES:
        raise Fatal(
            f"The disk of {folder} has {left >> 20} MB left, and the index engine must have {RESERVE_BYTES >> 20} MB "
            "at hand; see to disk space, then start again."
        )
