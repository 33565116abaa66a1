"""The chunker as a Faust application on real Kafka: the same embedder reads what it writes, killed or not."""

import json
import os
import signal
import subprocess
import sys

import orjson
import pytest
from cdc_events import envelope, row, sentences
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from guarded_broker import granted_all
from stream_process import PATIENCE_S, ROOT, wait_for

from compose.commands import doctor
from schemas.identity import DocId
from stream.partitioning import partition_of

pytest.importorskip("faust")

FAUST = {"chunker": {"runtime": "faust"}}


class Worker:
    """``faust -A consumers.faust_chunker worker`` as a process."""

    def __init__(self, stream, config=None):
        self.log = stream.folder / f"faust-{len(list(stream.folder.glob('faust-*')))}.log"
        environment = {**os.environ, "EMBEDSTREAM_CONFIG": str(config or stream.config()), "PYTHONUNBUFFERED": "1"}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "faust", "-A", "consumers.faust_chunker", "worker", "-l", "info"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def ready(self):
        """It has installed its signal handlers: before, a SIGTERM ends the interpreter that is still importing."""
        wait_for(lambda: "runs under Faust in group" in self.said(), "the worker to run", seen=self.said)
        return self

    def ended(self):
        wait_for(lambda: self.process.poll() is not None, "the worker to end", seen=self.said)
        return self.process.returncode

    def stop(self):
        self.process.terminate()
        return self.ended()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)


@pytest.fixture
def new_worker():
    made = []

    def make(*arguments):
        made.append(Worker(*arguments))
        return made[-1]

    yield make
    for worker in made:
        if worker.process.poll() is None:
            worker.kill()
        sys.stdout.write(worker.said())


def put(stream, number, revision=0):
    stream.put({"id": number}, envelope("c" if revision == 0 else "u", body(number, revision)))


def body(number, revision):
    return row(number, f"Row {number} in revision {revision}. {sentences(4, str(number))}", f"Title {number}")


def holds(stream, expected):
    """The index equals the rows: id → revision."""
    texts = stream.texts()
    assert texts.keys() == {f"docs/{number}" for number in expected}
    for number, revision in expected.items():
        assert f"Row {number} in revision {revision}." in " ".join(texts[f"docs/{number}"])


def aborted(stream, number, committed=None):
    """A transaction whose record was taken back, behind one of another document that was not."""
    producer = Producer({"bootstrap.servers": stream.brokers, "transactional.id": stream.name})
    producer.init_transactions(30)
    for each, end in ((committed, producer.commit_transaction), (number, producer.abort_transaction)):
        if each is not None:
            producer.begin_transaction()
            producer.produce(stream.cdc, json.dumps(envelope("c", body(each, 0))), json.dumps({"id": each}))
            producer.flush(30)
            end(30)


