"""The same history in every form, as sources of one pipeline on a real broker: each becomes the same documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import pytest
from source_forms import FIELDS, FORMS, fields_of, random_history, source_of, table_after
from stream_process import wait_for

from compose.native import debezium
from schemas.identity import document_point_id


def told(points, source):
    """Document without its source → title, tenant, payload fields and passages of its live points."""
    documents = {}
    for point in sorted(points.values(), key=lambda one: one.get("position", 0)):
        name, _, key = point["doc_id"].partition("/")
        if name != source or point["state"] != "live":
            continue
        fields = {column: point[column] for column in FIELDS if column in point}
        document = documents.setdefault(key, (point.get("title"), point.get("tenant"), fields, []))
        assert document[:3] == (point.get("title"), point.get("tenant"), fields)
        document[3].append((point["position"], point["text"], tuple(point["span"])))
    return documents


def table_told(table):
    """What a table says that its documents are, passages aside."""
    documents = {}
    for key, row in table.items():
        if row["summary"] or row["body"]:
            title = row["title"] if (row["title"] or "").strip() else None
            documents[str(key)] = (title, row["account"], fields_of(row))
    return documents


def put(stream, form, topic, history):
    for change in history:
        for key, value in form.write(change):
            # Plain documents and rows of one key keep to one partition: the client chooses it by the key's bytes.
            stream.put(json.dumps(key).encode(), value, topic=topic)


def test_every_form_of_one_history_gives_the_same_index(new_stream):
    stream = new_stream()
    stream.tables["source"] = [source_of(name, f"{stream.name}.{name}", form.format) for name, form in FORMS.items()]
    history = random_history(seed=20_261_123)
    for source, form in zip(stream.tables["source"], FORMS.values(), strict=True):
        stream.create(source["topic"])
        put(stream, form, source["topic"], history[:40])
    stream.flush()
    running = stream.run().ready()
    for source, form in zip(stream.tables["source"], FORMS.values(), strict=True):
        put(stream, form, source["topic"], history[40:])
    stream.drained()
    points = stream.points(None)
    plain = told(points, "envelope")
    assert {key: document[:3] for key, document in plain.items()} == table_told(table_after(history))
    gone = {f"{change.id}" for change in history} - plain.keys()
    for name in FORMS:
        assert told(points, name) == plain, name
        deleted = {
            one for one in gone if points.get(document_point_id(f"{name}/{one}"), {}).get("state") == "deleted"
        }
        assert deleted == gone, name
    assert stream.letters() == []
    running.stop()


TYPED = {
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "true",
    "decimal.handling.mode": "precise",
    "time.precision.mode": "adaptive",
}
"""Debezium's own defaults, in place of those that the shipped connector prefers."""
FLATTENED = {"transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState"}
REWRITTEN = {
    **FLATTENED,
    "transforms.unwrap.delete.tombstone.handling.mode": "rewrite",
    "transforms.unwrap.add.fields": "op,source.ts_ms",
}


@dataclass(frozen=True)
class Adjusted(debezium.Connector):
    """The shipped connector with settings changed."""

    more: Mapping[str, str] = field(default_factory=dict)

    def configuration(self):
        return {**debezium.Connector.configuration(self), **self.more}


def as_moment(column, value):
    """Connectors write more or fewer zeros at the end of a fraction."""
    return datetime.fromisoformat(value) if column in ("at", "seen") else value


@pytest.fixture
def database(cdc_stack):
    with psycopg.connect(cdc_stack.postgres, autocommit=True) as connection:
        yield connection


def test_debeziums_own_transform_and_types_give_the_same_documents(cdc_stack, database, new_stream):
    """Real PostgreSQL types by a real connector: enveloped with default types, flattened, and flattened rewritten."""
    stream = new_stream()
    table = f"typed_{stream.name}"
    database.execute(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, body text, section varchar, pages int, price numeric(10, 2),"
        " exact numeric, draft boolean, day date, at timestamp, seen timestamptz, clock time, uid uuid)"
    )
    database.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    database.execute(
        f"INSERT INTO {table} VALUES (1, 'First text.', 'a', 7, -12.50, 12345678901234567890.125, true, '2026-03-01',"
        " '2026-03-01 12:00:00.25', '2026-03-01 12:00:00+02', '23:59:59', '6f0d5a86-2f0e-5c5f-9a3c-3c1f5a6f7b10'),"
        " (2, 'Goes away.', null, null, null, null, null, null, null, null, null, null)"
    )
    fields = {
        "section": "keyword",
        "pages": "integer",
        "price": "float",
        "exact": "keyword",
        "draft": "boolean",
        "day": "datetime",
        "at": "datetime",
        "seen": "datetime",
        "uid": "keyword",
    }
    settings = {"enveloped": TYPED, "flattened": {**TYPED, **FLATTENED}, "rewritten": REWRITTEN}
    names = list(settings)
    connectors = [
        Adjusted(f"{stream.name}-{name}", cdc_stack.postgres, (f"public.{table}",), partitions=2, more=more)
        for name, more in settings.items()
    ]
    stream.tables["source"] = [
        {"name": name, "topic": connector.topic(f"public.{table}"), "text": ["body"], "fields": fields}
        for name, connector in zip(names, connectors, strict=True)
    ]
    try:
        for connector in connectors:
            debezium.register(cdc_stack.connect, connector)
        running = stream.run().ready()
        database.execute(f"UPDATE {table} SET body = 'Second text.', pages = pages + 1 WHERE id = 1")
        database.execute(f"DELETE FROM {table} WHERE id = 2")
        database.execute(f"INSERT INTO {table} (id, body) VALUES (3, 'Third text.')")
        wanted = {f"{name}/{id_}" for name in names for id_ in (1, 3)}

        def done():
            texts = stream.texts()
            return texts.keys() == wanted and all(texts[f"{name}/1"] == ["Second text."] for name in names)

        wait_for(done, "every source to hold rows 1 and 3", seen=stream.texts)
        found = {name: {} for name in names}
        for point in stream.points().values():
            name, _, key = point["doc_id"].partition("/")
            found[name][key] = {column: as_moment(column, point[column]) for column in fields if column in point}
        for name in names:
            assert found[name] == {
                "1": {
                    "section": "a",
                    "pages": 8,
                    "price": -12.5,
                    "exact": "12345678901234567890.125",
                    "draft": True,
                    "day": "2026-03-01",
                    "at": datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC),
                    "seen": datetime(2026, 3, 1, 10, tzinfo=UTC),
                    "uid": "6f0d5a86-2f0e-5c5f-9a3c-3c1f5a6f7b10",
                },
                "3": {},
            }, name
        assert stream.letters() == []
        running.stop()
    finally:
        for connector in connectors:
            debezium.delete(cdc_stack.connect, connector)
            debezium.drop_slot(connector)
