"""The audit finds each way of being damaged, and nothing else; a repair restores equality through the stream."""

import numpy as np
import pytest
from audit_world import PASSAGES, AuditedStream, Damage, whole, write_documents
from rich.console import Console
from stream_world import PLACE, delete, outgoing, revision

from compose.commands.audit import show
from operations.audit.auditing import Scope
from schemas import chunk_codec
from schemas.identity import document_point_id
from stream.errors import Fatal
from stream.ports import Outgoing

OTHER = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def stream():
    with AuditedStream() as made:
        write_documents(made)
        yield made


@pytest.fixture
def damage(stream):
    return Damage(stream.table)


def chunks(name, version=1):
    return [chunk.id for chunk in revision(f"docs/{name}", version, *PASSAGES, title=f"Herons {name}").chunks]


def told(report):
    return {(one.kind.value, one.doc_id, one.id) for one in report.differences}


def removed_point(damage, stream):
    damage.drop(chunks("a")[1])
    return "missing", "docs/a", chunks("a")[1]


def orphan(damage, stream):
    stored = damage.stored(chunks("b")[0])
    damage.write(OTHER, {**stored, "position": 7, "text": "Nobody wrote this."}, np.ones(8))
    return "orphaned", "docs/b", OTHER


def orphaned_document(damage, stream):
    damage.write(OTHER, {**damage.stored(chunks("b")[0]), "doc_id": "docs/nobody"}, np.ones(8))
    return "orphaned", "docs/nobody", OTHER


def stale_version(damage, stream):
    damage.change(chunks("c")[2], version=3)
    return "stale", "docs/c", chunks("c")[2]


def duplicate(damage, stream):
    damage.write(OTHER, damage.stored(chunks("d")[1]), np.ones(8))
    return "duplicated", "docs/d", OTHER


def damaged_vector(damage, stream):
    damage.vector(chunks("e")[0], np.arange(8))
    return "vector", "docs/e", chunks("e")[0]


def zeroed_vector(damage, stream):
    damage.vector(chunks("f")[1], np.zeros(8))
    return "vector", "docs/f", chunks("f")[1]


def lost_vector(damage, stream):
    damage.unvector(chunks("f")[2])
    return "vector", "docs/f", chunks("f")[2]


def changed_text(damage, stream):
    damage.change(chunks("g")[0], text="The heron sits in the water.")
    return "changed", "docs/g", chunks("g")[0]


def changed_span(damage, stream):
    damage.change(chunks("h")[0], span=[1, 9])
    return "changed", "docs/h", chunks("h")[0]


def changed_position(damage, stream):
    damage.change(chunks("h")[1], position=2)
    return "changed", "docs/h", chunks("h")[1]


def changed_field(damage, stream):
    damage.change(chunks("i")[0], section="fish")
    return "changed", "docs/i", chunks("i")[0]


def changed_document(damage, stream):
    damage.change(chunks("i")[1], doc_id="docs/m")
    return "changed", "docs/i", chunks("i")[1]


def live_chunk_marked(damage, stream):
    damage.write(chunks("j")[0], {"doc_id": "docs/j", "version": 19, "state": "removed"})
    damage.unvector(chunks("j")[0])
    return "missing", "docs/j", chunks("j")[0]


def lost_mark(damage, stream):
    damage.drop(document_point_id("docs/deleted"))
    return "mark", "docs/deleted", document_point_id("docs/deleted")


def mark_on_a_live_document(damage, stream):
    damage.write(document_point_id("docs/k"), {"doc_id": "docs/k", "version": 20, "state": "deleted"})
    return "mark", "docs/k", document_point_id("docs/k")


def deleted_document_back(damage, stream):
    damage.write(OTHER, {**damage.stored(chunks("b")[0]), "doc_id": "docs/deleted", "version": 42}, np.ones(8))
    return "orphaned", "docs/deleted", OTHER


DAMAGES = (
    removed_point,
    orphan,
    orphaned_document,
    stale_version,
    duplicate,
    damaged_vector,
    zeroed_vector,
    lost_vector,
    changed_text,
    changed_span,
    changed_position,
    changed_field,
    changed_document,
    live_chunk_marked,
    lost_mark,
    mark_on_a_live_document,
    deleted_document_back,
)


def test_an_index_that_the_stream_made_is_equal(stream):
    report = stream.audit()
    assert report.equal, report.differences
    assert (report.documents, report.chunks, report.live) == (16, 41, 41)
    assert report.vectors == 41


@pytest.mark.parametrize("inflict", DAMAGES, ids=lambda inflict: inflict.__name__)
def test_each_damage_is_found_alone_and_a_repair_restores_the_index(stream, damage, inflict):
    before = whole(stream.index)
    wanted = inflict(damage, stream)
    assert told(stream.audit()) == {wanted}
    report = stream.audit(repair=True)
    assert report.equal, report.differences
    assert {(one.kind.value, one.doc_id, one.id) for one in report.repaired} == {wanted}
    assert stream.audit().equal
    after = whole(stream.index)
    for point, (payload, vector) in before.items():
        assert after[point][0] == payload
        assert vector is None or np.dot(vector, after[point][1]) > 0.999
    assert all(payload["state"] != "live" for point, (payload, _) in after.items() if point not in before)


