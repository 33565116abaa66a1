"""The chunker as a Faust application, for teams that operate Faust: ``faust -A consumers.faust_chunker worker``.

The configuration is the file that ``EMBEDSTREAM_CONFIG`` names. What is decided is decided by the same code as under
``embedstream run chunker``: ``consumers.chunker`` in a thread, fed by one agent. Faust gives it records and commits
offsets; it writes no record, keeps no table, and owns no state.

At least once: without transactions an event may stand twice on the chunk topic, the late one behind a newer one. An
embedder finds it stale by its version, but compaction would keep it in the newer one's place: a compacted chunk topic
is refused. Whatever must not go on stops the worker with one sentence and exit status 1.

This room knows nothing of settings; what wires them registers itself under the entry point group ``ENTRY_POINTS``.
"""

import asyncio
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

import faust
from faust.types import TP, AppT, EventT, StreamT
from mode.types import ServiceT

from adapters.faust.hand_over import Behind, HandOver
from adapters.faust.security import brokers, credentials
from adapters.faust.transport import PublishedTransport
from stream.errors import EmbedstreamError, Fatal, Misuse
from stream.ports import Partition, Record, Topics

ENTRY_POINTS = "embedstream.faust"
CONFIGURATION = "EMBEDSTREAM_CONFIG"

_LOG = logging.getLogger("embedstream.chunker")
_COMMIT_INTERVAL_S = 1.0
_STOPS_WITHIN_S = 30.0
_LARGEST_FETCH = 64 << 20


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What an application is made of.

    ``behind`` tells the ends of partitions behind their last records. ``run`` blocks in a thread of its own: it
    builds the chunker, tells the hand-over of it and runs it until the event is set; it raises what stops the worker.
    """

    group: str
    properties: Mapping[str, str | int | float | bool]
    topics: Sequence[str]
    broker: Topics
    behind: Behind
    run: Callable[[HandOver, threading.Event], None]


class ChunkerWorker(faust.Worker):
    """Ends with exit status 1 and one sentence where the chunker failed. It opens no port but the telemetry's:
    Faust's command would have its web server listen to every address, and fail where another worker has the port.
    """

    def __init__(self, app: AppT, *services: ServiceT, **options: Any) -> None:  # noqa: ANN401 - Faust's own
        app.conf.web_enabled = False
        super().__init__(app, *services, **options)

    def execute_from_commandline(self) -> NoReturn:
        """See Faust."""
        try:
            super().execute_from_commandline()
        except SystemExit as ended:
            failure = getattr(self.app, "failure", None)
            if failure is None:
                raise
            print(sentence(failure), file=sys.stderr)  # noqa: T201 - the worker's last word
            raise SystemExit(status(failure)) from ended

    def on_worker_shutdown(self) -> None:
        """A client that waits for an answer is left to the end of the process, as by a kill: nothing is lost."""
        super().on_worker_shutdown()
        code = status(getattr(self.app, "failure", None))
        guard = threading.Timer(_STOPS_WITHIN_S, os._exit, (code,))
        guard.daemon = True
        guard.start()


class ChunkerApp(faust.App):
    """``failure`` is what stopped it."""

    failure: BaseException | None = None
    wired: object = None
    """Faust holds what it calls weakly: the application holds it."""


def application(arrangement: Arrangement) -> ChunkerApp:
    """The application. Nothing is connected yet. Raises Misuse."""
    given = arrangement.properties
    session_s = int(given.get("session.timeout.ms", 10_000)) / 1000
    app = ChunkerApp(
        arrangement.group,
        broker=list(brokers(given)),
        broker_credentials=credentials(given),
        broker_client_id=str(given.get("client.id", "embedstream")),
        broker_commit_interval=_COMMIT_INTERVAL_S,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 4,
        broker_request_timeout=max(40.0, session_s),
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_LARGEST_FETCH,
        stream_wait_empty=False,
        store="memory://",
        datadir=Path(tempfile.gettempdir(), f"{arrangement.group}.{os.getpid()}"),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        Worker=ChunkerWorker,
    )
    app.wired = _Wiring(app, arrangement)
    return app


class _Wiring:
    """Faust on one side, the chunker's thread on the other."""

    def __init__(self, app: ChunkerApp, arrangement: Arrangement) -> None:
        self._app = app
        self._run = arrangement.run
        self._hand_over = HandOver(arrangement.group, arrangement.broker, arrangement.behind)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        app.transport = PublishedTransport(app.conf.broker_consumer, app, self._hand_over)
        topic = app.topic(*arrangement.topics, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name="chunker", concurrency=1)(self._take)
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_before_shutdown.connect(self._end)
        app.task(self._begin)

    async def _take(self, stream: StreamT[Any]) -> None:
        async for event in stream.events():
            await self._hand_over.offer(_record(event))

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._hand_over.attach(loop, self._seek)
        self._thread = threading.Thread(target=self._work, args=(loop,), name="chunker", daemon=True)
        self._thread.start()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._run(self._hand_over, self._stopping)
        except BaseException as error:  # noqa: BLE001 - told when the worker has stopped
            self._app.failure = error
        self._hand_over.close()
        if not self._stopping.is_set():
            loop.call_soon_threadsafe(signal.raise_signal, signal.SIGTERM)

    async def _end(self, *_: object, **__: object) -> None:
        self._stopping.set()
        self._hand_over.close()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOPS_WITHIN_S / 2)

    async def _assigned(self, _app: object, /, *changed: set[TP], **_: object) -> None:
        self._hand_over.assigned(Partition(place.topic, place.partition) for tps in changed for place in tps)

    async def _revoked(self, _app: object, /, *changed: set[TP], **_: object) -> None:
        self._hand_over.revoked(Partition(place.topic, place.partition) for tps in changed for place in tps)

    def _seek(self, place: Partition, offset: int) -> None:
        self._app.add_future(self._app.consumer.seek(TP(place.topic, place.number), offset))


def _record(event: EventT[Any]) -> Record:
    message = event.message
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Record(
        Partition(message.topic, message.partition),
        message.offset,
        message.key,
        message.value,
        tuple((str(name), value) for name, value in pairs),
        round(message.timestamp * 1000) if message.timestamp is not None else 0,
    )


def sentence(failure: BaseException) -> str:
    """One sentence for standard error."""
    return str(failure) if isinstance(failure, EmbedstreamError) else f"The chunker failed: {failure!r}."


def status(failure: BaseException | None) -> int:
    """The exit status."""
    return 0 if failure is None else 2 if isinstance(failure, Misuse) else 1


def _arranged() -> Arrangement:
    registered = [point for point in entry_points(group=ENTRY_POINTS) if point.name == "chunker"]
    if not registered:
        raise Misuse("embedstream is not installed in this Python; install it with its extra [faust].")
    path = os.environ.get(CONFIGURATION)
    if not path:
        raise Misuse(f"There is no configuration; name its file in {CONFIGURATION}.")
    arranged: Arrangement = registered[0].load()(path)
    return arranged


def __getattr__(name: str) -> ChunkerApp:
    """``app``, made when Faust asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        made = application(_arranged())
    except Fatal as failure:
        print(sentence(failure), file=sys.stderr)  # noqa: T201 - nothing else is up to say it
        raise SystemExit(status(failure)) from None
    globals()["app"] = made
    return made
