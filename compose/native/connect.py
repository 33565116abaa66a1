"""One Kafka Connect worker with Debezium's PostgreSQL connector, its REST interface on loopback.

The worker runs in distributed mode, although alone: its connectors, their offsets and their state live in Kafka, so
they survive SIGKILL and ``down`` and go on where they were. It is set for freshness: nothing lingers in the producer,
offsets are flushed every second, and a worker that takes over from a killed one waits for no rebalance delay.

Topics are created by the worker with settings of their own, never by the broker's default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from compose.native import jars, records
from compose.native.kafka import MAX_MESSAGE_BYTES, SESSION_TIMEOUT_MS, Kafka, jvm_options
from compose.native.ports import LOOPBACK, Ports, answers
from compose.native.processes import Child
from stream.errors import Fatal

_START_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Connect:
    """The worker whose files are in ``folder``; ``heap_mb`` bounds the memory of its Java objects."""

    folder: Path
    ports: Ports
    broker: Kafka
    heap_mb: int = 512
    record_into: Path | None = None
    """Where an archive of its classes is to be written when it ends (see ``quick_start``)."""

    @property
    def child(self) -> Child:
        return Child("connect", self.folder)

    @property
    def address(self) -> str | None:
        """``host:port`` of the REST interface as the worker was last started."""
        port = self.ports.remembered("connect")
        return None if port is None else f"{LOOPBACK}:{port}"

    def start(self, on_progress: Callable[[str], None]) -> bool:
        """Starts the worker unless it runs with this very broker; True if it had to be started.

        The broker must have been started, but need not answer yet: the worker's client waits for it.
        """
        bootstrap = self.broker.bootstrap
        if bootstrap is None:
            raise Fatal("Kafka Connect needs a broker: start Kafka first.")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "worker.properties"
        if self.child.find() is not None:
            port = self.ports.remembered("connect")
            if port is not None and settings.exists() and settings.read_text() == _properties(bootstrap, port):
                return False
            self.child.stop()
        class_path = jars.resolve(jars.CONNECT)
        port = self.ports.claim("connect")
        records.replace(settings, _properties(bootstrap, port))
        on_progress(f"starting Kafka Connect with Debezium on {LOOPBACK}:{port}")
        options = (*jvm_options(self.heap_mb, self.child.mark), "-Dorg.slf4j.simpleLogger.log.io.debezium=info")
        self.child.start(
            class_path.command(
                "org.apache.kafka.connect.cli.ConnectDistributed",
                str(settings),
                options=options,
                record_into=self.record_into,
            ),
            environment=class_path.environment(),
        )
        return True

    def await_ready(self) -> None:
        """Returns once the worker has joined its group and takes connectors. Raises Fatal otherwise."""
        self.child.await_ready(self._serves, _START_DEADLINE_S)

    def _serves(self) -> bool:
        port = self.ports.remembered("connect")
        if port is None or not answers(port):
            return False
        try:
            # Plain HTTP on loopback: reading the machine's certificates would take 50 ms of every look.
            with httpx.Client(timeout=5, trust_env=False, verify=False) as client:  # noqa: S501
                return client.get(f"http://{LOOPBACK}:{port}/connectors").status_code == 200
        except httpx.HTTPError:
            return False


def _properties(bootstrap: str, port: int) -> str:
    settings: Mapping[str, object] = {
        "bootstrap.servers": bootstrap,
        "group.id": "local-connect",
        "listeners": f"http://{LOOPBACK}:{port}",
        "rest.advertised.host.name": LOOPBACK,
        "rest.advertised.port": port,
        # Every plugin we use announces itself; searching all jars for others takes 2 s of a processor.
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "config.storage.topic": "connect-configs",
        "config.storage.replication.factor": 1,
        "offset.storage.topic": "connect-offsets",
        "offset.storage.replication.factor": 1,
        "offset.storage.partitions": 1,
        "status.storage.topic": "connect-status",
        "status.storage.replication.factor": 1,
        "status.storage.partitions": 1,
        "offset.flush.interval.ms": 1_000,
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "heartbeat.interval.ms": 1_000,
        "scheduled.rebalance.max.delay.ms": 0,
        "topic.creation.enable": "true",
        "producer.linger.ms": 0,
        "producer.max.request.size": MAX_MESSAGE_BYTES,
        "producer.buffer.memory": 2 * MAX_MESSAGE_BYTES,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())
