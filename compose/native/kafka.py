"""One Kafka broker in KRaft mode, broker and controller in one process, on loopback only.

It keeps the promises that the rest relies on: topics are made by whoever knows their settings, never by being asked
for (``auto.create.topics.enable=false``), records up to 20 MiB pass, a dead member leaves its group after 6 s, and an
abandoned transaction is ended within a second of its time-out. Topics survive SIGKILL and ``down``, and so do groups
(see ``fence``).

Formatting the storage is not atomic, so its completion is marked by a file of ours; without the mark nothing was ever
served from that storage, and it is formatted afresh.
"""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose.native import fence, jars, records
from compose.native.fence import Fence
from compose.native.listeners import PLAIN_ONLY, Access
from compose.native.ports import LOOPBACK, Ports, answers
from compose.native.processes import Child
from stream.errors import Fatal

MAX_MESSAGE_BYTES = 20 * 1024 * 1024
SESSION_TIMEOUT_MS = 6_000
_FORMAT_DEADLINE_S = 60.0
_START_DEADLINE_S = 90.0


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker whose files are in ``folder``; ``heap_mb`` bounds the memory of its Java objects, ``access`` adds
    doors with TLS, passwords and rights to the plain one.
    """

    folder: Path
    ports: Ports
    heap_mb: int = 512
    access: Access = PLAIN_ONLY
    record_into: Path | None = None
    """Where an archive of its classes is to be written when it ends (see ``quick_start``)."""

    @property
    def child(self) -> Child:
        return Child("kafka", self.folder)

    @property
    def controller(self) -> Fence:
        """The controller that may run alone before the broker does."""
        return Fence(Child("controller", self.folder))

    @property
    def bootstrap(self) -> str | None:
        """``host:port`` of the broker as it was last started."""
        port = self.ports.remembered("kafka")
        return None if port is None else f"{LOOPBACK}:{port}"

    @property
    def cluster(self) -> str:
        """The id of the cluster. An `up` that was killed may have left its own formatter at work: one folder has one
        id, so the two write the same, and what the other has formatted meanwhile is formatted.
        """
        named = uuid.uuid5(uuid.NAMESPACE_URL, self.folder.as_uri())
        return base64.urlsafe_b64encode(named.bytes).decode().rstrip("=")

    def address(self, listener: str) -> str | None:
        """``host:port`` of another of its doors, as it was last started."""
        port = self.ports.remembered(f"kafka {listener}")
        return None if port is None else f"{LOOPBACK}:{port}"

    def start(self, on_progress: Callable[[str], None]) -> bool:
        """Starts the broker unless it runs, without waiting until it answers; True if it had to be started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.child.find() is not None:
            if self.bootstrap is not None:
                return False
            self.child.stop()
        class_path = jars.resolve(jars.BROKER)
        port, controller = self.ports.claim("kafka"), self.ports.claim("kafka controller")
        settings = self.folder / "server.properties"
        doors = {door.name: (door.protocol, self.ports.claim(f"kafka {door.name}")) for door in self.access.listeners}
        properties = {**_properties(self.folder / "data", port, controller, doors), **self.access.properties()}
        records.replace(settings, _lines(properties))
        self._format(class_path, settings, on_progress)
        if fence.needed(self.folder / "data"):
            on_progress("telling Kafka's controller that its broker was killed")
            self._fence(class_path, properties)
        on_progress(f"starting Kafka on {LOOPBACK}:{port}")
        options = (
            *jvm_options(self.heap_mb, self.child.mark),
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        )
        self.child.start(
            class_path.command("kafka.Kafka", str(settings), options=options, record_into=self.record_into),
            environment=class_path.environment(),
        )
        return True

    def await_ready(self) -> None:
        """Returns once the broker serves metadata. Raises Fatal when it died or takes too long."""
        self.child.await_ready(self._serves, _START_DEADLINE_S)

    def _serves(self) -> bool:
        port = self.ports.remembered("kafka")
        return port is not None and answers(port) and _has_a_broker(f"{LOOPBACK}:{port}")

    def _format(self, class_path: jars.ClassPath, settings: Path, on_progress: Callable[[str], None]) -> None:
        formatted = self.folder / "formatted"
        if formatted.exists():
            return
        on_progress("preparing Kafka's storage")
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        command = class_path.command(
            "kafka.tools.StorageTool",
            "format",
            "-g",
            # As one argument: an id may begin with a dash.
            f"--cluster-id={self.cluster}",
            "-c",
            str(settings),
            options=jvm_options(self.heap_mb),
        )
        done = self._run(command, class_path)
        if done.returncode != 0:
            # The other formatter may have taken a file from under ours; by now it has finished.
            done = self._run(command, class_path)
        if done.returncode != 0:
            raise Fatal(
                f"Kafka's storage in {self.folder} could not be prepared:\n{(done.stderr or done.stdout)[-2000:]}"
            )
        formatted.touch()

    def _fence(self, class_path: jars.ClassPath, broker: Mapping[str, object]) -> None:
        settings = self.folder / "controller.properties"
        records.replace(settings, _lines(fence.properties(broker)))
        options = (*jvm_options(self.heap_mb, self.controller.child.mark), fence.LOGGED)
        self.controller.hold(
            class_path.command("kafka.Kafka", str(settings), options=options), environment=class_path.environment()
        )

    def _run(self, command: Sequence[str], class_path: jars.ClassPath) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(  # noqa: S603 — our own Java with our own arguments
                command,
                env=class_path.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FORMAT_DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Fatal(
                f"Kafka's storage in {self.folder} was not prepared in {_FORMAT_DEADLINE_S:.0f} s."
            ) from error


def jvm_options(heap_mb: int, mark: str | None = None) -> tuple[str, ...]:
    """Options for a server on a small machine: a bounded heap, a collector without threads, a quick start."""
    return (
        *(() if mark is None else (f"-D{mark}",)),
        f"-Xms{heap_mb // 2}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        # The quick compiler alone: the optimizing one takes a second of two cores from every start.
        "-XX:TieredStopAtLevel=1",
        # Kafka still maps files by a way that Java 24 and later warn of at every start.
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    )


def _lines(properties: Mapping[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _has_a_broker(bootstrap: str) -> bool:
    from confluent_kafka import KafkaException  # noqa: PLC0415 — status without a broker needs no client
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _properties(data: Path, port: int, controller: int, doors: Mapping[str, tuple[str, int]]) -> dict[str, object]:
    """``doors``: name → protocol and port."""
    open_to_clients = [f"PLAINTEXT://{LOOPBACK}:{port}"]
    open_to_clients += [f"{name}://{LOOPBACK}:{number}" for name, (_, number) in doors.items()]
    protocols = {
        "PLAINTEXT": "PLAINTEXT",
        "CONTROLLER": "PLAINTEXT",
        **{name: door[0] for name, door in doors.items()},
    }
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": ",".join([*open_to_clients, f"CONTROLLER://{LOOPBACK}:{controller}"]),
        "advertised.listeners": ",".join(open_to_clients),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        # Static voters: the controller may move to another port without losing its quorum of one.
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        # One broker holds every replica.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # A member that was killed is missed after 6 s, in the classic protocol and in the new one.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": SESSION_TIMEOUT_MS,
        "group.consumer.min.session.timeout.ms": SESSION_TIMEOUT_MS,
        "group.consumer.session.timeout.ms": SESSION_TIMEOUT_MS,
        "group.consumer.min.heartbeat.interval.ms": 1_000,
        "group.consumer.heartbeat.interval.ms": 1_000,
        # A broker that starts is let in at its next beat. Its session is left at 9 s: one that is given up while it
        # only stalls would read its groups twice (see ``fence``).
        "broker.heartbeat.interval.ms": 500,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
    }
