"""Topics framed by a schema registry on a real broker: the index is the one that the unframed history gives."""

import json
import os
from contextlib import closing

import pytest
from apicurio import ApicurioRegistry
from connect_converters import FramedWriter
from doubles.schema_registry import SchemaRegistryDouble
from source_forms import FORMS, KEY_SCHEMA, ROW_SCHEMA, as_numbers, fields_of, random_history, source_of, table_after
from stream_process import wait_for

from schemas.identity import source_of as source_name_of
from stream.errors import Fatal, Misuse

HISTORY = random_history(seed=4, changes=80)
STRAYS = {"on_unknown_schema": "dead-letter"}
TECHNICAL = {"doc_id", "source", "payload_digest"}


@pytest.fixture
def registry():
    double = SchemaRegistryDouble()
    yield double
    double.stop()


def document(change):
    """A row as a program of one's own writes it under a schema: a null value deletes."""
    key = {"schema": KEY_SCHEMA, "payload": {"id": change.id}}
    return [(key, None if change.after is None else {"schema": ROW_SCHEMA, "payload": as_numbers(change.after)})]


EVENTS, ROWS = FORMS["wrapped"].write, FORMS["flattened-wrapped"].write
FRAMED = {
    "avro-prefix": ("debezium", EVENTS, ("avro", "prefix")),
    "avro-header": ("debezium", EVENTS, ("avro", "header")),
    "json-prefix": ("debezium", EVENTS, ("json", "prefix")),
    "json-header": ("debezium", EVENTS, ("json", "header")),
    "flat-avro": ("debezium", ROWS, ("avro", "prefix")),
    "own-avro": ("document", document, ("avro", "header")),
    "own-json": ("document", document, ("json", "prefix")),
}
UNFRAMED = {"plain": ("debezium", EVENTS), "flat": ("debezium", ROWS), "own": ("document", FORMS["document"].write)}


class History:
    """One history in a topic and a source for each form."""

    def __init__(self, stream, url, framed, **registry):
        self.stream, self.url, self.framed = stream, url, framed
        formats = {name: FRAMED[name][0] for name in framed} | {name: UNFRAMED[name][0] for name in UNFRAMED}
        self.topics = {name: f"{stream.name}.{name}" for name in formats}
        stream.change(
            {
                "source": [source_of(name, self.topics[name], format_) for name, format_ in formats.items()],
                "registry": {"url": url, **registry},
            }
        )
        for topic in self.topics.values():
            stream.create(topic, 1)

    def write(self, changes):
        for name, (_, write) in UNFRAMED.items():
            for change in changes:
                for key, value in write(change):
                    self.stream.put(key, value, topic=self.topics[name])
        for name in self.framed:
            _, write, how = FRAMED[name]
            with closing(FramedWriter(self.url, *how)) as writer:
                for change in changes:
                    for said in write(change):
                        key, value, headers = writer.record(self.topics[name], *said)
                        self.stream.put(key, value, topic=self.topics[name], headers=headers)
        self.stream.flush()

    def live(self, *left_out):
        """Source → what its live points say, in an order of their own."""
        return {source: sorted(points, key=repr) for source, points in self._told("live", left_out).items()}

    def deleted(self):
        """Source → the rows that are marked as deleted; a mark may be of the delete or of the tombstone behind it."""
        return {source: sorted(one["row"] for one in marks) for source, marks in self._told("deleted", ()).items()}

    def _told(self, state, left_out):
        found = {name: [] for name in self.topics}
        for payload in self.stream.points(state).values():
            told = {name: value for name, value in sorted(payload.items()) if name not in {*TECHNICAL, *left_out}}
            source, _, row = str(payload["doc_id"]).partition("/")
            found[source].append({"row": row, **told})
        return found


def assert_forms_make_no_difference(history):
    """Down to versions and commit clocks where the records stand at the same offsets.

    Marks of removed passages tell which revisions met in one poll, so they are not looked at.
    """
    exact, shown, deleted = history.live(), history.live("version", "source_ts_ms"), history.deleted()
    assert len({point["row"] for point in shown["plain"]}) > 3
    assert deleted["plain"]
    for name in history.framed:
        alike = {"flat-avro": "flat"}.get(name, "own" if name.startswith("own") else "plain")
        told = shown if alike == "own" else exact
        assert told[name] == told[alike], name
        assert deleted[name] == deleted[alike], name
    table = table_after(HISTORY)
    assert {point["row"] for point in shown["plain"]} <= set(map(str, table))
    for point in shown["plain"]:
        row = table[int(point["row"])]
        assert {name: point[name] for name in fields_of(row)} == fields_of(row)


