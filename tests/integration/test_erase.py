"""``embedstream erase`` on a real broker whose cleaner is quick: the text is in no file when it has come by.

The broker is this module's own, for its log files are searched and its cleaner is hurried.
"""

import json
import os
import secrets
import time

import pytest
from cdc_events import envelope, row
from cleaning_broker import COMPACTED, CleaningBroker
from commanded import commanded
from deployed_stream import Stream
from doubles.qdrant_double import QdrantDouble
from stream_process import PATIENCE_S, wait_for

from stream.errors import Fatal


@pytest.fixture(scope="module")
def cleaning():
    try:
        broker = CleaningBroker()
    except Fatal as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield broker
    broker.close()


@pytest.fixture
def stream(cleaning):
    stream = Stream(cleaning.address)
    try:
        stream.create()
        stream.topics.create(stream.chunks, 3, 1, COMPACTED)
        yield stream
    finally:
        stream.close()


class Text:
    """One document with a text that nothing else in the world holds."""

    def __init__(self, stream):
        self.stream = stream
        self.id = f"id-{secrets.token_hex(6)}"
        self.doc = f"docs/{self.id}"
        self.secret = f"secret{secrets.token_hex(8)}"

    def write(self):
        body = f"This says {self.secret} once. And something else, in a second sentence."
        self.stream.put({"id": self.id}, envelope("c", row(self.id, body, f"title {self.secret}", self.secret)))

    def delete(self):
        before = row(self.id, f"This says {self.secret} once.")
        self.stream.put({"id": self.id}, envelope("d", None, before=before))
        self.stream.put({"id": self.id}, None)

    def in_index_files(self):
        wanted = self.secret.encode()
        folder = self.stream.folder / "index"
        return [file.name for file in folder.rglob("*") if file.is_file() and wanted in file.read_bytes()]


def erase(stream, *arguments):
    return commanded(stream.config(), "erase", *arguments)


def told(said):
    return json.loads(said[said.index("{") :])


def cleaned(cleaning, stream, text):
    """Until the cleaner has been everywhere: a segment is rolled by the record that comes after it."""

    def done():
        for number in range(3):
            stream.put(f"filler-{number}", None, topic=stream.chunks, partition=number)
        stream.flush()
        return not cleaning.files_with(text.secret, stream.chunks)

    wait_for(done, "the log cleaner to come by", PATIENCE_S)


def test_an_erased_document_is_in_no_log_segment_and_in_no_file_of_the_index(cleaning, stream):
    text, other = Text(stream), Text(stream)
    running = stream.run().ready()
    text.write()
    other.write()
    stream.drained()
    assert cleaning.files_with(text.secret, stream.chunks)
    assert text.in_index_files()
    text.delete()
    stream.drained()
    running.stop()
    assert text.in_index_files(), "what was overwritten is still in the files"
    status, said = erase(stream, text.doc, "--json")
    assert status == 0, said
    (document,) = told(said)["documents"]
    assert (document["erased"], document["keys_nulled"]) == (True, 1)
    assert "last state is a delete at version" in document["known_by"]
    assert text.in_index_files() == []
    assert other.in_index_files()
    cleaned(cleaning, stream, text)
    assert text.doc not in stream.texts()
    assert all(text.secret not in json.dumps(dict(payload)) for payload in stream.points(None).values())
    assert len(stream.texts()[other.doc]) >= 1
    # What the report says is left, is left: the CDC topic is not compacted.
    assert cleaning.files_with(text.secret, stream.cdc)
    topics = {one["topic"]: one for one in told(said)["remains"]}
    assert topics[stream.cdc]["until_ms"] > time.time() * 1000
    assert "max.compaction.lag.ms" in topics[stream.chunks]["why"]
    assert stream.letter_topic not in topics


def test_a_document_that_lives_is_refused_and_nothing_of_it_changes(stream):
    text = Text(stream)
    stream.run().ready()
    text.write()
    stream.drained()
    before = stream.records(stream.chunks)
    status, said = erase(stream, text.doc)
    assert status == 1
    assert f"{text.doc} lives in its source: its last state is an upsert at version" in said
    assert stream.records(stream.chunks) == before
    assert text.doc in stream.texts()


def test_while_a_process_serves_the_index_its_files_are_told_of_and_a_dry_run_changes_nothing(stream):
    text = Text(stream)
    stream.run().ready()
    text.write()
    stream.drained()
    text.delete()
    stream.drained()
    before = stream.records(stream.chunks)
    status, said = erase(stream, text.doc, "--dry-run")
    assert status == 0, said
    assert "would erase" in said
    assert stream.records(stream.chunks) == before
    status, said = erase(stream, text.doc)
    assert status == 0, said
    assert "1 key nulled" in said
    assert "stop that process and run this again" in said
    status, said = erase(stream, text.doc)
    assert status == 0, said
    assert "0 keys nulled" in said


def test_a_document_that_comes_back_is_indexed_again_and_survives_the_cleaner(cleaning, stream):
    text = Text(stream)
    stream.run().ready()
    text.write()
    stream.drained()
    text.delete()
    stream.drained()
    assert erase(stream, text.doc)[0] == 0
    text.write()
    stream.drained()
    assert text.doc in stream.texts()
    status, said = erase(stream, text.doc)
    assert (status, "lives in its source" in said) == (1, True)


def test_on_a_server_its_own_files_are_told_of(stream):
    double = QdrantDouble()
    try:
        stream.change({"index": {"url": double.url}})
        text = Text(stream)
        stream.run().ready()
        text.write()
        stream.drained()
        text.delete()
        stream.drained()
        status, said = erase(stream, text.doc)
        assert (status, "Qdrant's optimizer drops what was overwritten" in said) == (0, True), said
        assert all(text.secret not in json.dumps(dict(payload)) for payload in stream.points(None).values())
    finally:
        double.close()


def test_a_generation_that_nobody_feeds_any_more_is_marked_too(stream):
    text = Text(stream)
    running = stream.run().ready()
    text.write()
    stream.drained()
    running.stop()
    stream.change({"index": {"generation": 2}})
    running = stream.run().ready()
    stream.drained()
    text.delete()
    stream.drained()
    running.stop()
    first = stream.deployment(index={"generation": 1}).collection
    status, said = erase(stream, text.doc, "--json")
    assert status == 0, said
    (document,) = told(said)["documents"]
    assert list(document["marked"]) == [first]
    assert text.in_index_files() == []


def test_a_chunker_that_is_behind_is_waited_for_and_then_told(stream):
    text = Text(stream)
    running = stream.run("chunker").ready()
    text.write()
    stream.chunked()
    running.stop()
    text.delete()
    stream.flush()
    status, said = erase(stream, "--wait", "0.5", text.doc)
    assert status == 1
    assert f"The chunker has not read all of {stream.cdc} yet" in said


def test_one_that_would_wait_longer_than_its_writes_may_be_old_is_misuse(stream):
    status, said = erase(stream, "docs/1", "--wait", "1801")
    assert status == 2
    assert "--wait 1801 is too long" in said


def test_what_nobody_knows_and_what_is_no_document_are_told_apart(stream):
    running = stream.run().ready()
    stream.drained()
    running.stop()
    status, said = erase(stream, "docs/nobody")
    assert (status, "Nothing is known of docs/nobody" in said) == (1, True)
    status, said = erase(stream, "nobody")
    assert (status, "names no source of this configuration" in said) == (2, True)
