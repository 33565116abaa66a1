"""A server that runs as a child process and outlives the command that started it.

A child is known by the folder of its files and its name, not by an object in memory: any later command finds it
again, whether the one that started it ended well or was killed half-way. Two proofs of identity keep us from ever
touching a process that is not ours. The pid file holds pid and start time, so a recycled pid is somebody else. And
one argument of the child's command line is its *mark*, which names its folder: it finds the child whose pid file was
never written.

A child has a session of its own (a Ctrl-C at the terminal is not for it), no standard input, and its output in a log
of which the previous start is kept beside. Starting waits until the server is ready, until it dies, or until a
deadline; a death is told in one sentence with the end of its log. Stopping asks first and kills after a deadline.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from compose.native import records
from stream.errors import Fatal

_POLL_S = 0.05
# The kernel tells start times relative to the boot, and the clock may be set between two readings.
_SAME_START_S = 2.0
_LOG_TAIL_LINES = 8
_LOG_TAIL_BYTES = 16_384

# Pids that this very process started: it must reap them, or they stay behind as zombies.
_own: set[int] = set()


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that a child runs as, where it is not ours."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Child:
    """One server of the stack, running or not. ``folder`` holds its log and pid file and must exist."""

    name: str
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def mark(self) -> str:
        """The setting that the child's command line carries and no other process's does."""
        return f"embedstream.child={self.folder}/{self.name}"

    def find(self) -> psutil.Process | None:
        """The running process, or None. Never a zombie, never a stranger with a recycled pid."""
        record = records.read(self.pid_file)
        pid, started = record.get("pid"), record.get("started")
        if isinstance(pid, int) and isinstance(started, float):
            process = _alive(pid)
            if process is not None and abs(process.create_time() - started) < _SAME_START_S:
                return process
        return self._marked()

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], account: Account | None = None
    ) -> psutil.Process:
        """Starts ``command``, one of whose arguments must carry the mark; does not wait until it is ready.

        Raises Fatal when the program cannot be executed.
        """
        if not any(self._carries_mark(argument) for argument in command):
            raise ValueError(f"the command of {self.name} does not carry its mark")
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.previous"))
        with self.log.open("wb") as log:
            try:
                popen = subprocess.Popen(  # noqa: S603 — the command is built by this package from its own paths
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=dict(environment),
                    start_new_session=True,
                    umask=0o077,
                    user=None if account is None else account.uid,
                    group=None if account is None else account.gid,
                    extra_groups=None if account is None else (),
                )
            except OSError as error:
                raise Fatal(f"{self.name} could not be started: {error}.") from error
        _own.add(popen.pid)
        # The child outlives us on purpose: without a return code the object would warn of that when it goes away.
        popen.returncode = 0
        process = psutil.Process(popen.pid)
        records.write(self.pid_file, {"pid": popen.pid, "started": process.create_time()})
        return process

    def await_ready(self, is_ready: Callable[[], bool], deadline_s: float) -> None:
        """Returns once ``is_ready`` says so. Raises Fatal when the child dies or ``deadline_s`` seconds pass."""
        give_up = time.monotonic() + deadline_s
        while not is_ready():
            if self.find() is None:
                raise Fatal(f"{self.name} stopped while it was starting. The end of {self.log}:\n{self.log_tail()}")
            if time.monotonic() > give_up:
                raise Fatal(
                    f"{self.name} was not ready after {deadline_s:.0f} s; run the command again if this machine is "
                    f"slow. The end of {self.log}:\n{self.log_tail()}"
                )
            time.sleep(_POLL_S)

    def stop(self, deadline_s: float = 20.0) -> bool:
        """Ends the child: its stop signal, and SIGKILL after ``deadline_s`` seconds. True if there was one to end."""
        process = self.find()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(self.stop_signal)
            if not _gone_within(process, deadline_s):
                self.kill()
        self.pid_file.unlink(missing_ok=True)
        return process is not None

    def kill(self) -> None:
        """SIGKILL to the child and to what it started in its session, and waits until it is gone."""
        process = self.find()
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            started_by_it = process.children(recursive=True)
            process.kill()
            for descendant in started_by_it:
                with contextlib.suppress(psutil.NoSuchProcess):
                    descendant.kill()
        if not _gone_within(process, 10.0):
            raise Fatal(f"{self.name} (pid {process.pid}) does not end, not even by SIGKILL: look at it with ps.")

    def log_tail(self) -> str:
        """The last lines of the log, for a person."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - _LOG_TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join([line for line in lines if line.strip()][-_LOG_TAIL_LINES:])

    def _carries_mark(self, argument: str) -> bool:
        return argument in (self.mark, f"-D{self.mark}")

    def _marked(self) -> psutil.Process | None:
        for pid in psutil.pids():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(map(self._carries_mark, psutil.Process(pid).cmdline())):
                    return _alive(pid)
        return None


def _alive(pid: int) -> psutil.Process | None:
    if _reaped(pid):
        return None
    try:
        process = psutil.Process(pid)
        # A zombie with threads is still dying, and its ports are still taken.
        dead = process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        dead, process = True, None
    if dead:
        # It may have died since the first look.
        _reaped(pid)
    return None if dead else process


def _reaped(pid: int) -> bool:
    """Whether it is a child of this very process that has ended; its zombie is gone then."""
    if pid not in _own:
        return False
    try:
        reaped, _status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        reaped = pid
    if reaped == pid:
        _own.discard(pid)
    return reaped == pid


def _gone_within(process: psutil.Process, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while _alive(process.pid) == process:
        if time.monotonic() > give_up:
            return False
        time.sleep(_POLL_S)
    return True
