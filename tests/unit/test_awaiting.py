"""Reading one's own writes: what counts as applied, by the index and by the bus in memory."""

import pytest
from index_world import FIELDS, SPEC, mark, put, touch

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.memory.index import MemoryCatalog
from schemas.identity import DocId, Fingerprint, Version
from serving.awaiting import (
    PAUSE_S,
    AppliedOnTheBus,
    DocumentVersion,
    NotYet,
    SourceOffset,
    WaitFor,
    look_for,
    wait_until_applied,
)
from stream.claim import Claim
from stream.errors import Misuse
from stream.filter import equals
from stream.points import State
from stream.ports import Committed, Outgoing, Partition

DOCS, OTHER = Fingerprint("docs-header"), Fingerprint("other-header")
ABSENT = "Document docs/1 is not in the index"
CDC, CHUNKS = Partition("cdc", 1), Partition("chunks", 0)


# --- a document's version


@pytest.fixture
def index():
    catalog = MemoryCatalog()
    catalog.create("docs", SPEC, FIELDS, {})
    return catalog.open("docs")


def there(index, version):
    wait = WaitFor(DocumentVersion(DocId("docs/1"), Version(version)), 1)
    return look_for(wait, index, None)()


def test_a_document_that_is_not_there_is_waited_for(index):
    assert there(index, 1) == NotYet(f"{ABSENT}; version 1 is not wholly applied yet.", None)


def test_a_version_is_there_once_it_or_a_newer_one_is(index):
    index.write([put("a", 3, count=1)])
    assert there(index, 2) is None
    assert there(index, 3) is None
    assert there(index, 4) == NotYet("Document docs/1 is at version 3; version 4 is not wholly applied yet.", 3)


@pytest.mark.parametrize("state", [State.REMOVED, State.DELETED])
def test_a_mark_is_a_version_too(index, state):
    index.write([put("a", 3, count=1), mark("a", 4, state=state)])
    assert there(index, 4) is None


def test_a_revision_is_there_only_when_nothing_of_an_older_one_can_be_found(index):
    index.write([put("kept", 3, count=2), put("gone", 3, count=2)])
    index.write([put("new", 4, count=2)])
    assert there(index, 4).reached == 4
    index.write([touch(["kept"], 4)])
    assert there(index, 4).reached == 4
    index.write([mark("gone", 4)])
    assert there(index, 4) is None
    assert there(index, 3) is None


def test_a_revision_is_there_only_with_all_its_passages(index):
    index.write([put("a", 3, count=3), put("b", 3, count=3)])
    assert there(index, 3) is not None
    index.write([put("c", 3, count=3)])
    assert there(index, 3) is None


def test_old_marks_and_other_documents_do_not_count(index):
    index.write([mark("long gone", 1), put("a", 3, count=1), put("b", 9, doc="docs/2", count=1)])
    assert there(index, 3) is None
    assert there(index, 4) is not None


def test_a_document_that_the_waiter_may_not_see_is_as_one_that_is_not_there(index):
    index.write([put("a", 3, count=1, tenant="acme")])

    def seen_by(tenant, version=3):
        change = DocumentVersion(DocId("docs/1"), Version(version))
        return look_for(WaitFor(change, 1, among=equals("tenant", tenant)), index, None)()

    assert seen_by("acme") is None
    assert seen_by("acme", 4).reached == 3
    assert seen_by("other") == NotYet(f"{ABSENT}; version 3 is not wholly applied yet.")
    index.write([put("b", 4, count=1, tenant="other"), mark("a", 4, tenant="other")])
    assert seen_by("other", 4) is None
    assert seen_by("acme", 4) == NotYet(f"{ABSENT}; version 4 is not wholly applied yet."), "by the newest write"
    index.write([mark("b", 5, state=State.DELETED, tenant="other")])
    assert seen_by("other", 5) is None


# --- an offset of the source


class Owner:
    def on_assigned(self, partitions, committed):
        pass

    def on_revoked(self, partitions):
        pass

    def on_lost(self, partitions):
        pass


class World:
    """The topics, and members of both groups that commit what a test says."""

    def __init__(self):
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.topics = self.bus.topics()
        self.topics.create("cdc", 2, 1, {})
        self.topics.create("chunks", 2, 1, {})
        self.members = {}
        for group, topic in (("chunker", "cdc"), ("embedder", "chunks")):
            self.members[group] = self.bus.consumer(group, [topic], Owner())
            self.members[group].poll(1, 0)

    def commit(self, group, place, committed):
        assert list(self.members[group].commit({place: committed})) == [place]

    def publish(self, place, count=1):
        self.bus.producer().send([Outgoing(place, b"k", b"v")] * count)

    def look(self, offset=4, source="docs", partition=1):
        applied = AppliedOnTheBus(
            lambda: self.topics,
            sources={"docs": "cdc", "other": "cdc"},
            accepted={"docs": DOCS, "other": OTHER},
            chunk_topic="chunks",
            chunker_group="chunker",
            embedder_group="embedder",
        )
        return look_for(WaitFor(SourceOffset(source, partition, offset), 1), None, applied)


