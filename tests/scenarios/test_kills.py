"""SIGKILL at every kind of moment: what the successor finds, and that the index ends as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from cdc_events import assert_holds, envelope, row, sentences
from stream_process import ROOT, wait_for

from adapters.memory.encoder import HashEncoder
from stream.text import embedded_text

CONFIGURATION = """
[kafka]
"bootstrap.servers" = "{brokers}"
group_prefix = "{name}"

[[source]]
name = "docs"
topic = "{name}.cdc"
title = "title"
text = ["body"]
fields = {{ section = "keyword", pages = "integer" }}

[chunks]
topic = "{name}.chunks"
partitions = 3

[chunking]
min_tokens = 6
max_tokens = 24

[encoding]
model = "hash:64"

[index]
name = "docs"
url = "edge:index"

[query]
listen = "127.0.0.1:0"

[telemetry]
listen = "127.0.0.1:0"
"""


class Author:
    """Writes a history of Debezium's envelopes, the same in every run, poison among it."""

    def __init__(self, stream, documents=40, seed=7):
        self.stream, self.random, self.documents = stream, random.Random(seed), documents
        self.written = 0

    def write(self, events):
        for _ in range(events):
            self._write_one()
        self.stream.flush()

    def _write_one(self):
        number = self.random.randrange(self.documents)
        key, chance = {"id": number}, self.random.random()
        self.written += 1
        if chance < 0.08:
            self.stream.put(key, envelope("d", before=row(number, None)))
            self.stream.put(key, None)
        elif chance < 0.12:
            self.stream.put(key, b'{"op": "u", "after": {"body": "cut of')
        elif chance < 0.15:
            self.stream.put(key, envelope("u", row(number, "a text", pages="seven")))
        else:
            text = sentences(self.random.randrange(9), f"document {number} at {self.random.randrange(4)}")
            title = self.random.choice([None, "A title", "Another title"])
            section = self.random.choice([None, "one", "two"])
            self.stream.put(key, envelope("u", row(number, text, title, section), ts_ms=self.written))


def test_after_kills_the_dump_is_exactly_the_last_good_revision_of_each_document(new_stream):
    stream = new_stream()
    configuration = stream.folder / "by-hand.toml"
    configuration.write_text(CONFIGURATION.format(brokers=stream.brokers, name=stream.name))
    stream.create(partitions=4)
    author = Author(stream)
    topics, deployment = stream.topics, stream.deployment()

    def run_all():
        return stream.launched("run", "all", "--config", str(configuration))

    author.write(200)
    for moment in ("starting", "chunking", "embedding", "idle"):
        process = run_all()
        match moment:
            case "starting":
                wait_for(lambda: topics.describe([stream.chunks]), "the chunk topic to be made")
            case "chunking":
                wait_for(lambda: sum(topics.ends(stream.chunks).values()), "a first transaction")
            case "embedding":
                process.ready()
                before = process.chunks("embedded")
                author.write(300)
                wait_for(lambda p=process, b=before: p.chunks("embedded") > b, "some of it to be embedded", pause_s=0)
            case "idle":
                stream.drained()
        process.kill()
        author.write(60)
    running = run_all().ready()
    stream.drained()

    status = json.loads(stream.launched("status", "--json", "--config", str(configuration)).printed())
    assert status["lag"] == {"chunker": 0, "embedder": 0}
    dumped = [
        json.loads(line)
        for line in stream.launched("dump", "--vectors", "--config", str(configuration)).printed().splitlines()
    ]
    points = {line["id"]: line["payload"] for line in dumped}
    assert len(points) == len(dumped)
    assert_holds(points, deployment, stream.records(stream.cdc))
    assert {payload["state"] for payload in points.values()} == {"live", "removed", "deleted"}
    encoder = HashEncoder(64)
    for line in dumped:
        payload = line["payload"]
        if payload["state"] != "live":
            assert line["vector"] is None
            continue
        (vector,) = encoder.encode("passage", [embedded_text(payload.get("title"), payload["text"])])
        assert np.dot(vector.values, line["vector"]) > 0.999, "each vector is its own text's"
    assert_once_and_in_order(stream)
    assert running.stop() == 0


