"""From SQL to the index: PostgreSQL, Debezium, Kafka and all roles, and the index equals the table.

One connector streams the tables of the module, one deployment with two sources reads them. What the index has to hold
is worked out from the tables by SQL alone; the CDC topics are not asked.
"""

import os
import random
import secrets
import signal

import psycopg
import pytest
from deployed_stream import Stream
from stream_process import wait_for

from compose.native import debezium
from schemas.identity import Version, doc_id
from stream.change import Upsert

WORDS = [f"word{number:05d}" for number in range(50_000)]


class Path:
    """The tables ``docs`` (one key column), ``parts`` (two) and ``doomed``, and the stream of the first two."""

    def __init__(self, stack):
        self.name = f"c{secrets.token_hex(4)}"
        self.database = psycopg.connect(stack.postgres, autocommit=True)
        self.sql(f"CREATE SCHEMA {self.name}")
        self.sql("CREATE TABLE docs (id text PRIMARY KEY, title text, body text, section text, pages int)")
        self.sql("CREATE TABLE parts (book int, chapter text, body text, PRIMARY KEY (book, chapter))")
        self.sql("CREATE TABLE doomed (id int PRIMARY KEY, body text)")
        for table in ("docs", "parts", "doomed"):
            self.sql(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
            # Debezium makes a topic with its first record.
            self.sql(f"INSERT INTO {table} {self.first(table)}")
        tables = tuple(f"{self.name}.{table}" for table in ("docs", "parts", "doomed"))
        self.stack = stack
        self.connector = debezium.Connector(self.name, stack.postgres, tables, partitions=2)
        debezium.register(stack.connect, self.connector)
        self.stream = Stream(stack.kafka)
        docs = self.stream.source("docs", topic=self.topic("docs"), heartbeat=self.connector.heartbeat_topic)
        parts = {"name": "parts", "topic": self.topic("parts"), "text": ["body"], "key": ["book", "chapter"]}
        self.stream.change({"source": [docs, parts]})
        self.running = self.stream.run().ready()

    @staticmethod
    def first(table):
        return {
            "docs": "VALUES ('first', 'First', 'The first document.', 'a', 1)",
            "parts": "VALUES (1, 'one', 'The first part.')",
            "doomed": "VALUES (1, 'A row that will be truncated.')",
        }[table]

    def topic(self, table):
        return self.connector.topic(f"{self.name}.{table}")

    def sql(self, statement, *values):
        self.database.execute(f"SET search_path TO {self.name}")
        return self.database.execute(statement, values)

    def rows(self):
        """Document → its texts and payload, as the tables have them now."""
        cutter = self.stream.deployment().cutter
        found = {}
        for id_, title, body, section, pages in self.sql("SELECT id, title, body, section, pages FROM docs"):
            found[doc_id("docs", {"id": id_})] = title, body, {"section": section, "pages": pages}
        for book, chapter, body in self.sql("SELECT book, chapter, body FROM parts"):
            found[doc_id("parts", {"book": book, "chapter": chapter})] = None, body, {}
        wanted = {}
        for document, (title, body, fields) in found.items():
            revision = Upsert(document, Version(1), title, body or "", {}, None, None)
            for place, chunk in enumerate(cutter.event(document.partition("/")[0], revision, "").chunks):
                payload = {"doc_id": document, "title": title, "text": chunk.text, "position": place, **fields}
                wanted[chunk.id] = {name: value for name, value in payload.items() if value is not None}
        return wanted

    def indexed(self):
        names = ("doc_id", "title", "text", "position", "section", "pages")
        return {
            id_: {name: payload[name] for name in names if name in payload}
            for id_, payload in self.stream.points().items()
        }

    def equal(self, deadline_s=60.0):
        """Waits until the index equals the tables, and until nothing is on its way that could change that."""
        wanted = self.rows()
        wait_for(lambda: self.indexed() == wanted, "the index to equal the tables", deadline_s, 0.1)
        self.stream.drained()
        assert self.indexed() == wanted
        versions = {}
        for payload in self.stream.points().values():
            versions.setdefault(payload["doc_id"], set()).add(payload["version"])
        assert all(len(of_document) == 1 for of_document in versions.values())

    def counted(self):
        return {outcome: self.running.chunks(outcome) for outcome in ("embedded", "kept", "removed")}

    def close(self):
        try:
            self.stream.close()
        finally:
            debezium.delete(self.stack.connect, self.connector)
            debezium.drop_slot(self.connector)
            self.database.close()


@pytest.fixture(scope="module")
def path(cdc_stack):
    path = Path(cdc_stack)
    yield path
    path.close()


@pytest.fixture
def id_():
    return secrets.token_hex(4)


def test_rows_written_by_sql_are_searchable_and_the_index_equals_the_table(path, id_):
    for number in range(12):
        path.sql(
            "INSERT INTO docs VALUES (%s, %s, %s, 'a', %s)",
            f"{id_}-{number}",
            f"Title {number}",
            f"The heron {id_} number {number} stands in the water. It waits there for a fish.",
            number,
        )
    path.sql("UPDATE docs SET body = body || ' It has caught one.' WHERE id = %s", f"{id_}-3")
    path.sql("UPDATE docs SET title = NULL WHERE id = %s", f"{id_}-4")
    path.sql("UPDATE docs SET body = NULL WHERE id = %s", f"{id_}-5")
    path.sql("DELETE FROM docs WHERE id = %s", f"{id_}-6")
    path.equal()
    hits = path.running.search(f"heron {id_} number 3 fish", limit=50)
    assert any(hit["doc_id"] == f"docs/{id_}-3" and "caught one" in hit["text"] for hit in hits)
    assert not [hit for hit in hits if hit["doc_id"] == f"docs/{id_}-6"]
    assert all(hit["fields"]["section"] == "a" for hit in hits if hit["doc_id"].startswith(f"docs/{id_}"))
    assert all(0 <= hit["age_ms"] < 600_000 for hit in hits), "ages are told by the database's clock"


def test_an_update_of_a_payload_column_embeds_nothing(path, id_):
    path.sql("INSERT INTO docs VALUES (%s, 'T', 'One sentence here. Another sentence there.', 'a', 1)", id_)
    path.equal()
    before = path.counted()
    path.sql("UPDATE docs SET section = 'b', pages = NULL WHERE id = %s", id_)
    path.equal()
    after = path.counted()
    assert (after["embedded"], after["removed"]) == (before["embedded"], before["removed"])
    assert after["kept"] > before["kept"]


def test_a_large_text_that_an_update_does_not_touch_stays(path, id_):
    """PostgreSQL keeps it outside of the row and does not log it again."""
    text = " ".join(random.Random(id_).choices(WORDS, k=20_000))
    path.sql("INSERT INTO docs VALUES (%s, 'Large', %s, 'a', 1)", id_, text)
    path.equal()
    before = path.counted()["embedded"]
    path.sql("UPDATE docs SET section = 'b' WHERE id = %s", id_)
    path.equal()
    assert path.counted()["embedded"] == before
    assert path.stream.letters() == []
    path.sql("DELETE FROM docs WHERE id = %s", id_)


def test_a_changed_primary_key_moves_the_document(path, id_):
    path.sql("INSERT INTO docs VALUES (%s, 'T', 'It moves from one name to another.', 'a', 1)", id_)
    path.equal()
    path.sql("UPDATE docs SET id = %s WHERE id = %s", f"{id_}-new", id_)
    path.equal()
    assert f"docs/{id_}" not in path.stream.texts()
    assert path.stream.texts()[f"docs/{id_}-new"] == ["It moves from one name to another."]


def test_a_row_that_is_deleted_and_inserted_again_in_one_transaction_is_there(path, id_):
    path.sql("INSERT INTO docs VALUES (%s, 'T', 'Before.', 'a', 1)", id_)
    with path.database.transaction():
        path.sql("DELETE FROM docs WHERE id = %s", id_)
        path.sql("INSERT INTO docs VALUES (%s, 'T', 'Behind.', 'a', 1)", id_)
    path.equal()
    assert path.stream.texts()[f"docs/{id_}"] == ["Behind."]


def test_a_composite_primary_key_names_the_document(path, id_):
    for book, chapter in ((7, id_), (7, f"{id_}/1"), (71, id_), (8, f'"{id_}", 8')):
        path.sql("INSERT INTO parts VALUES (%s, %s, %s)", book, chapter, f"Chapter {chapter} of book {book}.")
    path.sql("UPDATE parts SET body = 'Rewritten.' WHERE book = 7 AND chapter = %s", id_)
    path.sql("DELETE FROM parts WHERE book = 71")
    path.equal()
    assert path.stream.texts()[f'parts/[7,"{id_}"]'] == ["Rewritten."]


def test_a_truncated_table_stops_the_chunker_with_a_sentence(path):
    stream = Stream(path.stack.kafka, [{"name": "doomed", "topic": path.topic("doomed"), "text": ["body"]}])
    try:
        running = stream.run().ready()
        wait_for(stream.texts, "the row to be there")
        path.sql("TRUNCATE doomed")
        failure = str(running.failure())
        assert f"The table behind topic {path.topic('doomed')!r} was truncated" in failure
        assert 'on_truncate = "dead-letter"' in failure
    finally:
        stream.close()


def test_a_heartbeat_keeps_the_watermark_of_a_quiet_table_young(path):
    def age():
        return path.running.metric("source_watermark_age_seconds", source="docs")

    path.equal()
    ages = [age()]
    wait_for(lambda: ages.append(age()) or ages[-1] < ages[-2], "the watermark to move without any change")


def test_a_killed_broker_is_waited_for_and_nothing_is_lost_or_dead_lettered(path, id_, native_stack):
    pid = {server.name: server.pid for server in native_stack.status()}["kafka"]
    path.sql("INSERT INTO docs VALUES (%s, 'T', 'Before the broker went away.', 'a', 1)", f"{id_}-before")
    kill(pid)
    for number in range(20):
        path.sql("INSERT INTO docs VALUES (%s, 'T', 'While the broker was away.', 'a', 1)", f"{id_}-{number}")
    assert native_stack.up(cdc=True).kafka == path.stack.kafka
    path.sql("INSERT INTO docs VALUES (%s, 'T', 'After it had come back.', 'a', 1)", f"{id_}-after")
    path.equal(120)
    assert path.running.alive
    assert path.stream.letters() == []


def kill(pid):
    os.kill(pid, signal.SIGKILL)
