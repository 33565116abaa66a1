"""A connector that starts over tells its table again, at higher offsets; and what it never told, the audit finds."""

import json
import secrets

import psycopg
import pytest
from deployed_stream import Stream
from stream_process import wait_for

from compose.native import debezium


class Anew(debezium.Connector):
    """The same topics and slot under another name: the worker knows no offset of it, so it begins with a snapshot."""

    @property
    def name(self):
        return f"{self.topic_prefix}-anew"


class Afresh(debezium.Connector):
    """And once more."""

    @property
    def name(self):
        return f"{self.topic_prefix}-afresh"


class Table:
    """One table with its connector and the stream behind it."""

    def __init__(self, stack):
        self.schema = f"h{secrets.token_hex(4)}"
        self.stack = stack
        self.database = psycopg.connect(stack.postgres, autocommit=True)
        self.sql(f"CREATE SCHEMA {self.schema}")
        self.sql("CREATE TABLE docs (id text PRIMARY KEY, body text)")
        self.sql("ALTER TABLE docs REPLICA IDENTITY FULL")
        for number in range(8):
            self.insert(number)
        given = {"topic_prefix": self.schema, "dsn": stack.postgres, "tables": (f"{self.schema}.docs",)}
        self.first = debezium.Connector(**given, partitions=2)
        self.again = Anew(**given, partitions=2)
        self.afresh = Afresh(**given, partitions=2)
        debezium.register(stack.connect, self.first)
        topic = self.first.topic(f"{self.schema}.docs")
        self.stream = Stream(stack.kafka, [{"name": "docs", "topic": topic, "text": ["body"]}])
        self.stream.run("chunker", "embedder").ready()

    def sql(self, statement, *values):
        self.database.execute(f"SET search_path TO {self.schema}")
        return self.database.execute(statement, values)

    def insert(self, number):
        self.sql("INSERT INTO docs VALUES (%s, %s)", f"{number}", f"Row {number} has a text of its own.")

    def rows(self):
        return {f"docs/{id_}": [body] for id_, body in self.sql("SELECT id, body FROM docs")}

    def told(self):
        """Records of the CDC topic."""
        return sum(self.stream.topics.ends(self.stream.tables["source"][0]["topic"]).values())

    def equal(self):
        wait_for(lambda: self.stream.texts() == self.rows(), "the index to equal the table")
        self.stream.drained()
        assert self.stream.texts() == self.rows()

    def audited(self, *more):
        process = self.stream.command("audit", "--json", *more)
        status = process.ended()
        return status, json.loads(process.said())

    def close(self):
        try:
            self.stream.close()
        finally:
            for connector in (self.first, self.again, self.afresh):
                debezium.delete(self.stack.connect, connector)
            debezium.drop_slot(self.again)
            self.database.close()


@pytest.fixture
def table(cdc_stack):
    table = Table(cdc_stack)
    yield table
    table.close()


def test_a_connector_that_starts_over_leaves_the_index_equal_to_the_table(table):
    table.equal()
    table.sql("UPDATE docs SET body = 'Row 0 was changed.' WHERE id = '0'")
    table.sql("UPDATE docs SET body = 'Row 0 was changed twice.' WHERE id = '0'")
    table.sql("DELETE FROM docs WHERE id = '1'")
    table.insert(8)
    table.equal()
    before = table.told()

    debezium.delete(table.stack.connect, table.first)
    table.sql("UPDATE docs SET body = 'Row 2 was changed while nobody listened.' WHERE id = '2'")
    debezium.register(table.stack.connect, table.again)
    wait_for(lambda: table.told() >= before + 8, "the table to be told again")
    table.equal()
    status, report = table.audited("--all-vectors")
    assert (status, report["equal"]) == (0, True)


def test_rows_deleted_while_there_was_no_slot_are_found_by_a_snapshot_and_deleted(table):
    table.sql("UPDATE docs SET body = 'Row 0 was changed.' WHERE id = '0'")
    table.insert(8)
    table.equal()
    before = table.told()
    debezium.delete(table.stack.connect, table.first)
    assert debezium.drop_slot(table.first)
    table.sql("DELETE FROM docs WHERE id IN ('3', '8')")
    table.insert(9)
    debezium.register(table.stack.connect, table.afresh)
    wait_for(lambda: table.told() >= before + 8, "the table to be told again")
    table.insert(10)
    wait_for(lambda: "docs/10" in table.stream.texts(), "what comes behind the snapshot")
    table.stream.drained()
    assert table.stream.texts().keys() - table.rows().keys() == {"docs/3", "docs/8"}, "no event told of them"
    assert table.audited()[1]["equal"], "the topic knows no better either"
    status, report = table.audited("--after-snapshot", "--repair")
    assert (status, {one["doc_id"] for one in report["repaired"]}) == (0, {"docs/3", "docs/8"})
    table.equal()
    assert table.audited("--after-snapshot", "--all-vectors")[0] == 0
