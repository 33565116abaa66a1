"""A Debezium connector that streams PostgreSQL tables into CDC topics, and its life on a Kafka Connect worker.

The settings serve a fresh and complete index. WAL is looked at every 10 ms. Nothing is left out: deletes arrive with
their tombstones, truncates are told instead of skipped, and a large column that an UPDATE did not touch is read again
from the table, so that no placeholder stands where a text should be. Dates and decimals arrive as text, heartbeats in
a topic of their own say that a quiet source is alive. CDC topics keep their history: a new chunking replays it.

The replication slot outlives the connector, so that a registered one goes on where it was; ``drop_slot`` is
for one that never will.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpx

from stream.errors import Fatal, Misuse

_POLL_S = 0.05
_HEARTBEAT_PREFIX = "__debezium-heartbeat"


@dataclass(frozen=True, slots=True)
class Connector:
    """Which tables of which database become CDC topics, ``<topic_prefix>.<schema>.<table>`` each.

    ``dsn`` is a ``postgresql://`` URI with user, password, host, port and database. ``tables`` are ``schema.table``.
    ``partitions`` is the number of partitions with which a CDC topic is created, ``heartbeat_ms`` the time between
    two heartbeats.
    """

    topic_prefix: str
    dsn: str
    tables: tuple[str, ...]
    partitions: int = 4
    heartbeat_ms: int = 1_000
    brokers: str | None = None
    """Where it looks for signals, by which it writes all rows again: see ``signal_topic``. None: nowhere."""

    @property
    def signal_topic(self) -> str:
        """Of one partition; it has to exist before the connector looks for signals."""
        return f"{self.topic_prefix}.signals"

    @property
    def name(self) -> str:
        """The connector's name on the worker."""
        return f"{self.topic_prefix}-source"

    @property
    def slot(self) -> str:
        """The replication slot; the publication has the same name."""
        return "embedstream_" + re.sub(r"[^a-z0-9_]", "_", self.topic_prefix.lower())

    @property
    def heartbeat_topic(self) -> str:
        return f"{_HEARTBEAT_PREFIX}.{self.topic_prefix}"

    def topic(self, table: str) -> str:
        """The CDC topic of ``schema.table``."""
        return f"{self.topic_prefix}.{table}"

    def configuration(self) -> dict[str, str]:
        """The connector's settings as Kafka Connect takes them."""
        database = urlsplit(self.dsn)
        if database.hostname is None or database.username is None or not database.path.strip("/"):
            raise Misuse("The database is named by a URI: postgresql://user:password@host:port/database.")
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "topic.prefix": self.topic_prefix,
            "database.hostname": database.hostname,
            "database.port": str(database.port or 5432),
            "database.user": unquote(database.username),
            "database.password": unquote(database.password or ""),
            "database.dbname": database.path.strip("/"),
            "table.include.list": ",".join(re.escape(table) for table in self.tables),
            "plugin.name": "pgoutput",
            "slot.name": self.slot,
            "publication.name": self.slot,
            "publication.autocreate.mode": "filtered",
            "snapshot.mode": "initial",
            "poll.interval.ms": "10",
            "retriable.restart.connector.wait.ms": "1000",
            "heartbeat.interval.ms": str(self.heartbeat_ms),
            "tombstones.on.delete": "true",
            "skipped.operations": "none",
            "decimal.handling.mode": "string",
            "time.precision.mode": "isostring",
            "post.processors": "reselector",
            "reselector.type": "io.debezium.processors.reselect.ReselectColumnsPostProcessor",
            "reselector.reselect.unavailable.values": "true",
            "reselector.reselect.null.values": "false",
            "topic.creation.groups": "heartbeat",
            "topic.creation.default.replication.factor": "1",
            "topic.creation.default.partitions": str(self.partitions),
            "topic.creation.default.cleanup.policy": "delete",
            "topic.creation.default.retention.ms": "-1",
            "topic.creation.heartbeat.include": re.escape(_HEARTBEAT_PREFIX) + ".*",
            "topic.creation.heartbeat.partitions": "1",
            "topic.creation.heartbeat.replication.factor": "1",
            "topic.creation.heartbeat.retention.ms": "3600000",
            **self._signals(),
        }

    def _signals(self) -> dict[str, str]:
        """From Kafka, and nothing is written to the database for a snapshot's watermarks."""
        if self.brokers is None:
            return {}
        return {
            "signal.enabled.channels": "kafka",
            "signal.kafka.topic": self.signal_topic,
            "signal.kafka.bootstrap.servers": self.brokers,
            "read.only": "true",
        }