def assert_once_and_in_order(stream):
    """Readers of committed records see each document's versions rise: no kill made one appear again."""
    newest = {}
    for event in stream.chunk_events():
        assert event.version > newest.get(event.doc_id, 0), f"{event.doc_id} at {event.version} is there again"
        newest[event.doc_id] = event.version


@pytest.fixture
def dying():
    """Starts ``dying_role.py`` and returns when it is dead."""

    def run(stream, role, effect, number=1, **changed):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        script, config = ROOT / "tests" / "dying_role.py", stream.config(**changed)
        done = subprocess.run(
            [sys.executable, script, config, role, effect, str(number)],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    return run


def test_readers_of_a_chunker_that_died_in_a_transaction_go_on_with_its_successor(new_stream, dying):
    """The dead one's transaction would hold them back for five minutes; its successor ends it."""
    stream = new_stream(chunker={"transaction_timeout_ms": 300_000})
    stream.create()
    embedder = stream.run("embedder").ready()
    for number in range(9):
        stream.put({"id": number}, envelope("c", row(number, f"Text {number} before.")))
    stream.flush()
    dying(stream, "chunker", "commit transaction")
    assert sum(stream.topics.ends(stream.chunks).values()) == 0, "readers stand before the open transaction"
    assert stream.points() == {}
    began = time.monotonic()
    stream.run("chunker")
    for number in range(9, 12):
        stream.put({"id": number}, envelope("c", row(number, f"Text {number} behind.")))
    stream.flush()
    wait_for(lambda: len(stream.texts()) == 12, "the readers to go on", 15 - (time.monotonic() - began))
    stream.drained()
    assert embedder.alive
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    assert_once_and_in_order(stream)


def test_an_embedder_that_died_between_writing_and_committing_leaves_nothing_to_embed(new_stream, dying):
    stream = new_stream()
    stream.create()
    stream.run("chunker").ready()
    for number in range(20):
        stream.put({"id": number}, envelope("c", row(number, sentences(3, f"topic {number}"))))
    stream.flush()
    stream.chunked()
    dying(stream, "embedder", "commit offsets")
    points = stream.points(None)
    assert points, "it had written"
    assert stream.status().embedder == sum(stream.topics.log_ends(stream.chunks).values())
    successor = stream.run("embedder").ready()
    stream.drained()
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    assert successor.chunks("embedded") == len(stream.points()) - len(points)
    assert successor.chunks("kept") == len(points)
    assert successor.chunks("removed") == 0


def test_a_rolling_restart_under_load_loses_nothing(new_stream):
    """One process with all roles, which owns the index, a second chunker and a second embedder: each in its turn."""
    stream = new_stream()
    stream.create(partitions=6)
    writing, author = threading.Event(), Author(stream, documents=60)

    def write():
        while not writing.wait(0.02):
            author.write(4)

    def second(role):
        return stream.start(role, chunker={"instance": "second"}).ready()

    everything = stream.start().ready()
    others = {role: second(role) for role in ("chunker", "embedder")}
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for role in list(others):
            assert others[role].stop() == 0, others[role].said()
            others[role] = second(role)
        assert everything.stop() == 0, everything.said()
        everything = stream.start().ready()
        wait_for(lambda: everything.events("applied"), "the restarted process to have work")
    finally:
        writing.set()
        writer.join()
    stream.drained()
    assert_holds(stream.points(None), stream.deployment(), stream.records(stream.cdc))
    assert_once_and_in_order(stream)
    for process in (*others.values(), everything):
        assert process.stop() == 0, process.said()
        assert "Traceback" not in process.said()
