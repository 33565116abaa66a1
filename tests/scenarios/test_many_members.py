"""Several chunkers and embedders, each a process, on one broker and one Qdrant: members come, go and are killed.

The server is the double of ``tests/doubles`` in a process of its own: real sockets, a server's own conditions.
"""

import json
import random
import threading

import pytest
from cdc_events import assert_holds, envelope, row, sentences
from qdrant_process import QdrantProcess
from stream_process import wait_for

CONSUMER = {"group.protocol": "consumer"}
CLASSIC = {"group.protocol": "classic", "session.timeout.ms": 6000}
PROTOCOLS = pytest.mark.parametrize("protocol", [CONSUMER, CLASSIC], ids=["consumer", "classic"])
PARTITIONS = 6


@pytest.fixture
def start_qdrant():
    """``start_qdrant("--grpc", …)``: a double in a process."""
    doubles = []

    def start(*arguments):
        doubles.append(QdrantProcess(*arguments))
        return doubles[-1]

    yield start
    for double in doubles:
        double.close()


@pytest.fixture
def qdrant(start_qdrant):
    return start_qdrant()


class Author:
    """Rows that are written, changed and deleted, until told to stop; each key's events go to one partition."""

    def __init__(self, stream, documents=48, seed=11):
        self._stream, self._random, self._documents = stream, random.Random(seed), documents
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.written = 0

    def write(self, events):
        for _ in range(events):
            number = self._random.randrange(self._documents)
            self.written += 1
            if self._random.random() < 0.12:
                self._stream.put({"id": number}, envelope("d", before=row(number, None)))
                self._stream.put({"id": number}, None)
                continue
            text = sentences(self._random.randrange(1, 8), f"document {number} at {self._random.randrange(5)}")
            self._stream.put({"id": number}, envelope("u", row(number, text, f"Title {number}"), ts_ms=self.written))
        self._stream.flush()

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stopping.set()
        self._thread.join(60)

    def _run(self):
        while not self._stopping.wait(0.05):
            self.write(3)


def start(stream, role, instance=""):
    return stream.start(role, **({"chunker": {"instance": instance}} if instance else {}))


def assert_index_equals_table(stream):
    stream.drained()
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    newest = {}
    for event in stream.chunk_events():
        assert event.version > newest.get(event.doc_id, 0), f"{event.doc_id} at {event.version} is there again"
        newest[event.doc_id] = event.version


@PROTOCOLS
def test_members_move_die_and_join_and_the_index_equals_the_table(new_stream, qdrant, protocol):
    stream = new_stream(kafka=protocol, index={"url": qdrant.url}, chunks={"partitions": PARTITIONS})
    stream.create(partitions=PARTITIONS)
    author = Author(stream)
    author.write(120)
    members = {
        "chunker a": start(stream, "chunker", "a"),
        "chunker b": start(stream, "chunker", "b"),
        "embedder a": start(stream, "embedder"),
        "embedder b": start(stream, "embedder"),
    }
    for member in members.values():
        member.ready()
    author.start()
    try:
        wait_for(lambda: all(works(member) for member in members.values()), "every member to have work")
        qdrant.order("half", "points/batch", times=2)
        qdrant.order("answer", "points", status=429, retry_after="1", times=2)
        qdrant.order("reset after", "points/batch", times=2)

        members.pop("embedder a").kill()
        members.pop("chunker a").kill()
        joined = {"chunker c": start(stream, "chunker", "c"), "embedder c": start(stream, "embedder")}
        for name, member in joined.items():
            members[name] = member.ready()
        wait_for(lambda: all(works(member) for member in joined.values()), "those who joined to have work")
    finally:
        author.stop()
    assert_index_equals_table(stream)
    for member in members.values():
        assert member.stop() == 0, member.said()
        assert "Traceback" not in member.said()


def works(member):
    """Whether it has committed a transaction or applied an event."""
    committed = member.metric("chunker_transactions_total", outcome="committed")
    return committed + member.events("applied") > 0


@pytest.mark.parametrize("interface", [[], ["--grpc"]], ids=["rest", "grpc"])
def test_two_embedders_write_one_index_and_the_partitions_of_a_killed_one_move(new_stream, start_qdrant, interface):
    url = start_qdrant(*interface).url
    stream = new_stream(kafka=CLASSIC, index={"url": url}, chunks={"partitions": PARTITIONS})
    stream.create(partitions=PARTITIONS)
    stream.run("chunker").ready()
    killed, survivor = start(stream, "embedder").ready(), start(stream, "embedder").ready()
    author = Author(stream).start()
    try:
        wait_for(lambda: works(killed) and works(survivor), "both to write")
        killed.kill()
        applied = survivor.events("applied")
        wait_for(lambda: survivor.events("applied") > applied + 60, "the survivor to go on")
    finally:
        author.stop()
    assert_index_equals_table(stream)
    assert survivor.stop() == 0, survivor.said()


def test_of_two_chunkers_with_one_instance_the_older_stops_with_a_sentence(new_stream, qdrant):
    stream = new_stream(index={"url": qdrant.url})
    stream.create()
    author = Author(stream)
    author.write(20)
    older = start(stream, "chunker", "same").ready()
    wait_for(lambda: works(older), "the older to work")
    younger = start(stream, "chunker", "same").ready()
    author.start()
    try:
        assert older.ended() == 1
    finally:
        author.stop()
    sentence = older.said().splitlines()[-1]
    assert "another chunker with the same [chunker] instance took over" in sentence
    assert "rename one's instance" in sentence
    assert "Traceback" not in older.said()
    stream.run("embedder").ready()
    assert_index_equals_table(stream)
    assert younger.stop() == 0, younger.said()


def test_every_command_works_on_a_server_that_others_write(new_stream, qdrant):
    stream = new_stream(index={"url": qdrant.url})
    stream.create()
    for number in range(5):
        stream.put({"id": number}, envelope("c", row(number, sentences(2, f"a topic {number}"))))
    stream.flush()
    running = stream.start("all").ready()
    stream.drained()

    dumped = [json.loads(line) for line in stream.asked("dump", "--vectors").splitlines()]
    status = json.loads(stream.asked("status", "--json"))
    found = json.loads(stream.asked("search", "Sentence 1 speaks of a topic 3", "--json"))
    inspected = json.loads(stream.asked("inspect", "--json", "docs/3"))

    assert len(dumped) == len(stream.points(None)) == 10
    assert all(len(line["vector"]) == 64 for line in dumped)
    assert status["lag"] == {"chunker": 0, "embedder": 0}
    assert status["collection"] == stream.deployment().collection
    assert found["hits"]
    assert running.search("Sentence 1 speaks of a topic 3")
    assert len(inspected["points"]) == 2
    assert running.stop() == 0, running.said()


def test_a_stream_waits_for_a_server_that_is_away_and_goes_on_where_it_was(new_stream, start_qdrant):
    """Nothing is dead-lettered meanwhile."""
    first = start_qdrant()
    port = first.url.rpartition(":")[2]
    stream = new_stream(index={"url": first.url, "qdrant": {"timeout_s": 5}})
    first.close()
    stream.create()
    running = stream.start("all")
    for number in range(5):
        stream.put({"id": number}, envelope("c", row(number, sentences(2, f"a topic {number}"))))
    stream.flush()
    stream.chunked()
    assert running.alive
    start_qdrant("--port", port)
    running.ready()
    stream.drained()
    assert len(stream.texts()) == 5
    assert stream.letters() == []
    assert running.stop() == 0, running.said()
