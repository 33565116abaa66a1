from dataclasses import replace

import pytest
from chunker_world import CDC
from embedding_world import Loop, TroubledIndex, live_texts, memory_index
from erasing_world import CHUNKER, DOC, EMBEDDER, World, applied, only, stored
from letter_world import kept_row, row_record
from stream_world import CHUNKS, CONTRACT, LETTERS, PLACE, delete, outgoing, revision

from schemas import chunk_codec
from schemas.chunk_event import ERASED_HEADER
from schemas.identity import document_point_id
from stream.erasure import ERASED
from stream.errors import Outage
from stream.points import State
from stream.ports import Committed
from stream.republication import republished


def test_a_deleted_document_is_nulled_in_every_chunking_and_its_marks_stay():
    again = republished(CHUNKS, revision(DOC, 1, "alpha"), CONTRACT.header_fingerprint("docs"))
    world = World(revision(DOC, 1, "alpha"), revision("docs/2", 2, "beta"), again, delete(DOC, 3))
    report = world.erase()
    assert report.done
    erased = only(report)
    assert (erased.nulled, dict(erased.marked), erased.came_back) == (2, {}, 0)
    assert erased.known_by == "its last state is a delete at version 3 (kb.chunks [0] @3)"
    assert sorted(world.keys.values()) == [False, True, True]
    points = stored(world.loop.index)
    assert {point.state for point in points.values()} == {State.REMOVED, State.DELETED}


def test_erasing_again_does_nothing_more():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.erase()
    end = world.broker.log(PLACE).end
    assert only(world.erase()).nulled == 0
    world.broker.compact(CHUNKS.name, drop_tombstones=True)
    again = only(world.erase())
    assert (again.refused, again.nulled) == (None, 0)
    assert world.broker.log(PLACE).end == end


def test_a_document_that_lives_is_refused_with_what_is_known_of_it():
    world = World(revision(DOC, 1, "alpha"))
    report = world.erase()
    assert not report.done
    assert only(report).refused == (
        "docs/1 lives in its source: its last state is an upsert at version 1 (kb.chunks [0] @0); delete its row "
        "first."
    )
    assert set(world.keys.values()) == {False}
    assert report.remains == ()


def test_a_document_that_a_letter_says_was_changed_behind_its_delete_is_refused():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.letters = [kept_row(row_record("1", 1)), kept_row(row_record("1", 8), lineage="old")]
    erased = only(world.erase(dry_run=True))
    assert (erased.refused, erased.letters) == (None, 2)
    world.letters.append(kept_row(row_record("1", 8), offset=7))
    assert "the dead letter 0:7 is of version 9" in only(world.erase()).refused
    assert set(world.keys.values()) == {False}


def test_nothing_is_erased_while_the_chunker_has_not_read_its_source():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.broker.append(replace(outgoing(delete(DOC, 9)), partition=CDC))
    assert "The chunker has not read all of kb.docs yet" in only(world.erase()).refused
    world.broker.group(CHUNKER).committed[CDC] = Committed(1)
    assert world.erase().done


def test_nothing_is_erased_before_its_embedder_has_read_the_delete():
    world = World(revision(DOC, 1, "alpha"))
    world.loop.publish(delete(DOC, 3))
    refused = only(world.erase())
    assert "The embedder of docs__x__g1 has not read the delete of docs/1 yet" in refused.refused
    assert live_texts(world.loop.index) == {DOC: ["alpha"]}
    assert set(world.keys.values()) == {False}


def test_what_nobody_reads_for_is_marked_here_at_the_deletes_own_version():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    old = world.another("docs__y__g1", applied(revision(DOC, 1, "alpha", "beta")))
    empty = world.another("docs__z__g1", memory_index())
    erased = only(world.erase())
    assert dict(erased.marked) == {"docs__y__g1": 2}
    assert live_texts(old) == {}
    assert {point.version for point in stored(old).values()} == {3}
    # An old revision that is read later meets the delete.
    (own,) = stored(empty).values()
    assert (own.id, own.state, own.version) == (document_point_id(DOC), State.DELETED, 3)


