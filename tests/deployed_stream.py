"""A deployment that a test runs: its configuration file, its topics, its index, and whoever runs its roles.

Everything that was started is ended by ``close``, processes by their ids; what a process said is printed then, and
pytest shows it where the test failed.
"""

import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from stream_process import PATIENCE_S, Process, Running, wait_for

from adapters.kafka.reader import read_partitions
from adapters.kafka.topics import KafkaTopics
from compose.commands.looking import live_collection
from compose.commands.status import Status, status_of
from compose.deployment import Deployment
from compose.native.debezium import Connector
from compose.run import ROLES
from compose.settings import load
from consumers.lag import lag_of
from schemas import dead_letter
from schemas.chunk_codec import decode
from schemas.chunk_event import ChunkEvent
from stream.points import Payload
from stream.ports import Record

LARGEST_RECORD = 64 * 1024 * 1024

Tables = Mapping[str, Any]


class Stream:
    """One deployment with names of its own. ``tables`` is the configuration, to be changed before a start."""

    def __init__(self, brokers: str, sources: Iterable[Tables] = (), **tables: Tables) -> None:
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.brokers = brokers
        self.folder = Path(tempfile.mkdtemp(prefix="embedstream-stream-"))
        self.chunks, self.letter_topic = f"{self.name}.chunks", f"{self.name}.dead-letters"
        self.cdc = f"{self.name}.cdc"
        self.tables: dict[str, Any] = {
            "kafka": {"bootstrap.servers": brokers, "group_prefix": self.name},
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
        self.topics = KafkaTopics({"bootstrap.servers": brokers})
        self._runners: list[Running | Process] = []
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "linger.ms": 2,
                "message.max.bytes": LARGEST_RECORD,
                # A retry must not put an older record of a row behind a newer one.
                "enable.idempotence": True,
            }
        )

    # --- configuration ---

    def source(self, name: str = "docs", **changed: Any) -> dict[str, Any]:
        mapped = {"name": name, "topic": f"{self.name}.cdc", "title": "title", "text": ["body"]}
        return {**mapped, "fields": {"section": "keyword", "pages": "integer"}, **changed}

    def follow(self, connector: Connector, table: str, name: str) -> "Stream":
        """Its one source is this table of the connector's database, with as many chunk partitions as rows have."""
        mapped = self.source(name, topic=connector.topic(table), heartbeat=connector.heartbeat_topic)
        chunks = {"topic": self.chunks, "partitions": connector.partitions}
        self.change({"source": [mapped], "chunks": chunks})
        return self

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
        self.topics.create(topic, partitions, 1, settings)
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
        places = sorted(self.topics.ends(topic))
        found = read_partitions(deployment.settings.kafka.properties, places)
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def chunk_events(self) -> list[ChunkEvent]:
        return [decode(record.value) for record in self.records(self.chunks) if record.value is not None]

    def letters(self) -> list[dead_letter.DeadLetter]:
        return [
            dead_letter.decode(letter.key, letter.value, letter.headers) for letter in self.records(self.letter_topic)
        ]

    # --- roles ---

    def run(self, *roles: str, following: Deployment | None = None, **changed: Tables) -> Running:
        """In threads; all of them by default. ``following``: another pair beside it. Not ready yet."""
        self._runners.append(Running(self.deployment(**changed), roles or ROLES, following))
        return self._runners[-1]  # type: ignore[return-value]

    def start(self, role: str = "all", environment: Mapping[str, str] | None = None, **changed: Tables) -> Process:
        """In a process. Not ready yet."""
        return self.command("run", role, environment=environment, **changed)

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None, **changed: Tables) -> Process:
        """Any command, with this deployment's configuration."""
        return self.launched(*arguments, "--config", str(self.config(**changed)), environment=environment)

    def launched(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """A command as it stands."""
        log = self.folder / f"{len(self._runners)}-{'-'.join(arguments[:2])}.log"
        process = Process(arguments, log, environment)
        self._runners.append(process)
        return process

    def asked(self, *arguments: str, **changed: Tables) -> str:
        """What a command printed; it has to end well."""
        return self.command(*arguments, **changed).printed()

    # --- outcomes ---

    def status(self) -> Status:
        return status_of(self.deployment())

    def drained(self, deadline_s: float = PATIENCE_S) -> None:
        """Waits until every record is chunked and every chunk event is in the index."""
        self.chunked(deadline_s)
        self._no_lag(self.deployment().embedder_group, [self.chunks], deadline_s)

    def chunked(self, deadline_s: float = PATIENCE_S) -> None:
        """Waits until every record is chunked."""
        self.flush()
        deployment = self.deployment()
        self._no_lag(deployment.chunker_group, list(deployment.source_topics), deadline_s)

    def _no_lag(self, group: str, topics: Sequence[str], deadline_s: float) -> None:
        seen: dict[str, Any] = {}

        def done() -> bool:
            seen.update(lag_of(self.topics, group, topics))
            return all(lag.events == 0 for lag in seen.values())

        wait_for(done, f"group {group} to have no lag", deadline_s, seen=seen)

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


def records_before(deployment: Deployment, topics: KafkaTopics) -> int:
    """How many records chunkers and embedders have before them."""
    groups = {
        deployment.chunker_group: list(deployment.source_topics),
        deployment.embedder_group: [deployment.settings.chunks.topic],
    }
    return sum(lag.events or 0 for group, names in groups.items() for lag in lag_of(topics, group, names).values())


def position(payload: Payload) -> int:
    return int(str(payload["position"]))


def as_bytes(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else json.dumps(value).encode()


def to_toml(tables: Tables) -> str:
    lines = []
    for name, table in tables.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{json.dumps(key)} = {_toml_value(value)}" for key, value in one.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
