"""The local stack as a whole: what ``embedstream up``, ``down`` and ``status`` do.

Everything lies under one folder, so the folder *is* the stack: any process may ask it what runs. ``up`` is
idempotent: what runs already is kept, what is missing or dead is started, and the addresses stay the same. ``down``
ends what ``up`` started in this folder and nothing else, however the last ``up`` ended. One lock serialises the two;
it is the kernel's, so it dies with its holder.

The servers start side by side, Connect too: its client waits for the broker. They stop in the other direction, each
before what it talks to.
"""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from compose.native.connect import Connect
from compose.native.kafka import Kafka
from compose.native.ports import Ports
from compose.native.postgres import Postgres
from compose.native.processes import Child
from stream.errors import Fatal, Misuse

DEFAULT_FOLDER = Path("data/stack")
_LOCK_DEADLINE_S = 300.0
_POLL_S = 0.1

Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """Progress that nobody reads."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen; None for what was not asked for or does not run.

    ``kafka`` and ``connect`` are ``host:port``; ``postgres`` is a ``postgresql://`` URI with the password in it.
    """

    kafka: str | None = None
    connect: str | None = None
    postgres: str | None = None

    def as_json(self) -> dict[str, str]:
        """The addresses there are, by name."""
        return {name: address for name, address in asdict(self).items() if address is not None}


@dataclass(frozen=True, slots=True)
class Server:
    """One server as ``status`` sees it: ``pid`` is None when it does not run."""

    name: str
    pid: int | None
    address: str | None
    log: str


class Program(Protocol):
    """What the stack asks of a server."""

    @property
    def child(self) -> Child:
        """Its process."""

    def start(self, on_progress: Progress) -> bool:
        """Starts it unless it runs; True if it had to be started. Raises Fatal."""

    def await_ready(self) -> None:
        """Returns once it serves. Raises Fatal when it died or takes too long."""


class Stack:
    """The servers whose files lie under ``folder``. ``on_progress`` is told, a line at a time, what is going on."""

    def __init__(self, folder: Path = DEFAULT_FOLDER, on_progress: Progress = silent) -> None:
        self.folder = folder.expanduser().resolve()
        if "," in str(self.folder):
            raise Misuse(f"Kafka takes no comma in the path of its files: choose another folder than {self.folder}.")
        self._on_progress = on_progress
        ports = Ports(self.folder / "ports.json")
        self._kafka = Kafka(self.folder / "kafka", ports)
        self._connect = Connect(self.folder / "connect", ports, self._kafka)
        self._postgres = Postgres(self.folder / "postgres", ports)

    def up(self, *, kafka: bool = True, cdc: bool = False) -> Addresses:
        """Starts what is asked for and does not run yet, waits until all of it is ready, and returns its addresses.

        ``cdc`` adds PostgreSQL and Kafka Connect with Debezium and implies ``kafka``. Raises Fatal with a sentence
        when a server does not start; the others stay, to be found by the next ``up`` or ended by ``down``.
        """
        if not (kafka or cdc):
            raise Misuse("Nothing to start: ask for kafka, cdc or both.")
        with self._locked(), ThreadPoolExecutor(max_workers=1) as beside:
            postgres = beside.submit(self._bring_up, self._postgres) if cdc else None
            servers: tuple[Program, ...] = (self._kafka, self._connect) if cdc else (self._kafka,)
            started = [server.start(self._on_progress) for server in servers]
            for server, just_now in zip(servers, started, strict=True):
                self._await(server, started=just_now)
            if postgres is not None:
                postgres.result()
        return Addresses(
            kafka=self._kafka.bootstrap,
            connect=self._connect.address if cdc else None,
            postgres=self._postgres.dsn if cdc else None,
        )

    def down(self) -> tuple[str, ...]:
        """Ends every server of this stack; returns the names of those that ran. Nothing to end is no error."""
        if not self.folder.exists():
            return ()
        with self._locked():
            self._kafka.controller.child.stop()
            return tuple(child.name for child in reversed(self._children()) if child.stop())

    def remove(self) -> None:
        """Ends every server and deletes all files of the stack, those that lie outside of its folder too."""
        self.down()
        self._postgres.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def status(self) -> tuple[Server, ...]:
        """Each server this stack has ever started, running or not."""
        addresses = (self._kafka.bootstrap, self._postgres.address, self._connect.address)
        return tuple(
            Server(child.name, None if (process := child.find()) is None else process.pid, address, str(child.log))
            for child, address in zip(self._children(), addresses, strict=True)
            if child.folder.exists()
        )

    def _bring_up(self, server: Program) -> None:
        self._await(server, started=server.start(self._on_progress))

    def _await(self, server: Program, *, started: bool) -> None:
        try:
            server.await_ready()
        except Fatal:
            # Found running, and gone since: somebody killed it a moment before, and it was still dying.
            if started or server.child.find() is not None:
                raise
            server.start(self._on_progress)
            server.await_ready()
        self._on_progress(f"{server.child.name} is ready")

    def _children(self) -> tuple[Child, ...]:
        """In the order of need: each may talk to those before it."""
        return (self._kafka.child, self._postgres.child, self._connect.child)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + _LOCK_DEADLINE_S
        with (self.folder / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise Fatal(f"Another command has been at work on {self.folder} for too long.") from None
                    time.sleep(_POLL_S)
            yield
