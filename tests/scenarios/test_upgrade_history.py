"""A new chunking whose history is gone: refused, until the connector has written all rows again.

PostgreSQL and Debezium, whose incremental snapshot is asked for by the command itself, through the signal topic.
"""

import secrets
from contextlib import closing

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deployed_stream import Stream
from stream_process import wait_for
from upgrading import Upgrade

from adapters.kafka.topics import KafkaTopics
from compose.native import debezium

pytestmark = [pytest.mark.kafka, pytest.mark.cdc]

ROWS = 40
OTHER_CHUNKING = {"chunking": {"min_tokens": 6, "max_tokens": 16}}


@pytest.fixture
def table(cdc_stack):
    """A table of some rows, streamed by a connector that looks for signals, and the stream that follows it."""
    name = f"h{secrets.token_hex(4)}"
    with psycopg.connect(cdc_stack.postgres, autocommit=True) as database:
        database.execute(f"CREATE SCHEMA {name}")
        database.execute(
            f"CREATE TABLE {name}.docs (id int PRIMARY KEY, title text, body text, section text, pages int)"
        )
        database.execute(f"ALTER TABLE {name}.docs REPLICA IDENTITY FULL")
        connector = debezium.Connector(
            name, cdc_stack.postgres, (f"{name}.docs",), partitions=2, brokers=cdc_stack.kafka
        )
        KafkaTopics({"bootstrap.servers": cdc_stack.kafka}).create(connector.signal_topic, 1, 1, {})
        for number in range(ROWS):
            database.execute(
                f"INSERT INTO {name}.docs VALUES (%s, %s, %s, 'a', %s)",
                (
                    number,
                    f"Title {number}",
                    f"The stork number {number} builds. It brings twigs of many kinds.",
                    number,
                ),
            )
        debezium.register(cdc_stack.connect, connector)
        stream = Stream(cdc_stack.kafka).follow(connector, f"{name}.docs", "docs")
        stream.tables["source"][0]["signal"] = connector.signal_topic
        try:
            yield database, f"{name}.docs", stream
        finally:
            stream.close()
            debezium.delete(cdc_stack.connect, connector)
            debezium.drop_slot(connector)


def forget(stream, topic):
    """Deletes every record of the topic that there is, as retention does."""
    ends = stream.topics.ends(topic)
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    for future in admin.delete_records([TopicPartition(p.topic, p.number, end) for p, end in ends.items()]).values():
        future.result()


def test_history_that_is_gone_is_refused_until_the_rows_are_written_again(table):
    database, name, stream = table
    upgrade = Upgrade(stream, **OTHER_CHUNKING)
    running = upgrade.run()
    wait_for(lambda: len(stream.texts()) == ROWS, "all rows to be searchable")
    stream.drained()
    (cdc,) = upgrade.before.source_topics
    forget(stream, cdc)
    database.execute(f"UPDATE {name} SET body = 'The stork has left.' WHERE id = 7")
    database.execute(f"DELETE FROM {name} WHERE id = 8")

    _, said = upgrade.refused("start")
    assert "The first records of" in said
    assert f'"{name}"' in said
    with closing(upgrade.before.catalog(serve=False)) as catalog:
        assert upgrade.after.collection not in catalog.collections()

    upgrade.done("start", "--resnapshot")

    def as_many():
        with closing(upgrade.before.catalog(serve=False)) as catalog:
            points = catalog.open(upgrade.after.collection).scroll()
            return len({point.payload["doc_id"] for point in points if point.payload["state"] == "live"})

    wait_for(lambda: as_many() == ROWS - 1, "every row to be in the next collection", 120)
    cut = upgrade.done("cutover", *upgrade.service)
    assert cut["switched"]["now"] == upgrade.after.collection
    hits = upgrade.searched("stork has left")["hits"]
    assert hits[0]["doc_id"] == "docs/7"
    assert "docs/8" not in {hit["doc_id"] for hit in hits}
    running.stop()
