"""What happens to a row happens to the index: one running stream on a real broker, a document of its own a test."""

import json
import secrets
import threading
import time

import pytest
from cdc_events import assert_holds, envelope, row, sentences
from deployed_stream import Stream
from stream_process import wait_for

from schemas.identity import document_point_id


class Rows:
    """A running stream and one document in it."""

    def __init__(self, stream, running):
        self.stream, self.running = stream, running
        self.id = secrets.token_hex(6)
        self.document = f"docs/{self.id}"

    def write(self, op, after=None, **more):
        self.stream.put({"id": self.id}, envelope(op, after, **more))

    def texts(self):
        self.stream.drained()
        return self.stream.texts().get(self.document, [])

    def points(self, state="live"):
        self.stream.drained()
        of_all = self.stream.points(state)
        return {id_: payload for id_, payload in of_all.items() if payload["doc_id"] == self.document}

    def counted(self):
        self.stream.drained()
        return {outcome: self.running.chunks(outcome) for outcome in ("embedded", "kept", "removed")}

    def hits(self, text):
        return [hit for hit in self.running.search(text, limit=20) if hit["doc_id"] == self.document]


def difference(after, before):
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.fixture(scope="module")
def shared(kafka):
    stream = Stream(kafka)
    try:
        source = stream.source(heartbeat=f"{stream.name}.heartbeat")
        stream.change({"source": [source]})
        stream.create()
        stream.create(f"{stream.name}.heartbeat", 1)
        yield stream, stream.run().ready()
    finally:
        stream.close()


@pytest.fixture
def rows(shared):
    return Rows(*shared)


def test_a_row_becomes_searchable(rows):
    rows.write("c", row(rows.id, f"The quick fox {rows.id} jumps over the lazy dog.", "Foxes", "animals", pages=3))
    rows.stream.flush()
    (hit,) = wait_for(lambda: rows.hits(f"fox {rows.id}"), "the row to be found")
    assert hit["text"] == f"The quick fox {rows.id} jumps over the lazy dog."
    assert (hit["title"], hit["fields"]) == ("Foxes", {"section": "animals", "pages": 3})
    assert hit["version"] >= 1
    assert hit["age_ms"] > 0


def test_an_update_replaces_what_changed_and_keeps_the_rest(rows):
    text = sentences(10, rows.id)
    rows.write("c", row(rows.id, text))
    before, points = rows.counted(), rows.points()
    rows.write("u", row(rows.id, text.replace("number 4 among", "the fourth among")), before=row(rows.id, text))
    change = difference(rows.counted(), before)
    assert 1 <= change["embedded"] <= 3
    assert change["embedded"] == change["removed"]
    assert change["kept"] == len(points) - change["embedded"]
    now = rows.points()
    assert len(points.keys() & now.keys()) == change["kept"]
    assert len({payload["version"] for payload in now.values()}) == 1, "kept chunks are of the new version too"
    assert "the fourth among" in " ".join(rows.texts())
    assert "number 4 among" not in " ".join(rows.texts())


def test_a_document_that_shrinks_leaves_no_orphan(rows):
    rows.write("c", row(rows.id, sentences(12, rows.id)))
    before = rows.points()
    rows.write("u", row(rows.id, sentences(3, rows.id)))
    after = rows.points()
    assert len(after) < len(before)
    assert after.keys() <= before.keys()
    assert rows.points("removed").keys() == before.keys() - after.keys()
    assert not [hit for hit in rows.hits("Sentence 11 number 11") if "number 11" in hit["text"]]


def test_a_deleted_document_is_gone_and_comes_back_when_it_is_inserted_again(rows):
    rows.write("c", row(rows.id, sentences(4, rows.id)))
    before = rows.points()
    rows.write("d", before=row(rows.id, None))
    rows.stream.put({"id": rows.id}, None)
    assert rows.points() == {}
    assert rows.points("removed").keys() == before.keys()
    (mark,) = rows.points("deleted").items()
    assert mark[0] == document_point_id(rows.document)
    assert mark[1].keys() == {"doc_id", "version", "state"}
    assert rows.hits(rows.id) == []
    rows.write("c", row(rows.id, sentences(4, rows.id)))
    assert rows.points().keys() == before.keys()
    assert rows.points("deleted") == {}
    assert all(point["version"] > mark[1]["version"] for point in rows.points().values())


@pytest.mark.parametrize("changed", [{"section": "moved"}, {"pages": 7}, {"unmapped": 1}], ids=min)
def test_a_change_of_payload_alone_embeds_nothing(rows, changed):
    first = row(rows.id, sentences(6, rows.id), "A title", "here")
    rows.write("c", first)
    before, points = rows.counted(), rows.points()
    rows.write("u", first | changed, before=first)
    assert difference(rows.counted(), before) == {"kept": len(points)}
    now = rows.points()
    assert now.keys() == points.keys()
    for payload in now.values():
        assert {name: payload.get(name) for name in changed if name != "unmapped"} == {
            name: value for name, value in changed.items() if name != "unmapped"
        }
    (old,), (new,) = ({payload["version"] for payload in of.values()} for of in (points, now))
    assert new > old


