from dataclasses import replace

import pytest
from embedding_world import ADMISSION, SPEC, live_texts
from stream_world import CHUNKS, CONTRACT, ENCODER, LINEAGE, PLACE, delete, outgoing, revision

from adapters.memory.index import MemoryIndex
from adapters.memory.partition_log import PartitionLog
from adapters.memory.table import PointTable
from schemas import chunk_codec
from schemas.chunk_codec import ChunkKey
from schemas.chunk_event import CHUNKING_HEADER
from stream.claim import Claim
from stream.delta import Plan, plan_revision
from stream.erasure import deleted_by, late_nulls, lost, nulls, trails
from stream.intake import Erased, OtherLineage, Repeated, Work
from stream.ports import Partition, Record
from stream.republication import republished

DOC = "docs/1"
CHUNKING = CONTRACT.header_fingerprint("docs")
OTHER = "a" * 26


class Topic:
    """A partition of the chunk topic, written record by record."""

    def __init__(self, *written):
        self.log = PartitionLog()
        self.write(*written)

    def write(self, *written):
        for each in written:
            made = each if hasattr(each, "partition") else outgoing(each)
            self.log.append(Record(PLACE, self.log.end, made.key, made.value, made.headers), None)

    @property
    def records(self):
        return self.log.read(0, 1_000)[0]

    def trail(self, document=DOC):
        return trails([document], self.records, {"docs": LINEAGE})[document]

    def erase(self):
        self.write(*nulls(self.trail()))


def again(event):
    return republished(CHUNKS, event, CHUNKING)


def under(chunking, event):
    """The event as another chunking's chunker wrote it."""
    made = outgoing(event)
    headers = tuple((name, chunking.encode() if name == CHUNKING_HEADER else value) for name, value in made.headers)
    return replace(made, key=chunk_codec.encode_key(event.doc_id, chunking), headers=headers)


def applied(records, index=None, from_offset=0):
    """The index that an embedder makes of these records."""
    index = index or MemoryIndex(PointTable(SPEC, {}))
    for each in records:
        intake = ADMISSION.of(each)
        if each.offset < from_offset or not isinstance(intake, Work):
            continue
        plan = plan_revision(intake.event, index.read([intake.event.doc_id])[intake.event.doc_id])
        if isinstance(plan, Plan):
            index.write(plan.writes({each.id: ENCODER.encode("passage", [each.passage])[0] for each in plan.missing}))
    return index


@pytest.mark.parametrize(
    ("history", "lives", "version"),
    [
        ([revision(DOC, 1, "alpha")], True, 1),
        ([revision(DOC, 1, "alpha"), delete(DOC, 2)], False, 2),
        ([revision(DOC, 1, "alpha"), delete(DOC, 2), revision(DOC, 3)], True, 3),
        ([delete(DOC, 2), again(revision(DOC, 1, "alpha"))], False, 2),
        ([delete(DOC, 2), revision("docs/2", 9, "alpha")], False, 2),
        ([delete(DOC, 2), revision(DOC, 9, "alpha", lineage="old")], False, 2),
        ([delete(DOC, 2), under(OTHER, revision(DOC, 3, "alpha"))], True, 3),
    ],
)
def test_the_last_state_of_its_keys_says_whether_a_document_lives(history, lives, version):
    trail = Topic(*history).trail()
    assert (trail.lives, trail.newest.version) == (lives, version)


def test_a_document_that_nobody_wrote_has_no_trail():
    trail = Topic(revision("docs/2", 1, "alpha")).trail()
    assert (trail.newest, trail.keys, trail.lives, nulls(trail)) == (None, {}, False, [])


def test_every_key_in_every_chunking_is_nulled_those_of_republished_revisions_first():
    topic = Topic(
        revision(DOC, 1, "alpha"), again(revision(DOC, 1, "alpha")), under(OTHER, revision(DOC, 1, "alpha")),
        revision("docs/2", 2, "beta"), delete(DOC, 3), under(OTHER, delete(DOC, 3)),
    )  # fmt: skip
    made = nulls(topic.trail())
    assert all(each.value is None and each.partition == PLACE for each in made)
    keys = [chunk_codec.decode_key(each.key) for each in made]
    assert keys[0] == ChunkKey(DOC, CHUNKING, 1)
    assert set(keys[1:]) == {ChunkKey(DOC, CHUNKING), ChunkKey(DOC, OTHER)}


def test_erasing_twice_nulls_nothing_more_and_is_known_by_the_nulls_themselves():
    topic = Topic(revision(DOC, 1, "alpha"), delete(DOC, 3))
    topic.erase()
    topic.log.compact()
    trail = topic.trail()
    assert (trail.lives, trail.newest.version, nulls(trail)) == (False, 3, [])


def test_a_null_is_the_delete_that_it_stands_for_and_nothing_without_one():
    topic = Topic(revision(DOC, 1, "alpha"), delete(DOC, 3))
    topic.erase()
    null = topic.records[-1]
    work = ADMISSION.of(null)
    assert isinstance(work, Work)
    assert (work.event.kind, work.event.doc_id, work.event.version) == ("delete", DOC, 3)
    bare = replace(null, headers=())
    assert ADMISSION.of(bare) == Erased()
    assert deleted_by(bare, chunk_codec.decode_key(bare.key)) is None


