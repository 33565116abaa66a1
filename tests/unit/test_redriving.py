from dataclasses import replace

import pytest
from chunker_world import World, row
from embedding_world import GROUP, Loop, TroubledEncoder, TroubledIndex
from letter_world import REDRIVE, SOURCES
from stream_world import CHUNKS, LETTERS, PLACE, Sent, delete, revision

from operations.dead_letters.reading import Letters, whole
from operations.dead_letters.redriving import Redriving
from stream.errors import Outage
from stream.framed import NoRegistry
from stream.letter_selection import Selection
from stream.ports import Outgoing, Partition, Record

BOX = Partition(LETTERS.topic, 0)


def letters_in(broker):
    return Letters(lambda: broker.log(BOX).read(0, 1_000)[0], SOURCES, NoRegistry())


def redriven(broker, index, producer, redrive=REDRIVE, **given):
    def fetch(place, offset):
        found, _ = broker.log(place).read(offset, 1)
        return found[0] if found else None

    redriving = Redriving(redrive, fetch, NoRegistry(), index, producer)
    return list(redriving.run(letters_in(broker).selected(Selection.written(**given))))


def told(outcomes):
    return [(each.kept.document, each.what) for each in outcomes]


def broken_event():
    """An embedder whose model makes NaN of one text; the letter lies there, the offset is committed."""
    encoder = TroubledEncoder(nan="broken")
    loop = Loop(encoder=encoder)
    loop.publish(revision("docs/1", 4, "alpha"), revision("docs/1", 5, "broken"), revision("docs/2", 6, "beta"))
    return loop, encoder


def test_a_letter_is_applied_once_what_it_failed_by_is_mended_and_twice_changes_nothing():
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        assert loop.live == {"docs/1": ["alpha"], "docs/2": ["beta"]}
        encoder.nan = None
        assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "published")]
        loop.drain()
        assert loop.live == {"docs/1": ["broken"], "docs/2": ["beta"]}
        asked = list(encoder.asked)
        assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "applied")]
        loop.drain()
        assert loop.live == {"docs/1": ["broken"], "docs/2": ["beta"]}
        assert encoder.asked == asked


def test_redriving_twice_at_once_publishes_twice_and_leaves_the_same_index():
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        encoder.nan = None
        encoder.asked.clear()
        for _ in range(2):
            assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "published")]
        loop.drain()
        assert loop.live["docs/1"] == ["broken"]
        assert encoder.asked.count("broken") == 1


def test_a_redriven_letter_that_fails_again_is_a_letter_that_counts_its_attempts():
    loop, _ = broken_event()
    with loop:
        loop.drain()
        for attempt in (1, 2, 3):
            redriven(loop.broker, loop.index, loop.producer)
            loop.drain()
            last = list(letters_in(loop.broker).selected(Selection()))[-1]
            assert (last.attempt, last.letter.version) == (attempt, 5)


def test_a_document_that_moved_on_is_told_and_nothing_is_published():
    loop, encoder = broken_event()
    with loop:
        loop.publish(revision("docs/1", 7, "newer"))
        loop.drain()
        encoder.nan = None
        end = loop.bus.topics().ends(CHUNKS.name)[PLACE]
        assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "stale")]
        assert loop.bus.topics().ends(CHUNKS.name)[PLACE] == end


def test_a_revision_that_is_published_in_ignorance_of_a_newer_one_is_dropped_by_the_owner():
    """The newer revision lies in the topic and is not applied when the letter is judged."""
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        encoder.nan = None
        loop.publish(delete("docs/1", 7))
        assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "published")]
        loop.drain()
        assert loop.live == {"docs/2": ["beta"]}


def test_compaction_never_prefers_a_redriven_revision_to_a_newer_one():
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        encoder.nan = None
        loop.publish(revision("docs/1", 7, "newer"))
        redriven(loop.broker, loop.index, loop.producer)
        loop.drain()
        loop.broker.compact(CHUNKS.name)
        loop.consumer.evict()
        loop.broker.group(GROUP).committed.clear()
    with Loop(broker=loop.broker, index=TroubledIndex()) as replay:
        replay.drain()
        assert replay.live == {"docs/1": ["newer"], "docs/2": ["beta"]}


