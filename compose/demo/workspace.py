"""The folder of a demo: who may use it, what is in it, and how it becomes empty again.

One demo uses a folder at a time; the kernel's lock says which, and ends with its holder, however that ends. So a demo
that gets the lock and finds files knows that they are a dead one's: it stops what that one left running, by the marks
its processes carry, and removes its files. A folder that holds other files and no lock of a demo is refused: what is
in it is somebody's.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compose.native.ports import Ports
from compose.native.processes import Child
from compose.native.stack import Progress, Stack, silent
from stream.errors import Fatal, Misuse

LOCK_FILE = "demo.lock"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The places in the folder, which is absolute."""

    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index"

    @property
    def configuration(self) -> Path:
        return self.folder / "embedstream.toml"

    @property
    def process(self) -> Child:
        """``embedstream run all``."""
        return Child("run-all", self.folder / "process")

    @property
    def ports(self) -> Ports:
        return Ports(self.folder / "ports.json")

    def stack(self, on_progress: Progress = silent) -> Stack:
        """The servers."""
        return Stack(self.folder / "stack", on_progress)

    def prepare(self) -> None:
        """Stops and removes what a killed demo left, and makes the folders."""
        self.clear()
        self.process.folder.mkdir(parents=True)

    def clear(self) -> None:
        """Stops everything and removes all files but the lock."""
        if self.process.folder.exists():
            # What it has not finished is about to be removed with everything else.
            self.process.kill()
        if (self.folder / "stack").exists():
            self.stack().remove()
        for tree in (self.index, self.process.folder):
            shutil.rmtree(tree, ignore_errors=True)
        for file in (self.configuration, self.folder / "ports.json"):
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Workspace]:
    """The folder is this process's for the length of the block; nothing of the demo is left in it afterwards.

    Raises Fatal where another demo runs there, and Misuse where it cannot be used.
    """
    folder = folder.expanduser().absolute()
    lock = _locked(folder)
    workspace = Workspace(folder)
    try:
        workspace.prepare()
        yield workspace
    finally:
        with _undisturbed():
            workspace.clear()
            (folder / LOCK_FILE).unlink(missing_ok=True)
            os.close(lock)
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not leave half of it running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _locked(folder: Path) -> int:
    while True:
        try:
            # PostgreSQL may run as another user than this one, and has to get through to its own files.
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            if not (folder / LOCK_FILE).exists() and any(folder.iterdir()):
                raise Misuse(f"The folder {folder} holds files that are no demo's; name another with --folder.")
            lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misuse(
                f"The folder {folder} cannot be used ({error.strerror}); name another with --folder."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise Fatal(
                f"A demo runs in {folder} already (process {owner or 'unknown'}); wait until it has ended, or give "
                "this one a folder of its own with --folder."
            ) from None
        if _is_there(folder / LOCK_FILE, lock):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock
        # The last holder removed it in this very moment: a lock on a file without a name excludes nobody.
        os.close(lock)


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
