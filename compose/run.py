"""Runs one role, or all of them in one process, until a signal or the first failure.

Each role has a thread; the main thread waits for SIGTERM or SIGINT, or for a role that ends. The first failure tells
all the others to stop, and is raised when they have: offsets are committed and partitions released even then.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from adapters.metrics import Metrics
from adapters.telemetry_server import serve_telemetry
from compose.deployment import Deployment
from compose.roles import Readiness, await_begun, run_chunker, run_embedder, run_query
from compose.vital_signs import VitalSigns
from consumers.retries import Patience
from stream.errors import Fatal, Outage
from stream.ports import IndexCatalog

Role = Literal["chunker", "embedder", "query"]
ROLES: tuple[Role, ...] = ("chunker", "embedder", "query")

_LOG = logging.getLogger("embedstream")
_PATIENCE_S = 20.0
"""Beside the drain: what closing clients may take."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a running process tells the one who started it. ``query`` is None where no query service runs."""

    telemetry: str
    query: str | None


Announce = Callable[[Announced], None]


class _Process:
    """One process and the roles that run in it."""

    def __init__(
        self,
        deployment: Deployment,
        following: Deployment | None,
        roles: tuple[Role, ...],
        stopping: threading.Event,
        announce: Announce,
    ) -> None:
        self._deployment = deployment
        self._following = following
        self._roles = roles
        self._stopping = stopping
        self._announce = announce
        self._metrics = Metrics()
        self._readiness = Readiness(roles)
        self._failures: list[BaseException] = []
        self._telemetry = ""
        self._query: str | None = None

    def run(self) -> None:
        """Blocks until all roles have stopped; raises the first failure."""
        deployment = self._deployment
        listen = deployment.settings.telemetry.listen
        for each in (deployment, self._following):
            if each is not None:
                each.contract  # noqa: B018 - refused before anything is opened
        with ExitStack() as opened:
            server = opened.enter_context(serve_telemetry(self._metrics, self._readiness, listen.host, listen.port))
            self._telemetry = server.url
            threads = [
                threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
                for name, work in self._work(opened).items()
            ]
            for thread in threads:
                thread.start()
            self._stopping.wait()
            deadline = time.monotonic() + deployment.settings.embedder.drain_deadline_s + _PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            stuck = [thread.name for thread in threads if thread.is_alive()]
            if stuck:
                # What a stuck role holds cannot be closed under it; it is left to the end of the process.
                opened.pop_all()
                raise Fatal(
                    f"The {stuck[0]} did not stop in time: it waits for an answer (is the broker away?); it ends as "
                    "by a kill, which loses nothing."
                )
        if self._failures:
            raise self._failures[0]

    def _work(self, opened: ExitStack) -> dict[str, Callable[[], None]]:
        deployment, stopping, metrics = self._deployment, self._stopping, self._metrics
        work: dict[str, Callable[[], None]] = {}
        if "chunker" in self._roles:
            work["chunker"] = lambda: run_chunker(deployment, stopping, metrics, lambda: self._ready("chunker"))
        encodes = "embedder" in self._roles or "query" in self._roles
        if encodes or self._following is not None:
            catalog = deployment.catalog(serve=encodes)
            opened.callback(catalog.close)
            pairs = {each.collection: each for each in (deployment, self._following) if each is not None}
            if encodes:
                # Loaded here, once, before several threads ask for them.
                deployment.profiles  # noqa: B018
                if self._following is not None:
                    self._following.load_beside(deployment)
            if "embedder" in self._roles:
                work["embedder"] = lambda: run_embedder(
                    deployment, catalog, deployment.profiles, stopping, metrics, lambda: self._ready("embedder")
                )
            if self._following is not None:
                work.update(self._work_beside(self._following, catalog))
            if "query" in self._roles:
                pulse = VitalSigns(deployment, self._following, catalog, metrics, embeds="embedder" in self._roles)
                opened.callback(pulse.stop)
                work["query"] = lambda: run_query(
                    deployment, catalog, pairs, stopping, metrics, self._query_ready, pulse
                )
        return work

    def _work_beside(self, following: Deployment, catalog: IndexCatalog) -> dict[str, Callable[[], None]]:
        """The next pair's roles, from when its upgrade is begun. Where both cut alike they share the chunker."""
        stopping, metrics = self._stopping, self._metrics.beside("next")
        patience = Patience(stopping, metrics)

        def begun() -> bool:
            return await_begun(catalog, following.collection, stopping, patience)

        def chunk() -> None:
            if begun():
                run_chunker(following, stopping, metrics, _nobody_waits)

        def embed() -> None:
            if begun():
                run_embedder(following, catalog, following.profiles, stopping, metrics, _nobody_waits)

        work: dict[str, Callable[[], None]] = {}
        if "chunker" in self._roles and following.chunker_group != self._deployment.chunker_group:
            work["next chunker"] = chunk
        if "embedder" in self._roles:
            work["next embedder"] = embed
        return work

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Outage as outage:
            # Whoever is told to stop while it waits for the world has not failed.
            if not self._stopping.is_set():
                self._failures.append(outage)
            else:
                _LOG.info("stopped while waiting: %s", outage)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread once all roles have stopped
            self._failures.append(error)
        finally:
            self._stopping.set()

    def _ready(self, role: Role) -> None:
        if self._readiness.ready(role):
            self._announce(Announced(self._telemetry, self._query))

    def _query_ready(self, url: str) -> None:
        self._query = url
        self._ready("query")


def _nobody_waits() -> None:
    """The next pair's roles are waited for by `upgrade status`, not by whoever started the process."""


def run(
    deployment: Deployment,
    roles: tuple[Role, ...],
    stopping: threading.Event,
    announce: Announce = lambda _: None,
    following: Deployment | None = None,
) -> None:
    """Blocks until ``stopping`` is set or a role fails; raises what failed. ``announce`` is called when all run.

    ``following`` is another pair of the same index, whose roles run beside these.
    """
    _Process(deployment, following, roles, stopping, announce).run()


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second one of them ends the process at once."""
    stopping = threading.Event()

    def told(number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        _LOG.info("stopping: finishing what is in flight")
        stopping.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