@pytest.fixture
def world():
    return World()


def claimed(offset, *headers):
    return Claim().at(offset, headers or [DOCS]).committed(offset)


def test_an_offset_is_applied_once_both_groups_are_behind_it(world):
    look = world.look()
    assert look() == NotYet("Offset 4 of partition 1 of source 'docs' is not applied yet.")
    world.publish(CHUNKS)
    world.commit("chunker", CDC, Committed(4))
    assert look() is not None, "the chunkers are before it"
    world.commit("chunker", CDC, Committed(5))
    assert look() is not None, "its event is published and not applied"
    world.commit("embedder", CHUNKS, claimed(1))
    assert look() is None


def test_a_chunker_that_stands_before_the_offset_has_not_read_it(world):
    """A change of which nothing was published is applied too, but only once it was read."""
    world.commit("chunker", CDC, Committed(4))
    assert world.look()() is not None
    world.commit("chunker", CDC, Committed(5))
    assert world.look()() is None


def test_events_that_are_published_later_are_not_waited_for(world):
    look = world.look()
    world.publish(CHUNKS)
    world.commit("chunker", CDC, Committed(5))
    assert look() is not None
    world.publish(CHUNKS, 7)
    world.publish(Partition("chunks", 1), 7)
    world.commit("embedder", CHUNKS, claimed(1))
    assert look() is None
    assert world.look()() is not None, "whoever looks for the first time now notes the ends of now"


def test_every_partition_of_the_chunk_topic_counts_and_an_empty_one_asks_nothing(world):
    world.publish(CHUNKS)
    world.publish(Partition("chunks", 1))
    world.commit("chunker", CDC, Committed(5))
    look = world.look()
    world.commit("embedder", CHUNKS, claimed(1))
    assert look() is not None
    world.commit("embedder", Partition("chunks", 1), claimed(1))
    assert look() is None


def test_an_embedder_that_does_not_know_the_source_says_nothing_of_it(world):
    world.publish(CHUNKS)
    world.commit("chunker", CDC, Committed(5))
    world.commit("embedder", CHUNKS, claimed(1, OTHER))
    assert world.look()() is not None
    assert world.look(source="other")() is None


def test_a_record_in_an_open_transaction_is_waited_for(world):
    """Each partition gets the marker of a transaction by itself, so what is committed may not be readable yet."""
    epoch = world.broker.open_transactional("id")
    world.broker.append_in_transaction("id", epoch, Outgoing(CHUNKS, b"k", b"v"))
    world.commit("chunker", CDC, Committed(5))
    look = world.look()
    assert look() is not None
    world.broker.end_transaction("id", epoch, committed=True)
    assert look() is not None
    world.commit("embedder", CHUNKS, claimed(2))
    assert look() is None


def test_an_unknown_source_or_partition_is_refused(world):
    with pytest.raises(Misuse, match=r"wait_for\.source is 'dogs', which is no source; did you mean 'docs'"):
        world.look(source="dogs")
    with pytest.raises(Misuse, match=r"wait_for\.partition is 2, .* partitions 0 to 1"):
        world.look(partition=2)


def test_without_the_bus_an_offset_is_refused_and_says_what_can_be_waited_for():
    with pytest.raises(Misuse, match="wait for a document's version"):
        look_for(WaitFor(SourceOffset("docs", 0, 1), 1), None, None)


# --- the deadline


class Clock:
    """Time that passes by pauses alone."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def monotonic(self):
        return self.now

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def test_it_looks_until_it_is_there():
    clock, outcomes = Clock(), [NotYet("no"), NotYet("no"), None]
    assert wait_until_applied(lambda: outcomes.pop(0), 5, clock.monotonic, clock.pause) is None
    assert clock.pauses == [PAUSE_S, PAUSE_S]


def test_it_gives_up_at_the_deadline_with_the_last_outcome():
    clock = Clock()
    outcome = wait_until_applied(lambda: NotYet(f"at {clock.now:.2f}"), 0.05, clock.monotonic, clock.pause)
    assert outcome.sentence == "at 100.05"
    assert sum(clock.pauses) == pytest.approx(0.05)


def test_without_time_it_looks_once():
    clock, looks = Clock(), []
    assert wait_until_applied(lambda: looks.append(1), 0, clock.monotonic, clock.pause) is None
    assert wait_until_applied(lambda: NotYet("no"), 0, clock.monotonic, clock.pause) == NotYet("no")
    assert (len(looks), clock.pauses) == (1, [])
