"""A source joins a running deployment, and its processes learn of it one by one, in whatever order."""

from dataclasses import replace

import pytest
from joining_world import CHUNKER, DOCS_SOURCE, EMBEDDER, NEW, OLD, WIKI_SOURCE, ChunkerProcess, JoiningWorld

from consumers.chunker import _RECOMMIT_LINEAGE_S
from stream.claim import claim_of
from stream.errors import Fatal, Outage
from stream.lineage import from_metadata
from stream.ports import Partition


@pytest.fixture
def world():
    made = JoiningWorld()
    yield made
    made.close()


def running(world):
    """The deployment before: one chunker, one embedder, three documents."""
    chunker, embedder = world.chunker(OLD), world.embedder(OLD)
    for number in range(3):
        world.write(DOCS_SOURCE, str(number), f"doc {number}")
    world.drain()
    return chunker, embedder


def five_pages(world):
    for number in range(5):
        world.write(WIKI_SOURCE, str(number), f"page {number}")


def five_pages_that_the_embedder_dropped(world):
    """The chunker knows the new source, the embedder does not. Gives the embedder."""
    chunker, embedder = running(world)
    world.end(chunker)
    world.chunker(NEW)
    five_pages(world)
    world.drain()
    return embedder


def test_the_chunker_knows_it_first_and_the_embedder_drops_its_events_until_it_is_restarted(world):
    embedder = five_pages_that_the_embedder_dropped(world)
    assert world.texts.keys() == {"docs/0", "docs/1", "docs/2"}
    world.end(embedder)
    world.embedder(NEW)
    world.drain()
    assert world.texts == world.table


def test_the_embedder_knows_it_first(world):
    chunker, embedder = running(world)
    world.end(embedder)
    world.embedder(NEW)
    five_pages(world)
    world.turn()
    world.end(chunker)
    world.chunker(NEW)
    world.drain()
    assert world.texts == world.table


def test_an_embedder_that_is_not_restarted_learns_of_it_from_the_collection(world):
    five_pages_that_the_embedder_dropped(world)
    world.end(world.embedder(NEW))
    world.write(WIKI_SOURCE, "late", "a last page")
    for _ in range(5):
        world.turn()
    world.drain()
    assert world.texts == world.table


def test_an_embedder_that_asked_too_early_learns_of_it_though_nothing_more_comes(world):
    """It let the new source's events pass before another embedder joined the source."""
    five_pages_that_the_embedder_dropped(world)
    world.embedder(NEW)
    world.drain()
    assert world.texts == world.table


def test_of_two_embedders_the_old_one_hands_its_partition_to_the_new_one(world):
    chunker, old = running(world)
    world.end(chunker)
    world.chunker(NEW)
    old.embedder._parts = replace(old.embedder._parts, admitted=None)
    five_pages(world)
    world.drain()
    world.embedder(NEW)
    world.drain()
    world.end(old, kill=True)
    world.drain()
    assert world.texts == world.table


def test_reading_again_for_a_source_embeds_and_letters_nothing_of_the_others_again(world):
    chunker, embedder = running(world)
    world.write(DOCS_SOURCE, "1", None)
    world.bus.producer().send([world.garbage()])
    world.end(chunker)
    world.chunker(NEW)
    five_pages(world)
    world.drain()
    assert len(world.letters) == 1
    before = dict(world.stored)
    world.end(embedder)
    again = world.embedder(NEW)
    world.drain()
    assert len(world.letters) == 1
    assert {id_: payload for id_, payload in world.stored.items() if id_ in before} == before
    assert again.counted("events", outcome="ignored") >= 4


def test_a_member_killed_while_it_reads_again_leaves_the_rest_to_its_successor(world):
    embedder = five_pages_that_the_embedder_dropped(world)
    world.end(embedder)
    dying = world.embedder(NEW)
    for _ in range(2):
        dying.turn()
    world.end(dying, kill=True)
    world.embedder(NEW)
    world.drain()
    assert world.texts == world.table


def test_every_committed_offset_says_of_which_sources(world):
    chunker, embedder = running(world)
    for process in (chunker, embedder):
        world.end(process)
    world.chunker(NEW)
    admitted = set(world.embedder(NEW).collection.admission.sources)
    five_pages(world)
    world.drain()
    committed = world.bus.topics().committed(EMBEDDER, world.chunk_partitions)
    assert all(set(claim_of(place).done) == admitted for place in committed.values())
    assert all(claim_of(place).start(admitted) == place.offset for place in committed.values())