def test_all_damages_at_once_are_found_and_nothing_else(stream, damage):
    every = [one for one in DAMAGES if one not in (orphaned_document, duplicate, deleted_document_back)]
    wanted = {inflict(damage, stream) for inflict in every}
    assert told(stream.audit()) == wanted
    assert stream.audit(repair=True).equal
    assert stream.audit().equal


def test_the_repair_writes_to_the_chunk_topic_alone_under_a_key_of_its_own(stream, damage):
    removed_point(damage, stream)
    (end,) = stream.bus.topics().ends(PLACE.topic).values()
    stream.audit(repair=True)
    records, _ = stream.broker.log(PLACE).read(end, 100)
    (record,) = records
    assert chunk_codec.decode_key(record.key).version == 10
    event = chunk_codec.decode(record.value)
    assert (event.version, event.recompute) == (10, "docs__x__g1")


def test_a_revision_that_is_not_applied_yet_is_no_damage(stream):
    stream.publish(revision("docs/a", 100, "A new text."))
    assert stream.audit().equal
    assert stream.live["docs/a"] == ["A new text."]


def test_an_embedder_that_does_not_come_is_said_and_nothing_is_believed(stream):
    stream.publish(revision("docs/a", 100, "A new text."))
    stream.asleep = True
    with pytest.raises(Fatal, match=r"1 records behind the ends of kb\.chunks"):
        stream.audit()


def test_what_changes_between_the_two_looks_is_no_damage(stream, damage):
    removed_point(damage, stream)
    changes = iter([revision("docs/a", 100, "A new text.")])
    inner = stream.index.scroll

    def scroll(**more):
        yield from inner(**more)
        stream.publish(*changes)

    stream.index.scroll = scroll
    assert stream.audit().equal


def test_a_document_that_changes_during_every_look_is_unsettled_and_not_damaged(stream, damage):
    versions = iter(range(100, 1000))
    inner = stream.index.points

    def points(ids, **more):
        stream.publish(revision("docs/a", next(versions), "A text that does not come to rest."))
        found = inner(ids, **more)
        return [one for one in found if one.payload["doc_id"] != "docs/a"]

    removed_point(damage, stream)
    stream.index.points = points
    report = stream.audit(scope=Scope())
    assert report.equal
    assert report.unsettled == ["docs/a"]


def test_what_changes_while_it_is_told_is_looked_at_again(stream, damage):
    """The points are read for the last time when the difference is told: a revision that comes then is no damage."""
    removed_point(damage, stream)
    inner, looks = stream.index.points, []

    def points(ids, **more):
        if ids and ids[0] == chunks("a")[0] and document_point_id("docs/a") in ids:
            looks.append(ids)
            stream.publish(revision("docs/a", 100, *PASSAGES, "And comes back.", title="Herons a"))
            stream.drain()
        return inner(ids, **more)

    stream.index.points = points
    report = stream.audit(scope=Scope())
    assert looks
    assert (report.differences, report.unsettled) == ([], [])


def test_a_damaged_document_that_changes_while_others_are_told_is_repaired_like_any(stream, damage):
    removed_point(damage, stream)
    changed_text(damage, stream)
    inner, changes, calls = stream.index.points, [("a", 100), ("g", 101)], []

    def points(ids, **more):
        """The first while it is told itself; the other, told by then, while the first one is looked at again."""
        if calls or document_point_id("docs/a") in ids:
            calls.append(chunks("a")[1] in ids and chunks("g")[0] not in ids)
        if len(calls) == 1 or (changes and sum(calls) == 3):
            name, version = changes.pop(0)
            stream.publish(revision(f"docs/{name}", version, *PASSAGES, "And comes back.", title=f"Herons {name}"))
            stream.drain()
        return inner(ids, **more)

    stream.index.points = points
    report = stream.audit(repair=True)
    assert not changes
    assert report.equal, report.differences
    assert stream.audit().equal


def test_compaction_changes_nothing(stream, damage):
    stream.publish(revision("docs/a", 50, *PASSAGES), revision("docs/a", 60, "Short."))
    stream.drain()
    changed_text(damage, stream)
    stream.audit(repair=True)
    stream.broker.compact(PLACE.topic)
    assert stream.audit().equal
    assert stream.live["docs/a"] == ["Short."]


def test_other_chunkings_other_lineages_and_poison_are_passed_over(stream):
    mine = outgoing(revision("docs/a", 100, "Never to be read."))
    renamed = [(name, b"a" * 26 if name == "chunking" else value) for name, value in mine.headers]
    foreign = Outgoing(mine.partition, mine.key, mine.value, tuple(renamed))
    stream.publish(foreign, outgoing(revision("docs/b", 100, "Another life.", lineage="cdc-2/1+chunks-1/1")))
    stream.publish(Outgoing(mine.partition, mine.key, b"{", mine.headers))
    stream.drain()
    assert stream.audit().equal
    assert stream.letters