@pytest.mark.parametrize(
    "broken",
    [
        lambda null: replace(null, headers=null.headers[1:]),
        lambda null: replace(null, headers=(*null.headers, null.headers[1])),
        lambda null: replace(null, key=None),
        lambda null: replace(null, key=b"\xff"),
        lambda null: replace(null, key=chunk_codec.encode_key(DOC, OTHER)),
        lambda null: replace(null, key=chunk_codec.encode_key("wiki/1", CHUNKING)),
        lambda null: replace(null, headers=tuple(pair for pair in null.headers if pair[0] != "erased")),
    ],
)
def test_a_null_that_names_no_delete_is_let_pass_and_never_poison(broken):
    topic = Topic(delete(DOC, 3))
    topic.erase()
    assert ADMISSION.of(broken(topic.records[-1])) == Erased()


def test_a_null_is_passed_over_like_any_record_that_is_done_or_of_another_lineage():
    topic = Topic(delete(DOC, 3))
    topic.erase()
    null = topic.records[-1]
    assert ADMISSION.of(null, Claim({CHUNKING: null.offset + 1})) == Repeated()
    other = replace(ADMISSION, lineages={"docs": "another"})
    assert other.of(null) == OtherLineage("docs", LINEAGE)


def test_a_null_resurrects_nothing_wherever_a_reader_stands_when_the_topic_is_compacted():
    """A reader applied the topic up to some record, the cleaner ran up to some record, and the reader goes on."""
    history = [revision(DOC, 1, "alpha"), revision(DOC, 2, "beta"), delete(DOC, 3), again(revision(DOC, 2, "beta"))]
    whole = Topic(*history)
    whole.erase()
    end = whole.log.end
    for read_to in range(end + 1):
        for clean_to in range(end + 1):
            topic = Topic(*history)
            topic.erase()
            index = applied([each for each in topic.records if each.offset < read_to])
            cleaned = compacted(topic.records, clean_to)
            applied([each for each in cleaned if each.offset >= read_to], index)
            assert live_texts(index) == {}, (read_to, clean_to)


def compacted(records, clean_to):
    """As the log cleaner leaves it that came to ``clean_to``."""
    newest = {each.key: each.offset for each in records if each.offset < clean_to}
    return [each for each in records if each.offset >= clean_to or newest[each.key] == each.offset]


def test_a_late_null_does_nothing_to_a_document_that_came_back():
    topic = Topic(revision(DOC, 1, "alpha"), delete(DOC, 3))
    due = nulls(topic.trail())
    topic.write(revision(DOC, 7, "gamma"))
    topic.write(*due)
    assert live_texts(applied(topic.records)) == {DOC: ["gamma"]}


def test_what_came_back_meanwhile_is_published_again_so_that_compaction_keeps_it():
    topic = Topic(revision(DOC, 1, "alpha"), delete(DOC, 3))
    due = nulls(topic.trail())
    topic.write(revision(DOC, 7, "gamma"), *due)
    back = lost(topic.trail(), CHUNKS)
    assert [chunk_codec.decode_key(each.key) for each in back] == [ChunkKey(DOC, CHUNKING, 7)]
    topic.write(*back)
    assert lost(topic.trail(), CHUNKS) == []
    topic.log.compact(drop_tombstones=True)
    assert live_texts(applied(topic.records)) == {DOC: ["gamma"]}


@pytest.mark.parametrize(
    "history",
    [
        [delete(DOC, 3), revision(DOC, 2, "old")],
        [revision(DOC, 7, "alpha")],
        [revision("docs/2", 9, "x"), delete(DOC, 3)],
        [delete(DOC, 3), revision(DOC, 9, "x", lineage="old")],
    ],
)
def test_what_has_no_null_behind_it_or_is_old_is_not_lost(history):
    assert lost(Topic(*history).trail(), CHUNKS) == []


def test_a_null_that_somebody_else_wrote_is_nobodys_to_undo():
    topic = Topic(revision(DOC, 7, "alpha"))
    topic.write(replace(outgoing(revision(DOC, 7, "alpha")), value=None, headers=()))
    assert lost(topic.trail(), CHUNKS) == []


def test_an_old_revision_that_was_published_again_meanwhile_is_nulled_late():
    topic = Topic(revision(DOC, 1, "alpha"), delete(DOC, 3))
    due = nulls(topic.trail())
    topic.write(again(revision(DOC, 1, "alpha")), *due, again(revision(DOC, 7, "gamma")))
    (late,) = late_nulls(topic.trail(), delete(DOC, 3))
    assert chunk_codec.decode_key(late.key) == ChunkKey(DOC, CHUNKING, 1)


def test_a_key_is_nulled_in_the_partition_where_it_stands():
    elsewhere = Partition(PLACE.topic, 1)
    topic = Topic(delete(DOC, 3))
    old = [replace(each, partition=elsewhere) for each in Topic(revision(DOC, 1, "a", lineage="old")).records]
    trail = trails([DOC], [*old, *topic.records], {"docs": LINEAGE})[DOC]
    assert [each.partition for each in nulls(trail)] == [PLACE, elsewhere]
