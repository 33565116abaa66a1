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


def require_room(folder: Path, *, to_copy: Path | None = None) -> None:
    """Raises Fatal where the file system of ``folder`` has less than the reserve left for us, and what the files
    below ``to_copy`` take.
    """
    disk = os.statvfs(folder)
    left = disk.f_bavail * disk.f_frsize
    needed = RESERVE_BYTES + (0 if to_copy is None else _taken(to_copy))
    if left < needed:
        raise Fatal(
            f"The disk of {folder} has {left >> 20} MB left, and the index engine must have {needed >> 20} MB at "
            "hand; see to disk space, then start again."
        )


def _taken(folder: Path) -> int:
    """What the files take on the disk, which is less than their size where they have holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
