"""Erasing while others write to the same document, and what of it is remembered when every null is gone."""

from dataclasses import replace

import pytest
from chunker_world import CDC, row
from embedding_world import Loop, TroubledEncoder, TroubledIndex, live_texts
from erasing_world import BOX, DOC, EMBEDDER, World, applied, only
from letter_world import REDRIVE, SOURCES, kept_event, kept_row, row_record
from stream_world import CHUNKS, CONTRACT, PLACE, delete, outgoing, revision

from operations.dead_letters.reading import Letters
from operations.dead_letters.redriving import Redriving
from schemas.erasure_note import ErasureNote, decode, encode
from schemas.identity import Version
from schemas.malformed import Malformed
from stream.errors import Outage
from stream.framed import NoRegistry
from stream.letter_selection import Selection
from stream.ports import Outgoing, Partition
from stream.republication import republished

CHUNKING = CONTRACT.header_fingerprint("docs")


def again(event):
    return republished(CHUNKS, event, CHUNKING)


def replayed(world):
    """What an embedder of a new generation makes of the topic, once the cleaner has been there."""
    world.broker.compact(CHUNKS.name, drop_tombstones=True)
    with Loop(broker=world.broker, index=TroubledIndex()) as other:
        world.loop.consumer.evict()
        world.broker.group(EMBEDDER).committed.clear()
        other.drain()
        return other.live


def test_a_run_that_was_killed_behind_its_nulls_is_finished_by_the_next_though_the_document_lives():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.meanwhile = lambda: world.loop.publish(revision(DOC, 7, "gamma"))
    world.dies_after = 2  # the note and the nulls are written, what came back is not
    with pytest.raises(Outage):
        world.erase()
    refused = only(world.erase())
    assert "docs/1 lives in its source" in refused.refused
    assert refused.came_back == 1
    assert only(world.erase()).came_back == 0
    assert replayed(world) == {DOC: ["gamma"]}


def opened(world, event):
    """A transaction that holds this, and what commits it."""
    epoch = world.broker.open_transactional("chunker")
    world.broker.append_in_transaction("chunker", epoch, outgoing(event))
    return lambda: world.broker.end_transaction("chunker", epoch, committed=True)


def test_a_transaction_that_was_open_when_the_nulls_were_written_loses_nothing():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    commits = []

    def patience(done):
        if not done() and commits:
            commits.pop()()
        return done()

    world.patience = patience
    world.meanwhile = lambda: commits.append(opened(world, revision(DOC, 7, "gamma")))
    erased = only(world.erase())
    assert (erased.nulled, erased.came_back, erased.unfinished) == (1, 1, None)
    assert replayed(world) == {DOC: ["gamma"]}


def test_a_transaction_that_stays_open_is_told_of_and_the_next_run_brings_its_revision_back():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    commits = []
    world.meanwhile = lambda: commits.append(opened(world, revision(DOC, 7, "gamma")))
    report = world.erase()
    assert not report.done
    assert "stays open behind the nulls" in only(report).unfinished
    assert "is still open" in only(world.erase()).refused
    commits.pop()()
    assert only(world.erase()).came_back == 1
    assert replayed(world) == {DOC: ["gamma"]}


def test_an_old_revision_that_a_redrive_publishes_meanwhile_is_nulled_too():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.meanwhile = lambda: world.loop.publish(again(revision(DOC, 1, "alpha")))
    assert only(world.erase()).nulled == 2
    assert set(world.keys.values()) == {True}
    assert replayed(world) == {}


def test_whoever_goes_on_writing_old_revisions_is_told_of():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.always = lambda: world.loop.publish(again(revision(DOC, 1, "alpha")))
    assert "still being written to" in only(world.erase()).unfinished


def test_keys_in_partitions_of_a_smaller_topic_are_nulled_where_they_stand():
    world = World(partitions=4)
    places = [Partition(CHUNKS.name, number) for number in range(4)]
    at = replace(CHUNKS, partitions=4).outgoing(delete(DOC, 3), CHUNKING, None).partition
    elsewhere = next(place for place in places if place != at)
    world.loop.publish(replace(outgoing(revision(DOC, 1, "alpha", lineage="old")), partition=elsewhere))
    world.loop.publish(replace(outgoing(delete(DOC, 3)), partition=at))
    world.members = {}
    erased = only(world.erase())
    assert (erased.refused, erased.nulled) == (None, 2)
    assert [world.broker.log(place).read(0, 10)[0][-1].value for place in (at, elsewhere)] == [None, None]


