"""A deployment that a test runs: its configuration file, its topics, and whoever runs its roles.

A role runs in a thread of this process (``run``: quick, and its failure is at hand) or in a process of its own
(``start``: it can be killed). Everything that was started is ended by ``close``, processes by their ids; what a process
said is printed then, and pytest shows it where the test failed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from adapters.kafka.reader import read_partitions
from compose.commands.looking import live_collection
from compose.commands.status import Status, status_of
from compose.deployment import Deployment
from compose.run import ROLES, Announced, run
from compose.settings import load
from schemas import dead_letter
from schemas.chunk_codec import decode
from schemas.chunk_event import ChunkEvent
from stream.points import Payload
from stream.ports import Record

ROOT = Path(__file__).parents[1]
LARGEST_RECORD = 64 * 1024 * 1024
PATIENCE_S = 60.0

Tables = Mapping[str, Any]


def wait_for(condition: Callable[[], Any], what: str, deadline_s: float = PATIENCE_S, pause_s: float = 0.05) -> Any:
    give_up = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > give_up:
            pytest.fail(f"waited {deadline_s:g} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(pause_s)
    return answer


class Metered:
    """Whoever serves ``/metrics``."""

    telemetry: str = ""
    query: str | None = None

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series with these labels; 0 where there is none."""
        page = httpx.get(f"{self.telemetry}/metrics", trust_env=False, timeout=20).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"embedstream_{name}" and labels.items() <= sample.labels.items()
        )

    def chunks(self, outcome: str) -> int:
        return int(self.metric("chunks_total", outcome=outcome))

    def events(self, outcome: str) -> int:
        return int(self.metric("events_total", outcome=outcome))

    def search(self, text: str, **more: Any) -> list[dict[str, Any]]:
        body = {"query": text, **more}
        answer = httpx.post(f"{self.query}/v1/search", json=body, trust_env=False, timeout=20)
        return list(answer.json().get("hits", []))


class Running(Metered):
    """Roles in threads of this process."""

    def __init__(self, deployment: Deployment, roles: Iterable[str]) -> None:
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(deployment, tuple(roles)), daemon=True)
        self._thread.start()

    def _run(self, deployment: Deployment, roles: Any) -> None:
        try:
            run(deployment, roles, self._stopping, self._announced)
        except BaseException as error:  # noqa: BLE001 - the test's to judge
            self._failure = error

    def _announced(self, announced: Announced) -> None:
        self.telemetry, self.query = announced.telemetry, announced.query
        self._ready.set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ready(self) -> "Running":
        wait_for(lambda: self._ready.is_set() or not self.alive, "the roles to run")
        if self._failure is not None:
            raise self._failure
        return self

    def failure(self, deadline_s: float = PATIENCE_S) -> BaseException:
        """What ended it; the test takes it, so ``stop`` does not raise it again."""
        wait_for(lambda: not self.alive, "the roles to fail", deadline_s)
        failure, self._failure = self._failure, None
        assert failure is not None, "it ended without a failure"
        return failure

    def stop(self) -> None:
        self._stopping.set()
        wait_for(lambda: not self.alive, "the roles to stop")
        if self._failure is not None:
            raise self._failure


