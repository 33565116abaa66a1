"""From COMMIT to the CDC topic: what the shipped connector makes of changes in a real PostgreSQL."""

import json
import logging
import os
import secrets
import signal
import statistics
import time

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError

from compose.native import debezium
from stream.errors import Fatal

LARGE = 60_000  # random bytes: far above what PostgreSQL keeps in the row, whatever it compresses


class Table:
    """A table of its own, the connector that streams it, and a reader of its topic."""

    def __init__(self, stack, name, *, full=True):
        self.stack, self.name = stack, name
        self.database = psycopg.connect(stack.postgres, autocommit=True)
        self.database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, body text, section text)")
        if full:
            self.database.execute(f"ALTER TABLE {name} REPLICA IDENTITY FULL")
        self.connector = debezium.Connector(name, stack.postgres, (f"public.{name}",), partitions=2)
        self.reader = Consumer(
            {
                "bootstrap.servers": stack.kafka,
                "group.id": name,
                "auto.offset.reset": "earliest",
                "topic.metadata.refresh.interval.ms": 200,
            }
        )
        self.reader.subscribe([self.topic])

    @property
    def topic(self):
        return self.connector.topic(f"public.{self.name}")

    def sql(self, statement, *values):
        return self.database.execute(statement.replace("TABLE", self.name), values)

    def next(self, deadline_s=30.0):
        give_up = time.monotonic() + deadline_s
        while time.monotonic() < give_up:
            message = self.reader.poll(0.1)
            if message is None:
                continue
            if message.error() is None:
                return message
            assert message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART, message.error()
        pytest.fail(f"no change event arrived in {deadline_s:g} s")

    def next_event(self, deadline_s=30.0):
        return json.loads(self.next(deadline_s).value())

    def close(self):
        debezium.delete(self.stack.connect, self.connector)
        debezium.drop_slot(self.connector)
        self.reader.close()
        self.database.close()


@pytest.fixture
def table(request, cdc_stack):
    made = []

    def make(**options):
        made.append(Table(cdc_stack, f"t_{secrets.token_hex(4)}", **options))
        debezium.register(cdc_stack.connect, made[-1].connector)
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_row_arrives_as_an_envelope_whether_older_than_the_connector_or_newer(table):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (1, 'a text', 'news')")
    event = docs.next_event()
    assert event["after"] == {"id": 1, "body": "a text", "section": "news"}
    assert event["op"] in ("r", "c")
    docs.sql("UPDATE TABLE SET section = 'sport' WHERE id = 1")
    event = docs.next_event()
    assert event["op"] == "u"
    assert event["before"]["section"] == "news"
    assert event["after"]["section"] == "sport"
    assert abs(event["source"]["ts_ms"] - time.time() * 1000) < 60_000


def test_a_commit_reaches_a_consumer_within_tens_of_milliseconds(table):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (0, 'first', '')")
    docs.next()
    took = []
    for number in range(1, 41):
        docs.sql("INSERT INTO TABLE VALUES (%s, 'a text', '')", number)
        committed = time.perf_counter()
        docs.next()
        took.append((time.perf_counter() - committed) * 1000)
    median = statistics.median(took)
    logging.getLogger(__name__).info("commit to consumer: p50 %.1f ms, max %.1f ms", median, max(took))
    # The bound only tells 10 ms of polling from Debezium's default of 500.
    assert median < 200


@pytest.mark.parametrize("full", [True, False], ids=["full", "default"])
def test_a_large_text_that_an_update_does_not_touch_arrives_whole(table, full):
    docs = table(full=full)
    text = secrets.token_hex(LARGE)
    docs.sql("INSERT INTO TABLE VALUES (1, %s, 'a')", text)
    assert docs.next_event()["after"]["body"] == text
    docs.sql("UPDATE TABLE SET section = 'b' WHERE id = 1")
    assert docs.next_event()["after"] == {"id": 1, "body": text, "section": "b"}