def test_where_compaction_took_the_last_good_revision_the_document_is_unknown(stream):
    mine = outgoing(revision("docs/a", 100, "Never to be read."))
    stream.publish(Outgoing(mine.partition, mine.key, b"{", mine.headers))
    stream.drain()
    stream.broker.compact(PLACE.topic)
    report = stream.audit(repair=True)
    assert report.equal
    assert report.unknown == ["docs/a"]
    assert stream.live["docs/a"] == list(PASSAGES)
    assert any("has lost its last good revision" in line for line in report.lines())


def test_where_the_topic_has_lost_its_beginning_a_document_without_a_record_is_unknown(stream):
    stream.broker.truncate(PLACE, 3)
    report = stream.audit(repair=True)
    assert report.equal, report.differences
    assert sorted(report.unknown) == ["docs/a", "docs/b", "docs/c"]
    assert stream.live["docs/a"] == list(PASSAGES)


def test_nothing_is_deleted_for_want_of_a_revision_where_the_topic_loses_its_beginning_meanwhile(stream, damage):
    orphaned_document(damage, stream)
    inner = stream.index.scroll

    def scroll(**more):
        yield from inner(**more)
        stream.broker.truncate(PLACE, 1)

    stream.index.scroll = scroll
    report = stream.audit(repair=True, scope=Scope())
    assert "has lost what lay below offset 1" in report.repair.left["docs/nobody"]
    assert "docs/nobody" in stream.live


def test_an_orphan_under_a_newer_mark_is_deleted_at_the_marks_version(stream, damage):
    """The mark was met by no difference, and yet a delete below it would be stale."""
    stored = damage.stored(chunks("b")[0])
    damage.write(OTHER, {**stored, "doc_id": "docs/nobody", "version": 11}, np.ones(8))
    damage.write(document_point_id("docs/nobody"), {"doc_id": "docs/nobody", "version": 77, "state": "deleted"})
    report = stream.audit(repair=True)
    assert report.equal, report.differences
    assert report.repair.published == {"docs/nobody": 77}
    assert "docs/nobody" not in stream.live
    assert stream.audit().equal


def test_a_name_cannot_write_a_line_or_a_sequence_of_its_own(stream, damage, capsys):
    stored = damage.stored(chunks("b")[0])
    damage.write(OTHER, {**stored, "doc_id": "docs/x\nequal\x1b[2J:heart:"}, np.ones(8))
    show(stream.audit(), Console(highlight=False, soft_wrap=True))
    said = capsys.readouterr().out
    assert "docs/x\\nequal\\x1b[2J:heart:" in said
    assert "equal" not in said.splitlines()


def test_a_version_that_the_topic_does_not_have_is_told_and_left(stream, damage):
    damage.change(chunks("a")[0], version=99)
    report = stream.audit(repair=True)
    assert {kind for kind, *_ in told(report)} == {"ahead"}
    assert "knows version 99" in report.repair.left["docs/a"]


def test_a_payload_that_no_planner_can_read_is_told_and_left(stream, damage):
    stored = damage.stored(chunks("a")[0])
    damage.write(chunks("a")[0], {name: value for name, value in stored.items() if name != "state"})
    report = stream.audit(repair=True)
    assert [(one.kind.value, one.id) for one in report.differences] == [("foreign", chunks("a")[0])]
    assert "by its own tools" in report.repair.left["docs/a"]


def test_a_sample_looks_at_so_many_vectors(stream):
    assert stream.audit(scope=Scope(sample=7)).vectors == 7
    assert stream.audit(scope=Scope(sample=0)).vectors == 0


def test_a_sampled_vector_is_repaired(stream, damage):
    damaged_vector(damage, stream)
    report = stream.audit(repair=True, scope=Scope(sample=41))
    assert [one.kind.value for one in report.repaired] == ["vector"]
    assert stream.audit().equal


def test_a_repeated_audit_with_little_room_finds_the_same(stream, damage):
    wanted = {changed_text(damage, stream), removed_point(damage, stream)}
    assert told(stream.audit(hold=1)) == wanted


def test_an_erased_document_is_equal(stream):
    stream.publish(Outgoing(PLACE, outgoing(delete("docs/deleted", 43)).key, None, ()))
    stream.drain()
    assert stream.audit().equal
    stream.broker.compact(PLACE.topic, drop_tombstones=True)
    assert stream.audit().equal


def test_another_collections_events_ask_nothing_of_this_one(stream):
    stream.publish(revision("docs/a", 10, *PASSAGES, title="Herons a", fields={"section": "birds"}, recompute="old"))
    stream.drain()
    assert stream.audit().equal