# --- what the chunk topic does not tell ---


def test_a_document_whose_only_revision_is_a_dead_letter_is_refused():
    world = World()
    world.row(row("1", 7))
    world.letters = [kept_row(row_record("1", 0))]
    assert "docs/1 lives in its source" in only(world.erase()).refused
    assert "the last record of its row is no delete (kb.docs [0] @0)" in only(world.erase()).refused


def test_a_dead_letter_without_any_delete_that_is_newer_is_refused_though_its_row_went_by_retention():
    world = World()
    world.letters = [kept_row(row_record("1", 8))]
    refused = only(world.erase()).refused
    assert "may live in its source: the dead letter 0:0 is of version 9, and no newer delete is known" in refused


def test_the_delete_of_a_row_is_known_by_the_cdc_topic_when_its_nulls_are_gone():
    world = World()
    world.row(row("1", 7), Outgoing(CDC, b"1", None))
    world.letters = [kept_row(row_record("1", 0))]
    erased = only(world.erase())
    assert (erased.refused, erased.known_by) == (None, "the last record of its row is a delete (kb.docs [0] @1)")
    assert set(world.notes().values()) == {2}


def test_a_row_that_came_back_as_poison_when_the_nulls_were_gone_is_refused():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.erase()
    world.broker.compact(CHUNKS.name, drop_tombstones=True)
    world.letters = [kept_row(row_record("1", 9))]
    assert "may live" in only(world.erase()).refused


def test_points_of_a_topic_that_lost_its_beginning_are_no_orphans():
    world = World(revision(DOC, 1, "alpha"))
    world.broker.truncate(PLACE, 1)
    assert "has lost its beginning" in only(world.erase()).refused
    assert live_texts(world.loop.index) == {DOC: ["alpha"]}


# --- what is remembered ---


def redriven(world):
    letters = Letters(lambda: world.broker.log(BOX).read(0, 100)[0], SOURCES, NoRegistry())
    redrive = replace(REDRIVE, erased=letters.erased())
    redriving = Redriving(redrive, lambda *_: None, NoRegistry(), None, world.loop.producer)
    return [(each.what, each.sentence) for each in redriving.run(letters.selected(Selection()))]


def test_a_redrive_brings_nothing_back_when_deletes_nulls_and_marks_are_gone():
    world = World(encoder=TroubledEncoder(nan="broken"))
    with world.loop:
        world.loop.publish(revision(DOC, 1, "broken"), delete(DOC, 3))
        world.loop.drain()
    assert redriven(world)[0][0] == "published"
    assert world.erase().done
    world.broker.compact(CHUNKS.name, drop_tombstones=True)
    assert redriven(world) == [("refused", "Its document was erased since, up to version 3.")]
    assert replayed(world) == {}


def test_a_revision_that_is_newer_than_the_erasure_is_redriven():
    world = World(revision(DOC, 1, "alpha"), delete(DOC, 3))
    world.erase()
    redrive = replace(REDRIVE, erased=world.notes())
    for version, refused in ((3, True), (4, False)):
        found = redrive.revision(kept_event(revision(DOC, version, "alpha")), None)
        assert (getattr(redrive.decided(found, ()), "what", None) == "refused") == refused


def test_a_note_says_what_it_was_given_and_nothing_else_is_one():
    note = ErasureNote(DOC, "lineage", Version(3))
    key, headers = encode(note)
    assert decode(key, None, headers) == note
    for other in (
        (key, b"text", headers),
        (None, None, headers),
        (b"7", None, headers),
        (key, None, headers[1:]),
        (key, None, (*headers, headers[0])),
        (key, None, (*headers[:1], (headers[1][0], b"-1"), *headers[2:])),
        (key, None, ((headers[0][0], b"2"), *headers[1:])),
        (key, None, (*headers[:2], (headers[2][0], b"\xff"))),
    ):
        with pytest.raises(Malformed):
            decode(*other)


def test_an_orphan_is_marked_above_a_delete_that_is_known_only_from_its_row():
    world = World(members=0)
    world.row(*[Outgoing(CDC, b"1", None)] * 8)
    index = world.another("docs__y__g1", applied(revision(DOC, 4, "alpha")))
    assert dict(only(world.erase()).marked) == {"docs__y__g1": 1}
    assert {point.version for point in index.read([DOC])[DOC]} == {8}
