"""Every kind of wound of a real index behind a real broker: the audit finds them alone, and the repair heals them."""

import json
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from cdc_events import envelope, row, sentences
from qdrant_edge import Point as EnginePoint
from qdrant_edge import UpdateOperation
from stream_process import wait_for

from adapters.edge.opening import open_catalog
from schemas.identity import document_point_id

STRAY = "00000000-0000-4000-8000-00000000000a"
COPY = "00000000-0000-4000-8000-00000000000b"
ROLES = ("chunker", "embedder")


class Wounds:
    """Writes to the shard past every condition while nobody else has it open."""

    def __init__(self, deployment):
        self.catalog = open_catalog(deployment.settings.index.folder, serve=False)
        self.index = self.catalog.open(deployment.collection)
        self.points = {point.id: point for point in self.index.scroll(with_vectors=True)}
        self.inflicted = set()

    def close(self):
        self.index.flush()
        self.catalog.close()

    def live(self, number):
        """The chunks of a document in order."""
        of = [one for one in self.points.values() if one.payload["doc_id"] == f"docs/{number}" and one.vector]
        return sorted(of, key=lambda one: one.payload["position"])

    def put(self, id_, payload, vector=None):
        named = {} if vector is None else {self.index.vector.name: np.asarray(vector, np.float32).tolist()}
        self.index._shard.update(UpdateOperation.upsert_points([EnginePoint(UUID(id_), named, dict(payload))]))

    def drop(self, id_):
        self.index._shard.update(UpdateOperation.delete_points([UUID(id_)]))

    def change(self, number, **fields):
        point = self.live(number)[0]
        self.put(point.id, {**point.payload, **fields}, point.vector.values)
        return f"docs/{number}", point.id

    def inflict(self):
        width = self.index.vector.dimensions
        gone = self.live(0)[0]
        self.drop(gone.id)
        self.told("missing", "docs/0", gone.id)
        self.put(STRAY, {**self.live(1)[0].payload, "position": 99}, np.ones(width))
        self.told("orphaned", "docs/1", STRAY)
        self.told("stale", *self.change(2, version=1))
        copied = self.live(3)[0]
        self.put(COPY, copied.payload, copied.vector.values)
        self.told("duplicated", "docs/3", COPY)
        bent, zeroed = self.live(4)[0], self.live(5)[0]
        self.put(bent.id, bent.payload, np.arange(width) - 3.0)
        self.told("vector", "docs/4", bent.id)
        self.put(zeroed.id, zeroed.payload, np.zeros(width))
        self.told("vector", "docs/5", zeroed.id)
        self.told("changed", *self.change(6, text="Nobody wrote this."))
        self.told("changed", *self.change(7, span=[3, 4], position=9))
        self.told("changed", *self.change(8, section="elsewhere"))
        own = document_point_id("docs/deleted")
        self.drop(own)
        self.told("mark", "docs/deleted", own)
        marked = self.live(9)[0]
        self.put(marked.id, {"doc_id": "docs/9", "version": marked.payload["version"], "state": "removed"})
        self.told("missing", "docs/9", marked.id)

    def told(self, *what):
        self.inflicted.add(what)


@pytest.fixture(scope="module")
def written(kafka):
    from deployed_stream import Stream

    stream = Stream(kafka)
    try:
        stream.create()
        for number in range(12):
            stream.put(
                {"id": number}, envelope("c", row(number, sentences(4, f"row {number}"), f"Row {number}", "a"))
            )
        stream.put({"id": "deleted"}, envelope("c", row("deleted", "It was here for a while.")))
        stream.put({"id": "deleted"}, envelope("d", before=row("deleted", None)))
        for number in range(3):
            changed = row(number, sentences(5, f"row {number}"), f"Row {number}", "b")
            stream.put({"id": number}, envelope("u", changed))
        running = stream.run(*ROLES).ready()
        stream.drained()
        running.stop()
        yield stream
    finally:
        stream.close()


def asked(stream, *more):
    """The exit status and what was said."""
    process = stream.command("audit", "--json", *more)
    status = process.ended()
    return status, json.loads(process.said())


def found(report):
    return {(one["kind"], one["doc_id"], one["id"]) for one in report["differences"]}


def test_ten_wounds_are_found_and_nothing_else_and_a_repair_heals_them(written):
    status, report = asked(written, "--all-vectors")
    assert (status, report["equal"], report["differences"]) == (0, True, [])
    assert report["vectors"] == report["chunks"] == report["live"]
    healthy = written.points(None)

    with closing(Wounds(written.deployment())) as wounds:
        wounds.inflict()
    assert len(wounds.inflicted) == 11
    status, report = asked(written, "--all-vectors", "--hold", "1")
    assert (status, found(report)) == (1, wounds.inflicted)
    assert report["passes"] == 3, "one for each partition, where next to nothing may be held"

    running = written.run(*ROLES).ready()
    status, report = asked(written, "--all-vectors", "--repair")
    assert (status, report["equal"], report["left"]) == (0, True, {})
    assert len(report["repaired"]) == 11
    status, report = asked(written, "--all-vectors")
    assert (status, report["equal"]) == (0, True)
    running.stop()
    healed = written.points(None)
    assert {id_: one for id_, one in healed.items() if id_ not in (STRAY, COPY)} == healthy
    assert {healed[id_]["state"] for id_ in (STRAY, COPY)} == {"removed"}