def test_a_row_goes_into_the_chunk_topic_and_never_into_its_own():
    world = World().start()
    large = replace(CHUNKS, max_event_bytes=300)
    world.chunker._parts = replace(world.chunker._parts, chunks=large)
    world.write(row("1", "word " * 90), row("2", "Beta."))
    world.turn()
    assert [event.doc_id for event in world.events] == ["docs/2"]
    ends = world.bus.topics().ends("kb.docs")
    here = replace(REDRIVE, lineages={"docs": world.watch.of("docs")})
    refused = redriven(world.broker, None, world.bus.producer(), replace(here, chunks=large))
    assert told(refused) == [("docs/1", "refused")]
    assert told(redriven(world.broker, None, world.bus.producer(), here)) == [("docs/1", "published")]
    event = world.events[-1]
    assert (event.doc_id, event.version, event.attempt) == ("docs/1", 1, 1)
    assert world.bus.topics().ends("kb.docs") == ends


def test_a_letter_too_small_for_its_value_fetches_the_original_and_knows_it_again():
    world = World().start()
    world.chunker._parts = replace(
        world.chunker._parts,
        chunks=replace(CHUNKS, max_event_bytes=300),
        letterbox=replace(LETTERS, max_bytes=100),
    )
    world.write(row("1", "word " * 90))
    world.turn()
    (kept,) = letters_in(world.broker).selected(Selection())
    assert kept.letter.value is None
    here = replace(REDRIVE, lineages={"docs": world.watch.of("docs")})
    assert told(redriven(world.broker, None, world.bus.producer(), here)) == [("docs/1", "published")]
    assert len(world.events) == 1
    assert whole(kept, lambda _place, _offset: None) is None
    assert whole(kept, lambda place, offset: Record(place, offset, b"1", b"something else")) is None


def test_an_original_that_is_gone_is_told():
    world = World().start()
    world.chunker._parts = replace(world.chunker._parts, letterbox=replace(LETTERS, max_bytes=1))
    world.write(row("1", 5), row("2", "Beta."))
    world.turn()
    world.broker.truncate(Partition("kb.docs", 0), 1)
    here = replace(REDRIVE, lineages={"docs": world.watch.of("docs")})
    (outcome,) = redriven(world.broker, None, world.bus.producer(), here)
    assert (outcome.what, "is gone" in outcome.sentence) == ("refused", True)


def test_a_dry_run_publishes_nothing_and_tells_what_would_be():
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        encoder.nan = None
        end = loop.bus.topics().ends(CHUNKS.name)[PLACE]
        (outcome,) = redriven(loop.broker, loop.index, None)
        assert (outcome.what, "would be published" in outcome.sentence) == ("published", True)
        assert loop.bus.topics().ends(CHUNKS.name)[PLACE] == end


def test_an_outage_ends_the_redrive_and_it_can_be_made_again():
    loop, encoder = broken_event()
    with loop:
        loop.drain()
        encoder.nan = None
        with pytest.raises(Outage):
            redriven(loop.broker, loop.index, Sent([Outage("no broker")]))
        assert told(redriven(loop.broker, loop.index, loop.producer)) == [("docs/1", "published")]


def test_what_is_no_letter_is_passed_over():
    loop, _ = broken_event()
    with loop:
        loop.drain()
        loop.broker.append(Outgoing(BOX, b"k", b"somebody else's"))
        letters = letters_in(loop.broker)
        assert len(list(letters.selected(Selection()))) == 1


def test_nothing_is_meant_where_nothing_is_selected():
    loop, _ = broken_event()
    with loop:
        loop.drain()
        assert redriven(loop.broker, loop.index, loop.producer, kinds=["other"]) == []
