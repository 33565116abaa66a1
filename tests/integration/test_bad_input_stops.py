"""What stops a process, and with which sentence: after the cure that it names, a restart goes on.

The other half of the table in ``test_bad_input.py``. Exit statuses are asked of real processes; where the sentence
alone matters the roles run in threads, and the failure that would have been printed is looked at.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cdc_events import assert_holds, envelope, row
from confluent_kafka.admin import AdminClient, NewPartitions
from models import build_tiny_model
from stream_process import ROOT, wait_for

from stream.errors import Fatal, Misuse


def put_rows(stream, numbers, about="topic"):
    for number in numbers:
        stream.put({"id": number}, envelope("c", row(number, f"A text about {about} {number}.", section="s")))
    stream.flush()


def assert_equal(stream):
    """Of the collection that the configuration means, whatever users search."""
    deployment = stream.deployment()
    catalog = deployment.catalog(serve=False)
    try:
        points = {point.id: point.payload for point in catalog.open(deployment.collection).scroll()}
    finally:
        catalog.close()
    assert_holds(points, deployment, stream.records(stream.cdc))


def refused(stream, *roles):
    failure = stream.run(*roles).failure()
    assert isinstance(failure, Fatal), failure
    assert not isinstance(failure, Misuse)
    return str(failure)


def test_an_absent_column_stops_the_process_with_its_name_and_after_the_cure_it_goes_on(new_stream):
    stream = new_stream()
    stream.create()
    put_rows(stream, range(3))
    process = stream.start().ready()
    stream.drained()
    without = row(3, "A text without the column.")
    del without["section"]
    stream.put({"id": 3}, envelope("c", without))
    put_rows(stream, range(4, 6))
    assert process.ended() == 1
    (sentence,) = [line for line in process.said().splitlines() if "column" in line]
    assert "maps the column 'section'" in sentence
    assert "'section?'" in sentence
    assert "Traceback" not in process.said()
    assert stream.letters() == []
    stream.change({"source": [stream.source(fields={"section?": "keyword", "pages": "integer"})]})
    stream.run().ready()
    stream.drained()
    assert_equal(stream)
    assert "docs/3" in stream.texts()


def recreate(stream):
    topics, admin = stream.topics, AdminClient({"bootstrap.servers": stream.brokers})
    admin.delete_topics([stream.cdc])[stream.cdc].result()
    wait_for(lambda: not topics.describe([stream.cdc]), "the topic to be gone")
    stream.create()


def repartition(stream):
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    admin.create_partitions([NewPartitions(stream.cdc, 5)])[stream.cdc].result()


@pytest.mark.parametrize("running", [True, False], ids=["under a running stream", "while nothing ran"])
@pytest.mark.parametrize("change", [recreate, repartition])
def test_a_changed_cdc_topic_stops_the_stream_and_the_next_generation_is_built_anew(new_stream, change, running):
    stream = new_stream()
    stream.create()
    put_rows(stream, range(6))
    first = stream.run().ready()
    stream.drained()
    if running:
        change(stream)
        sentence = str(first.failure())
    else:
        first.stop()
        change(stream)
        sentence = refused(stream)
    assert "deleted" in sentence or "re-created or repartitioned" in sentence
    assert "index.generation" in sentence
    again = refused(stream)
    assert "Source 'docs': its CDC topic or the chunk topic was re-created or repartitioned" in again
    stream.change({"index": {"generation": 2}})
    stream.run().ready()
    put_rows(stream, range(3, 9), "another topic")
    stream.drained()
    assert_equal(stream)
    next_one = stream.deployment().collection
    wait_for(lambda: stream.status().live == next_one, "the next generation to take the index's name")


def test_a_topic_that_does_not_exist_is_named_after_a_while(new_stream):
    stream = new_stream(chunker={"topic_wait_s": 1})
    assert refused(stream) == (
        f"The topic {stream.cdc} does not exist after 1 s; create it, start the connector that does, or correct its "
        "name in the configuration."
    )


def test_a_topic_that_is_created_a_little_later_is_waited_for(new_stream):
    stream = new_stream()
    running = stream.run()
    wait_for(lambda: stream.topics.describe([stream.letter_topic]), "the stream to wait")
    stream.create()
    running.ready()
    put_rows(stream, [1])
    stream.drained()
    assert_equal(stream)


def test_a_process_told_to_stop_while_it_waits_for_a_topic_ends_well(new_stream):
    stream = new_stream()
    running = stream.run()
    wait_for(lambda: stream.topics.describe([stream.letter_topic]), "the stream to wait")
    running.stop()


def test_an_unreachable_broker_is_waited_for_until_the_process_is_told_to_stop(new_stream):
    stream = new_stream()
    with socket.socket() as nobody, socket.socket() as free:
        nobody.bind(("127.0.0.1", 0))
        free.bind(("127.0.0.1", 0))
        telemetry = "{}:{}".format(*free.getsockname())
        free.close()
        process = stream.start(
            kafka={"bootstrap.servers": "{}:{}".format(*nobody.getsockname())}, telemetry={"listen": telemetry}
        )
        wait_for(lambda: asked(telemetry) or not process.alive, "the process to answer")
        assert asked(telemetry) == {"ready": False, "why": "chunker, embedder starting"}
        assert process.stop() == 0, process.said()
    assert "Traceback" not in process.said()
    assert "stopped while waiting" in process.said()


def asked(telemetry):
    try:
        return httpx.get(f"http://{telemetry}/readyz", trust_env=False).json()
    except httpx.TransportError:
        return None


def test_an_unknown_key_is_named_with_the_nearest_known_one(new_stream):
    process = new_stream(chunking={"max_token": 100}).start()
    assert process.ended() == 2
    assert process.said().count("\n") == 1
    assert "`chunking.max_token` is not a known key; did you mean `chunking.max_tokens`?" in process.said()


def test_pickled_weights_are_refused_unread(new_stream):
    stream = new_stream()
    folder = build_tiny_model(stream.folder / "model")
    (folder / "model.safetensors").unlink()
    trap = stream.folder / "opened"
    (folder / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {trap}'\ntR.".encode())
    stream.change({"encoding": {"model": f"path:{folder}"}})
    stream.create()
    assert "pytorch_model.bin" in refused(stream)
    assert not trap.exists()


def test_a_collection_of_another_contract_is_refused_with_both_sides_shown(new_stream):
    stream = new_stream()
    stream.create()
    put_rows(stream, [1])
    running = stream.run().ready()
    stream.drained()
    running.stop()
    before, theirs = stream.points(), stream.deployment().contract.fingerprint
    stream.change({"encoding": {"model": "hash:32"}})
    ours = stream.deployment().contract.fingerprint
    for role in ("embedder", "query", "all"):
        sentence = refused(stream) if role == "all" else refused(stream, role)
        assert "encoding.dimensions: here 32, in the collection 64" in sentence, role
        assert theirs in sentence
        assert ours in sentence
    stream.change({"encoding": {"model": "hash:64"}})
    stream.run().ready()
    stream.drained()
    assert stream.points() == before


def test_a_data_directory_of_another_process_is_refused_with_its_id(new_stream):
    stream = new_stream()
    stream.create()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    arguments = [sys.executable, ROOT / "tests" / "index_owner.py", "hold", Path(stream.folder / "index")]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as owner:
        try:
            assert owner.stdout.readline() == "ready\n"
            assert f"is owned by process {owner.pid}" in refused(stream)
        finally:
            owner.kill()
    stream.run().ready()
    put_rows(stream, [1])
    stream.drained()
    assert_equal(stream)


def test_a_truncated_table_stops_the_chunker_unless_it_was_chosen_to_go_on(new_stream):
    stream = new_stream()
    stream.create()
    running = stream.run().ready()
    put_rows(stream, range(3))
    stream.drained()
    stream.put(None, envelope("t"))
    put_rows(stream, range(3, 5))
    assert 'on_truncate = "dead-letter"' in str(running.failure())
    assert "truncated" in refused(stream), "and again, until somebody chooses"
    stream.change({"source": [stream.source(on_truncate="dead-letter")]})
    stream.run().ready()
    stream.drained()
    (letter,) = stream.letters()
    assert letter.error_class == "truncate"
    assert_equal(stream)
    assert len(stream.texts()) == 5


def test_a_chunk_topic_that_takes_less_than_an_event_is_refused_at_the_start(new_stream):
    stream = new_stream()
    stream.create()
    stream.create(stream.chunks, max_message_bytes="1000000", cleanup_policy="compact")
    sentence = refused(stream)
    assert f"The topic {stream.chunks} takes records of 1000000 bytes, and with chunks.max_event_bytes = " in sentence
    assert "chunks.max_event_bytes" in sentence