def test_the_same_embedder_reads_what_a_faust_worker_writes(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create()
    embedder = stream.run("embedder").ready()
    worker = new_worker(stream)
    for number in range(20):
        put(stream, number)
    put(stream, 3, revision=1)
    stream.put({"id": 4}, envelope("d", before=row(4, None)))
    stream.put({"id": 4}, None)
    stream.put({"id": 5}, b"\xff no JSON")
    put(stream, 5, revision=2)
    stream.drained()
    holds(stream, {number: {3: 1, 5: 2}.get(number, 0) for number in range(20) if number != 4})
    (letter,) = stream.letters()
    assert (letter.value, letter.stage, letter.topic) == (b"\xff no JSON", "chunker", stream.cdc)
    assert letter.version == letter.offset + 1
    assert embedder.events("mismatched") == 0
    events = {record.partition.number: record for record in stream.records(stream.chunks)}
    for number, record in events.items():
        assert number == partition_of(DocId(orjson.loads(record.key)[0]), 3)
    made = stream.topics.describe([stream.chunks], settings=True)[stream.chunks]
    assert (made.config["cleanup.policy"], made.config["retention.ms"]) == ("delete", "-1")
    assert worker.stop() == 0, worker.said()


def test_killed_and_started_again_it_loses_nothing(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create()
    stream.run("embedder").ready()
    expected = {}
    for revision in range(4):
        worker = new_worker(stream)
        for number in range(60):
            put(stream, number, revision)
            expected[number] = revision
        stream.flush()
        published = len(stream.records(stream.chunks))
        wait_for(
            lambda before=published: len(stream.records(stream.chunks)) > before, "some events", seen=worker.said
        )
        worker.kill()
    # The one before may have published all: drained says nothing of the last one.
    last = new_worker(stream).ready()
    stream.drained()
    holds(stream, expected)
    assert last.stop() == 0, last.said()


def test_two_workers_share_the_partitions_and_one_takes_over(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create()
    stream.run("embedder").ready()
    one, two = new_worker(stream), new_worker(stream)
    for number in range(30):
        put(stream, number)
    stream.drained()
    one.kill()
    for number in range(30):
        put(stream, number, revision=1)
    stream.drained()
    holds(stream, dict.fromkeys(range(30), 1))
    assert two.ready().stop() == 0, two.said()


def test_an_aborted_record_is_not_seen(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    aborted(stream, 2, committed=1)
    put(stream, 3)
    stream.run("embedder").ready()
    new_worker(stream)
    stream.drained()
    holds(stream, {1: 0, 3: 0})


def test_what_ends_with_an_aborted_record_has_no_lag(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    put(stream, 3)
    stream.flush()
    aborted(stream, 2)
    worker = new_worker(stream)
    stream.chunked()
    put(stream, 4)
    stream.chunked()
    assert sorted(event.doc_id for event in stream.chunk_events()) == ["docs/3", "docs/4"]
    assert worker.stop() == 0, worker.said()


def test_a_restart_goes_on_where_it_was(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create()
    for number in range(10):
        put(stream, number)
    first = new_worker(stream)
    stream.chunked()
    assert first.stop() == 0, first.said()
    put(stream, 3, revision=1)
    second = new_worker(stream)
    stream.chunked()
    assert second.stop() == 0, second.said()
    assert len(stream.chunk_events()) == 11, "nothing is published twice after an orderly stop"


def test_a_compacted_chunk_topic_is_refused_in_one_sentence(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create()
    stream.create(stream.chunks, cleanup_policy="compact", max_message_bytes=str(16 << 20))
    refused(new_worker(stream), 1, f"The topic {stream.chunks} is compacted, and under Faust a late event")


def test_an_absent_column_stops_it_and_after_the_cure_it_goes_on(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    put(stream, 1)
    stream.put({"id": 2}, envelope("c", {"id": 2, "title": "No body", "section": "a", "pages": 1}))
    put(stream, 3)
    stream.flush()
    refused(new_worker(stream), 1, "'body'")
    source = stream.source(text=["body?"])
    stream.change({"source": [source]})
    new_worker(stream)
    stream.chunked()
    assert {event.doc_id for event in stream.chunk_events()} == {"docs/1", "docs/2", "docs/3"}


def test_a_recreated_topic_stops_it(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    put(stream, 1)
    worker = new_worker(stream)
    stream.chunked()
    assert worker.stop() == 0, worker.said()
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    admin.delete_topics([stream.cdc])[stream.cdc].result(30)
    wait_for(lambda: not stream.topics.describe([stream.cdc]), "the topic to be gone")
    stream.create(partitions=1)
    refused(new_worker(stream), 1, "re-created or repartitioned")


def test_a_changed_mapping_stops_it(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    put(stream, 1)
    worker = new_worker(stream)
    stream.chunked()
    assert worker.stop() == 0, worker.said()
    stream.change({"source": [stream.source(text=["title", "body"])]})
    told = [finding.line() for finding in doctor.findings_of(stream.deployment(), probes=False)]
    assert [line for line in told if line.startswith("fatal") and "its text mapping (title, text) changed" in line], (
        told
    )
    refused(new_worker(stream), 1, "its text mapping (title, text) changed")


def test_offsets_that_the_topic_no_longer_has_stop_it(new_stream, new_worker):
    stream = new_stream(**FAUST)
    stream.create(partitions=1)
    put(stream, 1)
    worker = new_worker(stream)
    stream.chunked()
    assert worker.stop() == 0, worker.said()
    for number in range(5):
        put(stream, number, revision=1)
    stream.flush()
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    place = TopicPartition(stream.cdc, 0, 4)
    next(iter(admin.delete_records([place]).values())).result(30)
    refused(new_worker(stream), 1, "is gone before it was read")


@pytest.mark.parametrize("origin", ["native"], indirect=True)
def test_a_configuration_that_is_not_for_faust_is_refused(new_stream, new_worker):
    stream = new_stream()
    refused(new_worker(stream), 2, 'chunker.runtime is "embedstream"')
    failed = stream.command("run", "chunker", **FAUST)
    assert failed.ended() == 2
    assert 'chunker.runtime is "faust"' in failed.said()


@pytest.mark.parametrize("origin", ["native"], indirect=True)
def test_without_a_configuration_it_says_which_variable_names_it(new_stream):
    environment = {name: value for name, value in os.environ.items() if name != "EMBEDSTREAM_CONFIG"}
    told = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "consumers.faust_chunker", "worker"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr.strip() == "There is no configuration; name its file in EMBEDSTREAM_CONFIG."


@pytest.mark.parametrize("door", ["tls", "scram", "mutual", "mutual, locked key"])
def test_it_comes_in_by_each_door_of_a_guarded_broker(guarded, guarded_stream, new_worker, door):
    stream = guarded_stream(**FAUST)
    user = f"user-{stream.name}"
    stream.change({"kafka": identity(guarded, door, user)})
    stream.create()
    granted_all(guarded, user, stream)
    put(stream, 1)
    worker = new_worker(stream)
    stream.chunked()
    assert [event.doc_id for event in stream.chunk_events()] == ["docs/1"]
    assert worker.stop() == 0, worker.said()
    assert "opens-the-door" not in worker.said()


def identity(guarded, door, user):
    match door:
        case "tls":
            return guarded.tls()
        case "scram":
            guarded.add_user(user, "opens-the-door")
            return guarded.scram(user, "opens-the-door")
        case "mutual":
            return guarded.mutual(user)
    return guarded.mutual(user, "opens-the-door")


def refused(worker, status, sentence):
    assert worker.ended() == status, worker.said()
    assert sentence in worker.said().splitlines()[-1]
    assert "Traceback" not in worker.said()