class Process(Metered):
    """``embedstream COMMAND…`` as a process, by this Python."""

    def __init__(self, arguments: Iterable[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._output = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compose.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ready(self) -> "Process":
        """Returns when it announced itself; fails with what it said when it ended instead."""
        said = wait_for(lambda: self._announcement() or not self.alive, f"{self.log.name} to run")
        if said is True:
            pytest.fail(f"{self.log.name} ended with status {self._process.returncode}: {self.said()}")
        self.telemetry, self.query = said["telemetry"], said.get("search page")
        return self

    def _announcement(self) -> dict[str, str] | None:
        found = {}
        for line in self.said().splitlines():
            for name in ("search page", "telemetry"):
                if line.startswith(f"{name} "):
                    found[name] = line.removeprefix(name).strip()
        return found if "telemetry" in found else None

    def kill(self) -> None:
        """SIGKILL, and only to this process."""
        if self.alive:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._output.close()

    def stop(self, deadline_s: float = PATIENCE_S) -> int:
        """SIGTERM; its exit status."""
        if self.alive:
            self._process.terminate()
        return self.ended(deadline_s)

    def ended(self, deadline_s: float = PATIENCE_S) -> int:
        """Its exit status, once it ended by itself."""
        wait_for(lambda: not self.alive, f"{self.log.name} to end", deadline_s)
        self._output.close()
        return int(self._process.returncode)


class Stream:
    """One deployment with names of its own. ``tables`` is the configuration, to be changed before a start."""

    def __init__(self, kafka: str, sources: Iterable[Tables] = (), **tables: Tables) -> None:
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.kafka = kafka
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-stream-"))
        self.chunks, self.letter_topic = f"{self.name}.chunks", f"{self.name}.dead-letters"
        self.cdc = f"{self.name}.cdc"
        self.tables: dict[str, Any] = {
            "kafka": {"bootstrap.servers": kafka, "group_prefix": self.name},
            "source": list(sources) or [self.source()],
            "chunks": {"topic": self.chunks, "partitions": 3},
            "chunking": {"min_tokens": 6, "max_tokens": 24},
            "encoding": {"model": "hash:64"},
            "embedder": {"flush_interval_s": 0.2},
            "index": {"name": "docs", "url": "edge:index"},
            "query": {"listen": "127.0.0.1:0"},
            "telemetry": {"listen": "127.0.0.1:0"},
        }
        self.change(tables)
        self._runners: list[Running | Process] = []
        self._producer = Producer(
            {"bootstrap.servers": kafka, "linger.ms": 2, "message.max.bytes": LARGEST_RECORD, "acks": "all"}
        )

    # --- configuration ---

    def source(self, name: str = "docs", **changed: Any) -> dict[str, Any]:
        mapped = {"name": name, "topic": f"{self.name}.cdc", "title": "title", "text": ["body"]}
        return {**mapped, "fields": {"section": "keyword", "pages": "integer"}, **changed}

    def change(self, tables: Tables) -> None:
        for name, table in tables.items():
            self.tables[name] = {**self.tables.get(name, {}), **table} if isinstance(table, Mapping) else table

    def config(self, **changed: Tables) -> Path:
        """A file of its own for each variant."""
        tables = dict(self.tables)
        for name, table in changed.items():
            tables[name] = {**tables.get(name, {}), **table} if isinstance(table, Mapping) else table
        path = self.folder / f"{uuid.uuid4().hex[:8]}.toml"
        path.write_text(to_toml(tables), encoding="utf-8")
        return path

    def deployment(self, **changed: Tables) -> Deployment:
        return Deployment(load(self.config(**changed), {}))

    # --- topics ---

    def create(self, topic: str = "", partitions: int = 3, **config: str) -> str:
        topic = topic or self.cdc
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.deployment().topics().create(topic, partitions, 1, settings)
        return topic

    def put(self, key: Any, value: Any, *, topic: str = "", headers: Any = (), partition: int = -1) -> None:
        """Bytes and None pass as they are, everything else as JSON. ``flush`` waits for the acknowledgement."""
        more = {} if partition < 0 else {"partition": partition}
        self._producer.produce(topic or self.cdc, as_bytes(value), as_bytes(key), headers=list(headers), **more)
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(PATIENCE_S) == 0, "the broker did not acknowledge"

    def records(self, topic: str) -> list[Record]:
        """Every committed record, by partition and offset."""
        deployment = self.deployment()
        places = sorted(deployment.topics().ends(topic))
        found = read_partitions(deployment.settings.kafka.properties, places)
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def chunk_events(self) -> list[ChunkEvent]:
        return [decode(record.value) for record in self.records(self.chunks) if record.value is not None]

    def letters(self) -> list[dead_letter.DeadLetter]:
        return [
            dead_letter.decode(letter.key, letter.value, letter.headers) for letter in self.records(self.letter_topic)
        ]

    # --- roles ---

    def run(self, *roles: str, **changed: Tables) -> Running:
        """In threads; all of them by default. Not ready yet."""
        self._runners.append(Running(self.deployment(**changed), roles or ROLES))
        return self._runners[-1]  # type: ignore[return-value]

    def start(self, role: str = "all", environment: Mapping[str, str] | None = None, **changed: Tables) -> Process:
        """In a process. Not ready yet."""
        return self.command("run", role, environment=environment, **changed)

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None, **changed: Tables) -> Process:
        log = self.folder / f"{len(self._runners)}-{'-'.join(arguments)[:40].replace('/', '_')}.log"
        process = Process([*arguments, "--config", str(self.config(**changed))], log, environment)
        self._runners.append(process)
        return process

    def asked(self, *arguments: str, **changed: Tables) -> str:
        """What a command printed; it has to end well."""
        process = self.command(*arguments, **changed)
        assert process.ended() == 0, process.said()
        return process.said()

    # --- outcomes ---

    def status(self) -> Status:
        return status_of(self.deployment())

    def drained(self, deadline_s: float = PATIENCE_S) -> None:
        """Waits until every record is chunked and every chunk event is in the index."""
        deployment = self.deployment()

        def lags() -> bool:
            now = status_of(deployment)
            return (now.chunker, now.embedder) == (0, 0)

        self.flush()
        wait_for(lags, "both lags to be 0", deadline_s, 0.1)

    def points(self, state: str | None = "live") -> dict[str, Payload]:
        with live_collection(self.deployment()) as live:
            found = {point.id: point.payload for point in live.index.scroll()}
        return {id_: payload for id_, payload in found.items() if state is None or payload["state"] == state}

    def texts(self) -> dict[str, list[str]]:
        """Document → its live passages in order."""
        found: dict[str, list[Payload]] = {}
        for payload in self.points().values():
            found.setdefault(str(payload["doc_id"]), []).append(payload)
        return {doc: [str(one["text"]) for one in sorted(of, key=position)] for doc, of in found.items()}

    def close(self) -> None:
        """Ends everything; the first failure nobody took is raised."""
        failures = []
        for runner in self._runners:
            try:
                if isinstance(runner, Process):
                    runner.kill()
                    sys.stdout.write(f"--- {runner.log.name}\n{runner.said()[-6000:]}\n")
                else:
                    runner.stop()
            except BaseException as error:  # noqa: BLE001 - the others have to be ended too
                failures.append(error)
        shutil.rmtree(self.folder, ignore_errors=True)
        if failures:
            raise failures[0]


def position(payload: Payload) -> int:
    return int(str(payload["position"]))


def as_bytes(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else json.dumps(value).encode()


def to_toml(tables: Tables) -> str:
    lines = []
    for name, table in tables.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{json.dumps(key)} = {_toml_value(value)}" for key, value in one.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