def test_an_offset_that_somebody_else_committed_claims_nothing_and_all_is_read_again(world):
    _, embedder = running(world)
    world.end(embedder)
    group = world.broker.group(EMBEDDER)
    group.committed = {
        place: type(committed)(committed.offset) if place.topic == "kb.chunks" else committed
        for place, committed in group.committed.items()
    }
    world.embedder(OLD)
    world.drain()
    assert world.texts == world.table


# --- The chunkers ---------------------------------------------------------------------------------------------------


def followed(world):
    place = Partition("kb.chunks", 0)
    return set(from_metadata(world.bus.topics().committed(CHUNKER, [place]).get(place)).lineages)


def forget_others(chunker):
    """As it is in the moment before it looks again, when another member has just spoken."""
    chunker.watch._known = chunker.watch._stored = from_metadata(None)
    chunker.watch._due = chunker.clock.seconds + 2.5


def test_chunkers_that_know_different_sources_keep_each_others_lineage(world):
    old, new = world.chunker(OLD), world.chunker(NEW)
    for number in range(6):
        world.write(DOCS_SOURCE, str(number), f"doc {number}")
        world.write(WIKI_SOURCE, str(number), f"page {number}")
        world.turn()
    # The old one speaks last, and only of what it knew before the other one spoke.
    forget_others(old)
    world.write(DOCS_SOURCE, "9", "doc 9")
    old.chunker.turn(old.consumer, old.producer, 5, 0.0)
    world.turn()
    world.turn()
    assert followed(world) == {"docs", "wiki"}
    assert all(each.clock.seconds < _RECOMMIT_LINEAGE_S for each in (old, new))


def test_a_source_whose_lineage_was_written_over_goes_on_where_it_was(world):
    new = world.chunker(NEW)
    world.write(WIKI_SOURCE, "1", "page")
    world.write(DOCS_SOURCE, "1", "doc")
    world.turn()
    world.end(new, kill=True)
    old = world.chunker(OLD)
    old.turn()
    world.write(DOCS_SOURCE, "2", "doc")
    forget_others(old)
    old.chunker.turn(old.consumer, old.producer, 5, 0.0)
    world.end(old, kill=True)
    assert followed(world) == {"docs"}
    world.chunker(NEW)
    world.embedder(NEW)
    world.drain()
    assert world.texts == world.table
    assert followed(world) == {"docs", "wiki"}


def test_a_changed_mapping_of_a_source_that_joined_is_fatal(world):
    world.chunker(NEW)
    five_pages(world)
    world.turn()
    place = Partition("kb.chunks", 0)
    headers = from_metadata(world.bus.topics().committed(CHUNKER, [place])[place]).headers
    assert headers.keys() == {"docs", "wiki"}
    changed = ChunkerProcess(world, NEW, "other")
    changed.watch._headers = {**headers, "wiki": "z" * 26}
    with pytest.raises(Fatal, match="'wiki': its text mapping"):
        changed.watch.start()
    changed.kill()


def test_paused_partitions_are_read_again_as_well(world):
    """A backlog above its bound when the news comes: what waits is let go and read anew, and nothing stays paused."""
    old = five_pages_that_the_embedder_dropped(world)
    world.end(world.embedder(NEW))
    old.embedder._parts = replace(old.embedder._parts, backlog_tokens=1)
    for number in range(6):
        world.write(WIKI_SOURCE, f"late {number}", " ".join(["a page that comes late"] * 5))
        world.write(DOCS_SOURCE, f"late {number}", " ".join(["a text that comes late"] * 5))
    world.drain()
    assert world.texts == world.table


class Unreachable:
    """A consumer whose broker is away when it is asked to read again."""

    def __init__(self, consumer):
        self._consumer = consumer

    def rewind(self, _offsets):
        raise Outage("no broker")

    def __getattr__(self, name):
        return getattr(self._consumer, name)


def test_a_partition_that_cannot_be_read_again_ends_the_process(world):
    """Going on would commit behind what was not read."""
    old = five_pages_that_the_embedder_dropped(world)
    world.end(world.embedder(NEW))
    old.embedder._consumer = Unreachable(old.consumer)
    world.write(WIKI_SOURCE, "late", "page")
    with pytest.raises(Fatal, match="cannot be read again for a source that joined"):
        world.drain()
    world.end(old, kill=True)
    world.embedder(NEW)
    world.drain()
    assert {**world.texts} == world.table
