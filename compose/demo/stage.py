"""Everything up: servers, table, connector and the process, started so that nothing waits for what it does not need.

The process is started the moment it is known where Kafka will listen, long before it does: loading a model and
starting three servers take about as long, and the process waits for a broker and for a topic anyway. The rows are
there before the connector, whose snapshot brings them; all later changes come from PostgreSQL's log.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from compose.demo.corpus import Document
from compose.demo.expectation import Expectation
from compose.demo.narration import Bar, Narrator
from compose.demo.process import StreamProcess, configuration
from compose.demo.table import TABLE, Table
from compose.demo.view import Broker, View, opened
from compose.demo.workspace import Workspace
from compose.deployment import Deployment
from compose.native.debezium import Connector, register
from compose.native.stack import Addresses
from compose.settings import load

_PREFIX = "demo"


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo."""

    workspace: Workspace
    addresses: Addresses
    process: StreamProcess
    deployment: Deployment
    expectation: Expectation
    broker: Broker
    table: Table

    def another_table(self) -> Table:
        """A connection of its own, for another thread."""
        return Table(self.addresses.postgres or "")

    @contextmanager
    def view(self) -> Iterator[View]:
        """Of the process as it runs now."""
        with opened(self.process, self.deployment) as view:
            yield view


@dataclass(slots=True)
class _EarlyStart:
    """Starts the process as soon as the broker has an address; told of every line of the stack's progress."""

    workspace: Workspace
    bar: Bar
    started: list[StreamProcess] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.bar.reach(0, line)
        if not self.started and line.startswith("starting Kafka on "):
            self.started.append(start_process(self.workspace, line.removeprefix("starting Kafka on ")))


def start_process(workspace: Workspace, kafka: str) -> StreamProcess:
    """Writes the configuration for the broker at ``kafka`` and starts the process."""
    connector = _connector("")
    workspace.configuration.write_text(configuration(workspace, kafka, connector, TABLE), encoding="utf-8")
    settings = load(workspace.configuration, {})
    process = StreamProcess(
        workspace.process,
        workspace.configuration,
        query=f"http://{settings.query.listen}",
        telemetry=f"http://{settings.telemetry.listen}",
    )
    process.start()
    return process


@contextmanager
def raised(workspace: Workspace, documents: Sequence[Document], narrator: Narrator) -> Iterator[Stage]:
    """The stage, with ``documents`` in its table and on their way. What runs is the workspace's to stop."""
    began = time.monotonic()
    with ExitStack() as opened_here:
        with narrator.working("starting") as bar:
            early = _EarlyStart(workspace, bar)
            addresses = workspace.stack(early).up(cdc=True)
            process = early.started[0] if early.started else start_process(workspace, addresses.kafka or "")
            deployment = Deployment(load(workspace.configuration, {}))
            bar.reach(0, "creating the table")
            table = opened_here.enter_context(Table(addresses.postgres or ""))
            table.create()
            table.insert(documents)
            bar.reach(0, "starting the connector")
            register(addresses.connect or "", _connector(addresses.postgres or ""))
            expectation = Expectation(deployment)
            bar.reach(0, "waiting for the model")
            process.await_ready()
        stage = Stage(workspace, addresses, process, deployment, expectation, Broker(deployment), table)
        _introduce(stage, narrator, time.monotonic() - began)
        yield stage


def _connector(dsn: str) -> Connector:
    return Connector(topic_prefix=_PREFIX, dsn=dsn, tables=(TABLE,))


def _introduce(stage: Stage, narrator: Narrator, seconds: float) -> None:
    addresses = stage.addresses
    postgres = (addresses.postgres or "").rpartition("@")[2]
    narrator.row("PostgreSQL", f"{postgres}, table {TABLE}")
    narrator.row("Kafka", f"{addresses.kafka}, topics {', '.join(stage.deployment.source_topics)} and kb.chunks")
    narrator.row("Debezium", f"{addresses.connect}")
    narrator.row("Embedstream", f"chunker, embedder and search in one process: {stage.process.query}")
    narrator.say(f"up in {seconds:.1f} s")