def test_a_new_title_is_embedded_with_every_passage(rows):
    rows.write("c", row(rows.id, sentences(3, rows.id), "Old title"))
    before, points = rows.counted(), rows.points()
    rows.write("u", row(rows.id, sentences(3, rows.id), "New title"))
    assert difference(rows.counted(), before) == {"embedded": len(points), "removed": len(points)}
    assert {payload["title"] for payload in rows.points().values()} == {"New title"}


@pytest.mark.parametrize("text", [None, "", " \n\t "], ids=["null", "empty", "blank"])
def test_a_row_without_text_is_a_document_that_is_not_found(rows, text):
    rows.write("c", row(rows.id, sentences(2, rows.id)))
    rows.write("u", row(rows.id, text, "Only a title"))
    assert rows.points() == {}
    assert len(rows.points("deleted")) == 1
    assert rows.stream.letters() == []


def test_many_revisions_of_one_document_end_at_the_last(rows):
    before = rows.running.chunks("embedded")
    for number in range(60):
        rows.write("u", row(rows.id, f"Revision {number} of {rows.id} says so."))
    assert rows.texts() == [f"Revision 59 of {rows.id} says so."]
    assert 1 <= rows.running.chunks("embedded") - before <= 60


def test_a_document_with_text_is_found_at_every_instant_while_it_is_rewritten(rows):
    """Each revision replaces every passage of the one before."""
    stopping, answers, revision = threading.Event(), [], 0

    def look():
        while not stopping.is_set():
            answers.append([hit["text"] for hit in rows.hits(f"constant {rows.id}")])

    def rewrite():
        nonlocal revision
        revision += 1
        rows.write("u", row(rows.id, f"constant {rows.id} revision {revision}."))
        rows.stream.flush()
        return len({text for texts in answers for text in texts}) > 20

    rewrite()
    rows.stream.drained()
    looking = threading.Thread(target=look)
    looking.start()
    try:
        wait_for(rewrite, "twenty revisions to be seen", pause_s=0.01)
    finally:
        stopping.set()
        looking.join()
    assert all(answers)
    assert rows.texts() == [f"constant {rows.id} revision {revision}."]


def test_a_changed_primary_key_moves_the_document(rows):
    moved = f"{rows.id}-moved"
    rows.write("c", row(rows.id, f"One text {rows.id}."))
    rows.write("d", before=row(rows.id, None))
    rows.stream.put({"id": moved}, envelope("c", row(moved, f"One text {rows.id}.")))
    assert rows.texts() == []
    assert rows.stream.texts()[f"docs/{moved}"] == [f"One text {rows.id}."]


def test_the_index_is_what_the_core_makes_of_the_topic(rows):
    for number in range(8):
        key = {"id": f"{rows.id}-{number}"}
        for revision in range(3):
            rows.stream.put(key, envelope("u", row(key["id"], sentences(number + revision, f"{rows.id} {revision}"))))
        if number % 3 == 0:
            rows.stream.put(key, envelope("d"))
    rows.stream.drained()
    assert_holds(rows.stream.points(None), rows.stream.deployment(), rows.stream.records(rows.stream.cdc))


def test_after_a_drain_status_says_that_nothing_is_behind(rows):
    """Behind every record of the chunk topic stands a transaction's marker, which takes an offset too."""
    rows.write("c", row(rows.id, f"Something {rows.id}."))
    rows.stream.drained()
    status = json.loads(rows.stream.asked("status", "--json"))
    deployment = rows.stream.deployment()
    assert status["lag"] == {"chunker": 0, "embedder": 0}
    assert status["collection"] == deployment.collection
    assert status["contract"] == deployment.contract.fingerprint
    assert status["points"] == len(rows.stream.points())


def test_the_chunk_topic_is_compacted_and_takes_large_events(rows):
    info = rows.stream.topics.describe([rows.stream.chunks], settings=True)[rows.stream.chunks]
    assert info.partitions == 3
    wanted = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": "86400000",
        "compression.type": "zstd",
        "max.message.bytes": str(16 * 1024 * 1024),
    }
    assert {name: info.config[name] for name in wanted} == wanted


def test_heartbeats_move_the_watermark_and_nothing_else(rows):
    rows.write("c", row(rows.id, f"Something {rows.id}."))
    rows.stream.drained()
    events = rows.stream.topics.ends(rows.stream.chunks)
    wait_for(lambda: age(rows.running) > 86_400, "the row's old commit clock to be the watermark")
    rows.stream.put({"serverName": rows.stream.name}, {"ts_ms": int(time.time() * 1000)}, topic=heartbeats(rows))
    rows.stream.flush()
    wait_for(lambda: age(rows.running) < 60, "the heartbeat to move the watermark")
    assert rows.stream.topics.ends(rows.stream.chunks) == events
    assert rows.stream.letters() == []


def heartbeats(rows):
    return f"{rows.stream.name}.heartbeat"


def age(running):
    return running.metric("source_watermark_age_seconds", source="docs")
