"""``embedstream upgrade`` beside a stream that runs: each step, said twice, interrupted, and refused."""

import json
from contextlib import closing

import pytest
from cdc_events import envelope, row, sentences
from stream_process import wait_for
from upgrading import Upgrade

pytestmark = pytest.mark.kafka

ROWS = 30
OTHER_MODEL = {"encoding": {"model": "hash:32"}}
OTHER_CHUNKING = {"chunking": {"min_tokens": 6, "max_tokens": 16}}


def write(stream, number, words="row", count=3):
    """A row of so many sentences; without any it is deleted."""
    text = sentences(count, f"{words} {number}")
    stream.put({"id": number}, envelope("u", row(number, text)) if text else envelope("d", before=row(number, None)))


@pytest.fixture
def stream(new_stream):
    stream = new_stream()
    stream.create()
    for number in range(ROWS):
        write(stream, number)
    return stream


def test_a_model_is_upgraded_rolled_back_forward_again_and_the_old_one_retired(stream):
    upgrade = Upgrade(stream, **OTHER_MODEL)
    running = upgrade.run()
    stream.drained()
    assert upgrade.done("status")["step"] == "planned"
    plan = upgrade.done("plan", "--rate", "100", "--price", "3.6")
    assert (plan["change"], plan["chunks"], plan["embedded"], plan["copied"]) == ("encoding", 90, 90, 0)
    assert (plan["documents"], plan["wall_seconds"], plan["topic_bytes"]) == (ROWS, 0.9, 0)
    assert plan["replays"] == [stream.chunks]
    assert upgrade.after.collection not in collections(stream), "a plan makes nothing"
    assert upgrade.done("start") == {"collection": upgrade.after.collection, "made": True}
    assert upgrade.done("start") == {"collection": upgrade.after.collection, "made": False}
    upgrade.caught_up()
    write(stream, 1, "changed")
    write(stream, 2, count=0)
    stream.drained()
    verified = upgrade.done("verify", *upgrade.service)
    assert {gate["gate"] for gate in verified["gates"]} >= {
        "caught up",
        "points",
        "vectors",
        "documents",
        "deletes",
        "probes",
        "overlap",
        "services",
    }
    assert upgrade.searched("row 3")["contract"] == upgrade.before.contract.fingerprint
    cut = upgrade.done("cutover", *upgrade.service)
    assert cut["switched"]["now"] == upgrade.after.collection
    assert upgrade.searched("row 3")["contract"] == upgrade.after.contract.fingerprint
    assert upgrade.done("cutover")["already"]

    write(stream, 4, "newest")
    write(stream, 5, count=0)
    back = upgrade.done("rollback", *upgrade.service)
    assert back["switched"]["now"] == upgrade.before.collection
    answer = upgrade.searched("newest 4")
    assert answer["contract"] == upgrade.before.contract.fingerprint
    assert answer["hits"][0]["doc_id"] == "docs/4"
    assert "docs/5" not in {hit["doc_id"] for hit in answer["hits"]}
    upgrade.done("cutover", *upgrade.service)

    _, said = upgrade.refused("retire", "--yes")
    assert "still has members" in said
    running.stop()
    retired = upgrade.done("retire", "--yes")
    assert (retired["nulled"], retired["unfinished"]) == (0, None), "both cut alike: the keys are in use"
    assert upgrade.done("status")["step"] == "retired"
    assert upgrade.done("retire", "--yes")["collection"] is None
    alone = stream.run(**OTHER_MODEL).ready()
    write(stream, 6, "later")
    wait_for(lambda: any("later 6" in hit["text"] for hit in alone.search("later 6")), "the change to be found")


def test_a_chunking_is_upgraded_with_chunkers_of_its_own_and_equal_texts_are_copied(stream):
    upgrade = Upgrade(stream, **OTHER_CHUNKING)
    running = upgrade.run()
    stream.drained()
    plan = upgrade.done("plan", "--rate", "100")
    assert (plan["change"], plan["chunks"], plan["copied"], plan["embedded"]) == ("chunking", 90, 90, 0)
    assert plan["replays"] == [stream.cdc]
    assert plan["topic_bytes"] > ROWS * 500
    upgrade.done("start")
    upgrade.caught_up()
    write(stream, 2, count=0)
    write(stream, 3, "changed")
    stream.drained()
    cut = upgrade.done("cutover", *upgrade.service)
    gates = {gate["gate"]: gate for gate in cut["gates"]}
    assert gates["copied"]["passed"]
    copied = running.metric("chunks_total", outcome="copied", pair="next")
    assert copied > 0
    assert gates["copied"]["said"].startswith("87 of 87 chunks")
    running.stop()
    retired = upgrade.done("retire", "--yes")
    assert retired["nulled"] >= ROWS
    stream.run("chunker", "embedder", **OTHER_CHUNKING).ready()
    status, report = json_of(stream.command("audit", "--all-vectors", "--json", **OTHER_CHUNKING))
    assert (status, report["equal"]) == (0, True)
    assert report["documents"] == ROWS


def collections(stream):
    with closing(stream.deployment().catalog(serve=False)) as catalog:
        return list(catalog.collections())


def json_of(process):
    status, said = process.ended(), process.said()
    return status, json.loads(said[said.index("{\n") :])
