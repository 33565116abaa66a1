"""Several members of the groups on a real broker, with both group protocols: who does what, and what twice."""

import pytest
from cdc_events import assert_holds, envelope, expected, live_of, row, sentences
from stream_process import wait_for

from stream.errors import Fatal

CONSUMER = {"group.protocol": "consumer"}
CLASSIC = {"group.protocol": "classic", "session.timeout.ms": 6000}
PROTOCOLS = pytest.mark.parametrize("protocol", [CONSUMER, CLASSIC], ids=["consumer", "classic"])


def put_rows(stream, numbers, about="a first topic", op="c"):
    for number in numbers:
        stream.put({"id": number}, envelope(op, row(number, sentences(3, f"{about} {number}"))))
    stream.flush()


def assert_equal(stream):
    records = [record for source in stream.tables["source"] for record in stream.records(source["topic"])]
    assert_holds(stream.points(None), stream.deployment(), records)


def assert_once_and_in_order(stream, at_least_documents):
    """Each document's versions rise on the chunk topic, so none is there twice."""
    seen = {}
    for event in stream.chunk_events():
        assert event.version > seen.get(event.doc_id, 0), f"{event.doc_id} at {event.version} is there again"
        seen[event.doc_id] = event.version
    assert len(seen) >= at_least_documents
    newest = {}
    for record in stream.records(stream.cdc):
        newest[record.key] = record.offset + 1
    assert sorted(seen.values()) == sorted(newest.values()), "each document's newest revision was chunked"


@PROTOCOLS
def test_partitions_move_between_chunkers_and_nothing_is_lost_or_doubled(new_stream, protocol):
    stream = new_stream(kafka=protocol)
    stream.create(partitions=6)
    first = stream.run("chunker").ready()
    put_rows(stream, range(60))
    wait_for(lambda: first.metric("chunker_transactions_total", outcome="committed"), "the first to work")
    second = stream.run("chunker", chunker={"instance": "1"}).ready()
    number = 60

    def second_works():
        nonlocal number
        put_rows(stream, range(number, number + 12))
        number += 12
        return second.metric("source_watermark_age_seconds", source="docs") > 0

    wait_for(second_works, "the second to have partitions of the first")
    first.stop()
    put_rows(stream, range(number), "a second topic", "u")
    third = stream.run("chunker").ready()
    put_rows(stream, range(number), "a third topic", "u")
    embedder = stream.run("embedder").ready()
    stream.drained()
    assert_once_and_in_order(stream, number)
    assert_equal(stream)
    for running in (second, third, embedder):
        running.stop()


def test_of_two_chunkers_with_one_instance_the_older_stops_with_a_sentence(new_stream):
    stream = new_stream()
    stream.create()
    older = stream.run("chunker").ready()
    put_rows(stream, range(10))
    wait_for(lambda: older.metric("chunker_transactions_total", outcome="committed"), "the older to work")
    younger = stream.run("chunker").ready()
    number = 10

    def older_ended():
        nonlocal number
        put_rows(stream, range(number, number + 3))
        number += 3
        return not older.alive

    wait_for(older_ended, "the older to notice")
    failure = older.failure()
    assert isinstance(failure, Fatal)
    assert "another chunker with the same [chunker] instance took over" in str(failure)
    stream.run("embedder").ready()
    stream.drained()
    assert younger.alive
    assert_once_and_in_order(stream, number)
    assert_equal(stream)


@PROTOCOLS
def test_what_an_embedder_did_before_it_was_killed_is_not_embedded_again(new_stream, protocol):
    """It never committed, so its successor reads the topic from the start and finds everything in the index."""
    stream = new_stream(kafka=protocol)
    stream.create()
    stream.run("chunker").ready()
    put_rows(stream, range(12))
    put_rows(stream, range(6), "a second topic", "u")
    killed = stream.start("embedder", embedder={"flush_interval_s": 3600}).ready()
    deployment = stream.deployment()
    records = stream.records(stream.cdc)
    wait_for(
        lambda: live_of(stream.points(None)) == expected(deployment, records).live, "the index to hold everything"
    )
    points = stream.points(None)
    killed.kill()
    assert stream.status().embedder > 0, "nothing was committed"
    successor = stream.run("embedder").ready()
    stream.drained()
    assert successor.chunks("embedded") == 0
    assert successor.chunks("removed") == 0
    assert successor.events("applied") + successor.events("stale") >= 12
    assert stream.points(None) == points


def test_two_embedders_share_the_partitions_and_one_index(new_stream):
    """The second reaches the index through the first, which owns its folder."""
    stream = new_stream()
    stream.create()
    chunker = stream.run("chunker").ready()
    owner = stream.start("embedder").ready()
    second = stream.start("embedder").ready()
    number = 0

    def both_work():
        nonlocal number
        put_rows(stream, range(number, number + 12))
        number += 12
        return owner.events("applied") and second.events("applied")

    wait_for(both_work, "both to have work", pause_s=0.3)
    put_rows(stream, range(number), "a second topic", "u")
    assert second.stop() == 0
    put_rows(stream, range(number), "a third topic", "u")
    stream.drained()
    assert_equal(stream)
    assert owner.stop() == 0
    assert chunker.alive


def test_a_second_source_joins_without_a_rebuild(new_stream):
    stream = new_stream()
    stream.create()
    running = stream.run().ready()
    put_rows(stream, range(5))
    stream.drained()
    before, collection = stream.points(), stream.status().live
    running.stop()
    faq = stream.source("faq", topic=f"{stream.name}.faq", title=None, text=["question", "answer"], fields={})
    stream.change({"source": [*stream.tables["source"], faq]})
    stream.create(f"{stream.name}.faq", 1)
    running = stream.run().ready()
    asked = {"id": 1, "question": "What joins?", "answer": "A second source joins."}
    stream.put({"id": 1}, envelope("c", asked), topic=f"{stream.name}.faq")
    put_rows(stream, [5])
    stream.drained()
    assert stream.status().live == collection
    assert stream.texts()["faq/1"] == ["What joins?\n\nA second source joins."]
    assert {id_: payload for id_, payload in stream.points().items() if id_ in before} == before
    assert running.chunks("kept") == 0, "nothing of the first source was read again"
    assert_equal(stream)


def test_a_changed_mapping_of_a_known_source_is_refused_with_both_sides_shown(new_stream):
    stream = new_stream()
    stream.create()
    running = stream.run().ready()
    put_rows(stream, [1])
    stream.drained()
    running.stop()
    stream.change({"source": [stream.source(text=["body", "summary"])]})
    failure = stream.run("embedder").failure()
    assert isinstance(failure, Fatal)
    assert "source.docs.text: here ['body', 'summary'], in the collection ['body']" in str(failure)