def test_without_an_embedder_what_is_in_flight_is_not_believed(new_stream):
    stream = new_stream()
    stream.create()
    stream.put({"id": 1}, envelope("c", row(1, "A row.")))
    running = stream.run(*ROLES).ready()
    stream.drained()
    running.stop()
    stream.put({"id": 1}, envelope("u", row(1, "Another text.")))
    chunker = stream.run("chunker").ready()
    stream.chunked()
    chunker.stop()
    process = stream.command("audit", "--wait", "1", "--sample", "0")
    assert process.ended() == 1
    assert "1 records behind" in process.said() or "records behind the ends" in process.said()
    stream.run("embedder").ready()
    assert asked(stream, "--sample", "5")[0] == 0


def test_under_a_writer_that_never_rests_nothing_is_taken_for_damage(new_stream):
    stream = new_stream()
    stream.create()
    stream.run(*ROLES).ready()
    audits = [stream.command("audit", "--json", "--all-vectors") for _ in range(2)]
    written = 0

    def write_on():
        nonlocal written
        written += 1
        number = written % 7
        text = sentences(written % 5, f"row {number} for the {written}th time")
        stream.put(
            {"id": number}, envelope("u", row(number, text)) if text else envelope("d", before=row(number, None))
        )
        return not any(process.alive for process in audits)

    wait_for(write_on, "the audits to end")
    stream.flush()
    for process in audits:
        assert process.ended() == 0, process.said()
        assert json.loads(process.said())["differences"] == []


def test_rows_deleted_while_nobody_listened_are_found_behind_a_snapshot(new_stream):
    stream = new_stream()
    stream.create(partitions=2)

    def told(op, number, snapshot="false"):
        told = envelope(op, row(number, f"Row {number} has a text."))
        told["source"]["snapshot"] = snapshot
        stream.put({"id": number}, told, partition=number % 2)

    for number in range(6):
        told("r", number, "first" if number == 0 else "true")
    told("u", 4)
    stream.run(*ROLES).ready()
    stream.drained()
    assert asked(stream, "--after-snapshot")[0] == 0, "the first snapshot holds every row"
    since = "--since", datetime.now(UTC).isoformat(timespec="milliseconds")
    for number in (0, 1, 4):
        told("r", number, "incremental")
    told("c", 9)
    stream.drained()
    assert asked(stream, "--after-snapshot")[0] == 0, "every row was written in the hour before it"
    status, report = asked(stream, "--after-snapshot", *since)
    assert (status, {one["doc_id"] for one in report["differences"]}) == (1, {"docs/2", "docs/3", "docs/5"})
    assert report["kinds"] == {"gone": 3}
    status, report = asked(stream, "--after-snapshot", *since, "--repair")
    assert (status, len(report["repaired"])) == (0, 3)
    assert stream.texts().keys() == {"docs/0", "docs/1", "docs/4", "docs/9"}
    told("c", 3)
    stream.drained()
    assert stream.texts()["docs/3"] == ["Row 3 has a text."], "what comes later is newer than the delete"
    assert asked(stream)[0] == 0


def test_history_that_a_connector_tells_again_leaves_the_index_equal_to_the_table(new_stream):
    """A restart re-emits what it had not noted as told: u1 u2 u3 d u1 u2 u3 d, at higher offsets."""
    stream = new_stream()
    stream.create()
    stream.run(*ROLES).ready()
    history = [
        *(({"id": number}, envelope("c", row(number, sentences(3, f"row {number}")))) for number in range(6)),
        *(({"id": number}, envelope("u", row(number, sentences(4, f"row {number} changed")))) for number in range(3)),
        ({"id": 5}, envelope("d", before=row(5, None))),
        ({"id": 1}, envelope("u", row(1, sentences(2, "row 1 at last")))),
    ]
    for begin in (0, 4, 0, 7):
        for key, value in history[begin:]:
            stream.put(key, value)
        stream.flush()
    stream.drained()
    table = {f"docs/{number}" for number in range(5)}
    assert stream.texts().keys() == table
    assert "row 1 at last" in stream.texts()["docs/1"][0]
    status, report = asked(stream, "--all-vectors")
    assert (status, report["equal"], report["documents"]) == (0, True, 6)
    newest = {}
    for record in stream.records(stream.cdc):
        newest[json.loads(record.key)["id"]] = record.offset + 1
    for payload in stream.points().values():
        assert payload["version"] == newest[int(payload["doc_id"].removeprefix("docs/"))]


def test_misuse_is_said_with_status_two(new_stream):
    process = new_stream().command("audit", "--since", "2026-01-01")
    assert process.ended() == 2
    assert "--after-snapshot" in process.said()


def test_an_embedder_audits_at_leisure_and_counts_what_it_finds(new_stream):
    stream = new_stream(embedder={"flush_interval_s": 0.2, "audit_per_s": 500})
    stream.create()
    for number in range(4):
        stream.put({"id": number}, envelope("c", row(number, sentences(3, f"row {number}"), f"Row {number}")))
    running = stream.run(*ROLES).ready()
    stream.drained()
    seen = running.metric("audit_walks_total")
    wait_for(lambda: running.metric("audit_walks_total") > seen + 1, "a whole walk")
    assert running.metric("audit_points_total", outcome="equal") >= len(stream.points())
    assert running.metric("audit_differences_total") == 0
    running.stop()
    with closing(Wounds(stream.deployment())) as wounds:
        bent = wounds.live(1)[0]
        wounds.put(bent.id, bent.payload, -bent.vector.values)
        wounds.change(2, text="Nobody wrote this.")
    running = stream.run(*ROLES).ready()
    wait_for(lambda: running.metric("audit_walks_total") >= 2, "a whole walk")
    assert running.metric("audit_differences_total", kind="vector") >= 1
    assert running.metric("audit_differences_total", kind="changed") >= 1
    assert running.alive, "it is counted, and ends nothing"
