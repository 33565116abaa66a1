"""``embedstream purge`` beside a stream that runs, and beside one whose embedders are behind."""

import json
from contextlib import closing

import pytest
from cdc_events import envelope, row, sentences
from stream_process import wait_for

pytestmark = pytest.mark.kafka

GRACE = {"name": "docs", "url": "edge:index", "grace_s": 2}
ROLES = ("chunker", "embedder")


def asked(stream, *more):
    """The exit status and what was said; what a person reads while it waits stands before it."""
    process = stream.command("purge", "--json", *more)
    status, said = process.ended(), process.said()
    return status, json.loads(said[said.index("{\n") :])


def write(stream, number, count):
    """A row of so many sentences; without any it is deleted."""
    text = sentences(count, f"row {number}")
    stream.put({"id": number}, envelope("u", row(number, text)) if text else envelope("d", before=row(number, None)))


@pytest.fixture
def stream(new_stream):
    """Rows that have lost passages, and one that is gone; nobody runs."""
    stream = new_stream(index=GRACE)
    stream.create()
    running = stream.run(*ROLES).ready()
    for count in (5, 2):
        for number in range(6):
            write(stream, number, count)
        stream.drained()
    write(stream, 5, 0)
    stream.drained()
    running.stop()
    return stream


def test_marks_of_removed_chunks_go_while_the_stream_runs_and_nothing_else_changes(stream):
    running = stream.run(*ROLES).ready()
    before = stream.points(None)
    removed = [id_ for id_, payload in before.items() if payload["state"] == "removed"]
    assert len(removed) >= 6 * 3
    collection, all_of_them = stream.deployment().collection, len(removed)
    told = {"collection": collection, "listed": all_of_them, "left": all_of_them, "unfinished": None}
    assert asked(stream, "--dry-run") == (0, told)
    status, report = asked(stream)
    assert (status, report["listed"], report["left"]) == (0, all_of_them, 0)
    assert stream.points(None) == {id_: payload for id_, payload in before.items() if id_ not in removed}
    assert stream.points("deleted")

    for number in range(6):
        write(stream, number, 4)
    stream.drained()
    assert {len(texts) for texts in stream.texts().values()} == {4}
    audit = stream.command("audit", "--all-vectors")
    assert audit.ended() == 0, audit.said()
    running.stop()


def test_it_is_the_configurations_own_collection_that_is_purged_whatever_the_name_stands_for(stream):
    deployment = stream.deployment()
    own, name = deployment.collection, deployment.settings.index.name
    with closing(deployment.catalog(serve=False)) as catalog:
        catalog.create(f"{name}__another__g1", catalog.open(own).vector, {}, catalog.metadata(own))
        assert catalog.switch_alias(name, own, f"{name}__another__g1")
    status, report = asked(stream)
    assert (status, report["collection"], report["left"]) == (0, own, 0)
    assert report["listed"] > 0


def test_while_the_embedders_are_behind_nothing_is_taken_away_and_it_says_so(stream):
    write(stream, 0, 1)
    chunker = stream.run("chunker").ready()
    stream.chunked()
    chunker.stop()
    before = stream.points(None)
    status, report = asked(stream, "--wait", "1")
    assert (status, report["left"]) == (1, report["listed"])
    assert "before it that were there when the marks were listed" in report["unfinished"]
    assert stream.points(None) == before


def test_one_that_waits_keeps_nobody_from_the_index(stream):
    """An embedder that starts meanwhile owns the folder, and with it the purge's delete."""
    write(stream, 0, 1)
    chunker = stream.run("chunker").ready()
    stream.chunked()
    chunker.stop()
    purge = stream.command("purge", "--json", "--wait", "60")
    wait_for(lambda: "marks of removed chunks" in purge.said(), "the purge to wait")
    stream.run("embedder").ready()
    assert purge.ended() == 0, purge.said()
    listed = json.loads(purge.said()[purge.said().index("{\n") :])
    assert (listed["left"], listed["unfinished"]) == (0, None)
    assert len(stream.points("removed")) < listed["listed"]
