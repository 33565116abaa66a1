"""Files that are either the old one or the new one, whatever happens in between.

A file is replaced by write to a temporary one beside it, fsync, rename, fsync of the folder. After :func:`replace`
returns, the new content survives loss of power; a crash before leaves the old content and at most a temporary file,
which the next replacement overwrites.
"""

import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Durable when it returns. One writer at a time: the temporary file's name is fixed."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the folder's entries durable: files made, renamed or removed in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