def test_with_full_identity_not_even_a_row_deleted_at_once_leaves_a_placeholder(table):
    docs = table(full=True)
    text = secrets.token_hex(LARGE)
    docs.sql("INSERT INTO TABLE VALUES (1, %s, 'a')", text)
    docs.next()
    with docs.database.transaction():
        docs.sql("UPDATE TABLE SET section = 'b' WHERE id = 1")
        docs.sql("DELETE FROM TABLE WHERE id = 1")
    assert docs.next_event()["after"]["body"] == text
    assert docs.next_event()["op"] == "d"


def test_a_delete_is_an_event_and_a_tombstone_and_a_truncate_is_told(table):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (1, 'x', 'a')")
    docs.next()
    docs.sql("DELETE FROM TABLE WHERE id = 1")
    deleted, tombstone = docs.next(), docs.next()
    assert json.loads(deleted.value())["op"] == "d"
    assert tombstone.value() is None
    assert deleted.key() == tombstone.key() == b'{"id":1}'
    docs.sql("TRUNCATE TABLE")
    assert docs.next_event()["op"] == "t"


def test_a_text_of_several_megabytes_passes(table):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (1, repeat('wörter ', 1000000), 'a')")
    assert len(docs.next_event()["after"]["body"]) == 7_000_000


def test_a_quiet_source_is_known_to_be_alive_by_its_heartbeats(table, cdc_stack):
    docs = table()
    docs.reader.unsubscribe()
    docs.reader.subscribe([docs.connector.heartbeat_topic])
    assert "ts_ms" in docs.next_event()


def test_registering_again_changes_nothing_and_deleting_twice_is_no_error(table, cdc_stack):
    docs = table()
    debezium.register(cdc_stack.connect, docs.connector)
    docs.sql("INSERT INTO TABLE VALUES (1, 'x', 'a')")
    assert docs.next_event()["after"]["id"] == 1
    assert debezium.delete(cdc_stack.connect, docs.connector) is True
    assert debezium.delete(cdc_stack.connect, docs.connector) is False
    assert debezium.drop_slot(docs.connector) is True
    assert debezium.drop_slot(docs.connector) is False


def test_refused_settings_are_told_in_debeziums_words(cdc_stack):
    wrong = debezium.Connector("wrong", cdc_stack.postgres.replace("postgres:", "nobody:", 1), ("public.x",))
    with pytest.raises(Fatal, match="Debezium refuses the settings of wrong-source"):
        debezium.register(cdc_stack.connect, wrong)


@pytest.mark.parametrize("origin", ["native"], indirect=True)
def test_a_killed_worker_goes_on_with_its_connectors(table, native_stack):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (1, 'before', 'a')")
    docs.next()
    kill(native_stack, "connect")
    docs.sql("INSERT INTO TABLE VALUES (2, 'meanwhile', 'a')")
    native_stack.up(cdc=True)
    seen = [docs.next_event(60)["after"]["id"]]
    while seen[-1] != 2:
        seen.append(docs.next_event()["after"]["id"])


@pytest.mark.parametrize("origin", ["native"], indirect=True)
def test_a_killed_database_keeps_its_rows_and_its_stream(table, native_stack, wait_until):
    docs = table()
    docs.sql("INSERT INTO TABLE VALUES (1, 'before', 'a')")
    docs.next()
    kill(native_stack, "postgres")
    address = native_stack.up(cdc=True).postgres
    assert address == docs.stack.postgres
    with psycopg.connect(address, autocommit=True) as database:
        database.execute(f"INSERT INTO {docs.name} VALUES (2, 'after', 'a')")
        assert database.execute(f"SELECT count(*) FROM {docs.name}").fetchone() == (2,)
    seen = [docs.next_event(60)["after"]["id"]]
    while seen[-1] != 2:
        seen.append(docs.next_event()["after"]["id"])


def kill(stack, name):
    os.kill({server.name: server.pid for server in stack.status()}[name], signal.SIGKILL)
