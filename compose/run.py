"""Runs one role, or all of them in one process, until a signal or the first failure.

Each role has a thread; the main thread waits for SIGTERM or SIGINT, or for a role that ends. The first failure tells
all the others to stop, and is raised when they have: offsets are committed and partitions released even then.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from adapters.metrics import Metrics
from adapters.telemetry_server import serve_telemetry
from compose.deployment import Deployment
from compose.roles import Readiness, run_chunker, run_embedder, run_query

Role = Literal["chunker", "embedder", "query"]
ROLES: tuple[Role, ...] = ("chunker", "embedder", "query")

_LOG = logging.getLogger("embedstream")


@dataclass(frozen=True, slots=True)
class Announced:
    """What a running process tells the one who started it. ``query`` is None where no query service runs."""

    telemetry: str
    query: str | None


def run(
    deployment: Deployment,
    roles: tuple[Role, ...],
    stopping: threading.Event,
    announce: Callable[[Announced], None] = lambda _: None,
) -> None:
    """Blocks until ``stopping`` is set or a role fails; raises what failed. ``announce`` is called when all run."""
    metrics = Metrics()
    readiness = Readiness(roles)
    failures: list[BaseException] = []
    query_url: list[str] = []

    def all_run() -> None:
        if readiness()[0]:
            announce(Announced(telemetry.url, query_url[0] if query_url else None))

    def chunker() -> None:
        run_chunker(deployment, stopping, metrics, lambda: ready("chunker"))

    def ready(role: Role) -> None:
        readiness.ready(role)
        all_run()

    def query_ready(url: str) -> None:
        query_url.append(url)
        ready("query")

    def guarded(role: Callable[[], None]) -> None:
        try:
            role()
        except BaseException as error:  # noqa: BLE001 - raised by the main thread once all roles have stopped
            failures.append(error)
        finally:
            stopping.set()

    with ExitStack() as opened:
        listen = deployment.settings.telemetry.listen
        deployment.contract  # noqa: B018 - refused before anything is opened
        telemetry = opened.enter_context(serve_telemetry(metrics, readiness, listen.host, listen.port))
        work: list[tuple[str, Callable[[], None]]] = [("chunker", chunker)] if "chunker" in roles else []
        if "embedder" in roles or "query" in roles:
            catalog = deployment.catalog(serve=True)
            opened.callback(catalog.close)
            profiles = deployment.model.load()
            if "embedder" in roles:
                work.append(
                    (
                        "embedder",
                        lambda: run_embedder(
                            deployment, catalog, profiles, stopping, metrics, lambda: ready("embedder")
                        ),
                    )
                )
            if "query" in roles:
                work.append(
                    ("query", lambda: run_query(deployment, catalog, profiles, stopping, metrics, query_ready))
                )
        threads = [threading.Thread(target=guarded, args=(target,), name=name) for name, target in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@contextmanager
def stopping_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second one of them ends the process at once."""
    stopping = threading.Event()

    def told(number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            signal.default_int_handler(number, None)
        _LOG.info("stopping: finishing what is in flight")
        stopping.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