def test_a_framed_history_gives_the_index_of_the_unframed_one(new_stream, registry):
    stream = new_stream()
    history = History(stream, registry.url, FRAMED)
    history.write(HISTORY)
    stream.run("chunker", "embedder").ready()
    stream.drained()
    assert stream.letters() == []
    assert_forms_make_no_difference(history)
    schemas = [asked for asked in registry.asked if asked.startswith("GET /schemas")]
    assert len(schemas) == len(set(schemas)), "each schema is asked for once"


def test_a_registry_that_goes_away_in_the_middle_costs_nothing_but_time(new_stream, registry):
    stream = new_stream()
    history = History(stream, registry.url, ["avro-prefix", "avro-header"])
    half = len(HISTORY) // 2
    history.write(HISTORY[:half])
    registry.stop()
    running = stream.run("chunker", "embedder").ready()
    wait_for(lambda: running.metric("outages_total", stage="chunker") >= 2, "the chunker to meet the outage")
    assert stream.letters() == []
    assert stream.status().to_json()["lag"]["chunker"] > 0
    registry.start()
    history.write(HISTORY[half:])
    stream.drained()
    assert stream.letters() == []
    assert_forms_make_no_difference(history)


def test_a_framed_topic_stops_a_pipeline_without_a_registry_and_after_the_cure_it_goes_on(new_stream, registry):
    stream = new_stream()
    history = History(stream, registry.url, ["avro-header"])
    history.write(HISTORY)
    failure = stream.run("chunker", registry={"url": None}).failure()
    assert isinstance(failure, Fatal)
    assert not isinstance(failure, Misuse)
    assert "framed by a schema registry" in str(failure)
    assert 'set "url" in [registry]' in str(failure)
    stream.run("chunker", "embedder").ready()
    stream.drained()
    assert stream.letters() == []
    assert_forms_make_no_difference(history)


def test_credentials_that_are_refused_stop_the_process_and_are_not_shown(new_stream, registry):
    stream = new_stream()
    history = History(stream, registry.url, ["avro-prefix"])
    history.write(HISTORY[:3])
    registry.credentials = "reader:correct-horse"
    process = stream.start(
        "chunker",
        {"EMBEDSTREAM_REGISTRY__USER": "reader", "EMBEDSTREAM_REGISTRY__PASSWORD": "battery-staple"},
    )
    assert process.ended() == 1
    assert "refuses the credentials" in process.said()
    assert "staple" not in process.said()
    assert stream.chunk_events() == [event for event in stream.chunk_events() if event.source in UNFRAMED]


def test_inspect_reads_a_framed_topic(new_stream, registry):
    stream = new_stream()
    history = History(stream, registry.url, ["avro-header"])
    history.write(HISTORY)
    stream.run("chunker", "embedder").ready()
    stream.drained()
    document_id = next(document for document in sorted(stream.texts()) if source_name_of(document) == "avro-header")
    said = json.loads(stream.asked("inspect", "--json", document_id))
    assert said["doc_id"] == document_id
    assert said["source"]["kind"] == said["event"]["kind"] == "upsert"


@pytest.fixture(scope="module")
def real_registry():
    try:
        registry = ApicurioRegistry()
    except Fatal as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield registry
    registry.close()


def test_a_real_registry_gives_the_same_index(new_stream, real_registry):
    """Apicurio's, by its interface of Confluent's kind, which knows no GUIDs."""
    stream = new_stream()
    history = History(stream, real_registry.url, ["avro-prefix", "json-prefix", "flat-avro", "own-json"], **STRAYS)
    history.write(HISTORY)
    stranger = b"\x00\x7f\xff\xff\xff\x02"
    stream.put(stranger, stranger, topic=history.topics["avro-prefix"])
    stream.run("chunker", "embedder").ready()
    stream.drained()
    (letter,) = stream.letters()
    assert (letter.error_class, letter.value) == ("unknown-schema", stranger)
    assert_forms_make_no_difference(history)