def register(connect: str, connector: Connector, deadline_s: float = 60.0) -> None:
    """Creates or changes ``connector`` on the worker at ``connect`` (``host:port``) and waits until its task runs.

    Registering the same connector again changes nothing. Raises Fatal with Debezium's own reason when the settings
    are refused or the task fails, and when it does not run after ``deadline_s`` seconds.
    """
    give_up = time.monotonic() + deadline_s
    with _client(connect) as client:
        while True:
            answer = _put(client, connector.name, connector.configuration())
            if answer is None:
                break
            # The worker answers 409 while its group rebalances and 5xx while it waits for the broker.
            if time.monotonic() > give_up:
                raise Fatal(f"Kafka Connect at {connect} did not take the connector {connector.name}: {answer}")
            time.sleep(_POLL_S)
        state = "UNASSIGNED"
        while state != "RUNNING":
            state, reason = _state(client, connector.name)
            if state == "FAILED":
                raise Fatal(f"The connector {connector.name} failed: {reason}")
            if time.monotonic() > give_up:
                raise Fatal(f"The connector {connector.name} was still {state} after {deadline_s:.0f} s.")
            time.sleep(_POLL_S)


def delete(connect: str, connector: Connector) -> bool:
    """Takes ``connector`` off the worker at ``connect``; True if it was there. Slot, topics and offsets stay."""
    with _client(connect) as client:
        answer = _call(client, "DELETE", f"/connectors/{connector.name}")
    if answer.status_code not in (204, 404):
        raise Fatal(f"The connector {connector.name} could not be deleted: {_reason(answer)}")
    return answer.status_code == 204


def drop_slot(connector: Connector, deadline_s: float = 30.0) -> bool:
    """Drops replication slot and publication of a connector that was deleted; True if there was a slot.

    A slot that nobody reads keeps every segment of the WAL. Raises Fatal when the slot is still read after
    ``deadline_s`` seconds.
    """
    import psycopg  # noqa: PLC0415 — an optional extra: only the local stack needs it

    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
    give_up = time.monotonic() + deadline_s
    with psycopg.connect(connector.dsn, autocommit=True) as database:
        while True:
            try:
                dropped = database.execute(drop, (connector.slot,)).fetchone() is not None
                break
            except psycopg.errors.ObjectInUse as error:
                if time.monotonic() > give_up:
                    raise Fatal(f"The slot {connector.slot} is still read: delete its connector first.") from error
                time.sleep(_POLL_S)
        publication = psycopg.sql.Identifier(connector.slot)
        database.execute(psycopg.sql.SQL("DROP PUBLICATION IF EXISTS {}").format(publication))
    return dropped


def _client(connect: str) -> httpx.Client:
    return httpx.Client(base_url=f"http://{connect}", timeout=30, trust_env=False)


def _put(client: httpx.Client, name: str, configuration: Mapping[str, str]) -> str | None:
    """None when the worker took it, else why it should be tried again."""
    answer = _call(client, "PUT", f"/connectors/{name}/config", dict(configuration))
    if answer.status_code in (200, 201):
        return None
    if answer.status_code == 400:
        raise Fatal(f"Debezium refuses the settings of {name}: {_reason(answer)}")
    return _reason(answer)


def _state(client: httpx.Client, name: str) -> tuple[str, str]:
    """The state of the connector's task and, if it failed, the first line of its reason."""
    answer = _call(client, "GET", f"/connectors/{name}/status")
    if answer.status_code != 200:
        return "UNASSIGNED", _reason(answer)
    status = answer.json()
    for part in (status["connector"], *status["tasks"]):
        if part["state"] == "FAILED":
            return "FAILED", str(part.get("trace", "no reason given")).splitlines()[0]
    return (str(status["tasks"][0]["state"]) if status["tasks"] else "UNASSIGNED"), ""


def _call(client: httpx.Client, method: str, path: str, body: Mapping[str, str] | None = None) -> httpx.Response:
    try:
        return client.request(method, path, json=body)
    except httpx.HTTPError as error:
        raise Fatal(f"Kafka Connect at {client.base_url} does not answer ({error}): is the stack up?") from error


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