def test_a_collection_of_topics_that_were_made_anew_is_marked_too():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    old = world.another("docs__y__g1", applied(revision(DOC, 900, "alpha", lineage="old")), docs="old")
    assert dict(only(world.erase()).marked) == {"docs__y__g1": 1}
    assert live_texts(old) == {}


def test_a_collection_that_knows_the_document_newer_refuses_it():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.another("docs__y__g1", applied(revision(DOC, 7, "alpha")))
    assert "docs__y__g1 holds version 7 of it" in only(world.erase()).refused
    assert set(world.keys.values()) == {False}


def test_what_came_back_while_its_keys_were_nulled_outlives_the_cleaner():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.meanwhile = lambda: world.loop.publish(revision(DOC, 7, "gamma"))
    erased = only(world.erase())
    assert (erased.nulled, erased.came_back) == (1, 1)
    world.broker.compact(CHUNKS.name, drop_tombstones=True)
    with Loop(broker=world.broker, index=TroubledIndex()) as other:
        world.loop.consumer.evict()
        world.broker.group(EMBEDDER).committed.clear()
        other.drain()
        assert other.live == {DOC: ["gamma"]}


def test_an_erasing_that_is_killed_before_its_nulls_is_finished_by_the_next():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))

    def away():
        raise Outage("no broker")

    world.meanwhile = away
    with pytest.raises(Outage):
        world.erase()
    assert only(world.erase()).nulled == 1


def test_a_dry_run_writes_nothing_anywhere():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    old = world.another("docs__y__g1", applied(revision(DOC, 1, "alpha")))
    report = world.erase(dry_run=True)
    assert (only(report).nulled, dict(only(report).marked), report.dry_run) == (1, {"docs__y__g1": 1}, True)
    assert live_texts(old) == {DOC: ["alpha"]}
    assert set(world.keys.values()) == {False}


def test_what_nobody_knows_is_told_so():
    assert "Nothing is known of docs/9" in only(World().erase("docs/9")).refused


def test_points_without_any_event_are_marked_at_their_newest_version_where_no_row_is_known():
    world = World(members=0)
    orphan = world.another("docs__y__g1", applied(revision(DOC, 4, "alpha")))
    assert dict(only(world.erase()).marked) == {"docs__y__g1": 1}
    assert {(point.version, point.state is State.LIVE) for point in stored(orphan).values()} == {(4, False)}


def test_keys_of_topics_that_were_made_anew_are_nulled_without_a_delete_to_stand_for():
    world = World(revision(DOC, 900, "alpha", lineage="old"))
    erased = only(world.erase())
    assert (erased.refused, erased.nulled) == (None, 1)
    null = world.broker.log(PLACE).read(0, 10)[0][-1]
    assert (null.value, null.headers, chunk_codec.decode_key(null.key).doc_id) == (
        None,
        ((ERASED_HEADER, ERASED),),
        DOC,
    )


def test_of_several_documents_each_has_its_own_end():
    world = World(revision(DOC, 1, "alpha"), revision("docs/2", 2, "beta"), delete(DOC, 3))
    report = world.erase(DOC, "docs/2", "docs/9")
    assert [each.refused is None for each in report.documents] == [True, False, False]


def test_what_is_left_is_read_from_the_topics_settings():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.letters = [kept_row(row_record("1", 1))]
    found = {one.topic: one for one in world.erase().remains}
    assert set(found) == {CHUNKS.name, CDC.topic, LETTERS.topic}
    assert found[CDC.topic].until_ms == 5_000 + 1_000 + 7 * 24 * 3_600_000
    assert found[LETTERS.topic].what == "1 dead letter"


def test_a_source_whose_topic_is_gone_is_refused():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.lineages = {}
    assert "does not exist, so nothing is known" in only(world.erase()).refused
