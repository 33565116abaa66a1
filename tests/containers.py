"""The services of compose.yaml, run by testcontainers: the file's own images, environment and commands.

What the tests run is therefore what users are given; only ports and the password are the tests' own. Images are
replaced by the environment: ``EMBEDSTREAM_TEST_KAFKA_IMAGE``, ``…_CONNECT_IMAGE``, ``…_POSTGRES_IMAGE``, and
``EMBEDSTREAM_TEST_IMAGE`` for this project's. Whatever was started is ended by ``close``.
"""

import gc
import json
import os
import re
import secrets
import socket
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from stream_process import wait_for

from compose.native.ports import LOOPBACK, Ports
from compose.native.stack import Addresses
from stream.errors import Fatal

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "compose" / "docker" / "compose.yaml"
START_DEADLINE_S = 120
_VARIABLE = re.compile(r"\$\{(\w+)(?::(?:-([^}]*)|\?[^}]*))?\}")


def services(values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The services of compose.yaml, its variables replaced by ``values`` or their defaults."""

    def value(match: re.Match[str]) -> str:
        return (values or {}).get(match[1], match[2] or "")

    text = COMPOSE.read_text(encoding="utf-8").replace("$$", "\0")
    return dict(yaml.safe_load(_VARIABLE.sub(value, text).replace("\0", "$"))["services"])


@dataclass(frozen=True)
class Ended:
    """What a command in a container printed, and its exit status."""

    status: int
    said: str


class Started:
    """A running container. ``alias`` is its name among the others."""

    def __init__(self, container: Any, alias: str) -> None:
        self._container, self.alias = container, alias

    @property
    def _docker(self) -> Any:
        return self._container.get_wrapped_container()

    @property
    def address(self) -> str:
        """Its own address among the containers, which Linux can reach too."""
        self._docker.reload()
        (network,) = self._docker.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def port(self, inside: int) -> int:
        return int(self._container.get_exposed_port(inside))

    def said(self) -> str:
        return b"".join(self._container.get_logs()).decode(errors="replace")

    def state(self) -> dict[str, Any]:
        self._docker.reload()
        return dict(self._docker.attrs["State"])

    def healthy(self) -> "Started":
        def health() -> bool:
            state = self.state()
            assert state["Running"], f"{self.alias} ended with status {state['ExitCode']}: {self.said()}"
            return bool(state["Health"]["Status"] == "healthy")

        wait_for(health, f"{self.alias} to be healthy", START_DEADLINE_S, 0.3)
        return self

    def run(self, *command: str) -> Ended:
        """A command in it."""
        done = self._docker.exec_run(list(command))
        return Ended(done.exit_code, done.output.decode(errors="replace"))

    def kill(self) -> None:
        """SIGKILL."""
        self._docker.kill()
        wait_for(lambda: not self.state()["Running"], f"{self.alias} to die")

    def start_again(self) -> None:
        self._docker.start()

    def stop(self, deadline_s: int = 60) -> int:
        """SIGTERM; its exit status."""
        self._docker.stop(timeout=deadline_s)
        return int(self._docker.wait()["StatusCode"])

    def remove(self) -> None:
        self._container.stop()


class ContainerStack:
    """A network of containers; nothing runs yet. Raises Fatal where there is no Docker engine."""

    def __init__(self) -> None:
        from testcontainers.core.network import Network

        with warnings.catch_warnings():
            # Where nobody listens, the client leaves its socket to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            failure = _engine_failure()
            gc.collect()
        if failure is not None:
            raise Fatal(f"No Docker engine answers ({failure}): start Docker.")
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-containers-"))
        self._ports = Ports(self.folder / "ports.json")
        self._password = secrets.token_urlsafe(12)
        self._network = Network().create()
        self._running: dict[str, Started] = {}

    # --- the services ---

    def kafka(self) -> str:
        """``host:port`` of the broker; in the network it is ``kafka:19092``."""
        port = self._ports.remembered("kafka") or self._ports.claim("kafka")
        address = f"{LOOPBACK}:{port}"
        if "kafka" not in self._running:
            self._service("kafka", {"KAFKA_PORT": str(port)}, {9092: port}, lambda _kafka: _has_a_broker(address))
        return address

    def cdc(self) -> Addresses:
        """As the local stack's. The database is named by an address that this machine and Connect both reach."""
        kafka = self.kafka()
        if "connect" not in self._running:
            postgres = self._service("postgres", {}, {}, lambda _postgres: True)
            if not _reachable(postgres.address, 5432):
                raise Fatal("This machine does not reach containers by their own addresses, as Linux does.")
            wait_for(lambda: _accepts(self._dsn(postgres)), "postgres to accept connections", START_DEADLINE_S)
            self._service("connect", {}, {8083: None}, lambda connect: _serves(connect.port(8083)))
        connect, postgres = self._running["connect"], self._running["postgres"]
        return Addresses(kafka, f"{LOOPBACK}:{connect.port(8083)}", self._dsn(postgres))

    def embedstream(self, alias: str, command: Sequence[str], config: Path) -> Started:
        """This project's image with ``config``, shut in as compose.yaml shuts it in. Not ready yet."""
        image = os.environ.get("EMBEDSTREAM_TEST_IMAGE")
        if not image:
            raise Fatal(
                "EMBEDSTREAM_TEST_IMAGE names no image of this project: docker build -f compose/docker/Dockerfile ."
            )
        service = services()[alias]
        container = self._container(image, alias).with_command(list(command))
        container.with_volume_mapping(str(config), "/var/lib/embedstream/embedstream.toml", "ro")
        shut_in = {name: service[name] for name in ("read_only", "cap_drop", "security_opt", "init")}
        for folder in service["tmpfs"]:
            container.with_tmpfs_mount(folder)
        return self._start(container.with_kwargs(**shut_in), alias)

    def close(self) -> None:
        """Ends and removes all of it."""
        for started in reversed(self._running.values()):
            started.remove()
        self._network.remove()

    def forget(self, started: Started) -> None:
        """Ends and removes this one."""
        del self._running[started.alias]
        started.remove()

    # --- how ---

    def _service(
        self,
        name: str,
        values: Mapping[str, str],
        ports: Mapping[int, int | None],
        serves: Callable[[Started], bool],
    ) -> Started:
        service = services(values)[name]
        variable = f"EMBEDSTREAM_TEST_{name.upper()}_IMAGE"
        image = os.environ.get(variable) or service["image"]
        if not image:
            raise Fatal(f"{variable} names no image, and compose.yaml has none for {name}.")
        container = self._container(image, name).with_envs(**service["environment"])
        if "command" in service:
            container.with_command(service["command"])
        for inside, outside in ports.items():
            container.ports[f"{inside}/tcp"] = (LOOPBACK, outside)
        for secret in service.get("secrets", ()):
            container.with_copy_into_container(self._password.encode(), f"/run/secrets/{secret}", 0o444)
        started = self._start(container, name)

        def ready() -> bool:
            state = started.state()
            if not state["Running"]:
                raise Fatal(f"{name} ended with status {state['ExitCode']}: {started.said()[-4000:]}")
            return serves(started)

        wait_for(ready, f"{name} to serve", START_DEADLINE_S, 0.2)
        return started

    def _container(self, image: str, alias: str) -> Any:
        from testcontainers.core.container import DockerContainer

        return DockerContainer(image).with_network(self._network).with_network_aliases(alias)

    def _start(self, container: Any, alias: str) -> Started:
        from docker.errors import DockerException

        try:
            container.start()
        except DockerException as error:
            with suppress(DockerException):
                container.stop()
            raise Fatal(f"{container.image} does not run in a container: {_first_line(error)}") from error
        self._running[alias] = Started(container, alias)
        return self._running[alias]

    def _dsn(self, postgres: Started) -> str:
        return f"postgresql://postgres:{self._password}@{postgres.address}:5432/kb"


def _engine_failure() -> str | None:
    import docker
    from docker.errors import DockerException

    try:
        engine = docker.from_env(timeout=20)
        engine.ping()
        engine.close()
    except DockerException as error:
        return _first_line(error)
    return None


def _has_a_broker(bootstrap: str) -> bool:
    try:
        return bool(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _accepts(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _serves(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/connectors", trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def points_of(embedder: Started) -> dict[str, dict[str, Any]]:
    """Every point by id, marks included, asked of the embedder's own container."""
    dumped = embedder.run("embedstream", "dump")
    assert dumped.status == 0, dumped.said
    points = [json.loads(line) for line in dumped.said.splitlines()]
    return {point["id"]: point["payload"] for point in points}


def _reachable(address: str, port: int) -> bool:
    """Whether this machine reaches a container by its own address: Linux does, even where nobody listens yet; the
    host of a virtual machine does not.
    """
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
