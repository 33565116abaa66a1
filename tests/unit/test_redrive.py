import re
from dataclasses import replace

import pytest
from chunker_world import SOURCE
from embedding_world import SPEC
from letter_world import REDRIVE, kept, kept_event, kept_row, row_record
from stream_world import CHUNKS, CONTRACT, ENCODER, LINEAGE, delete, outgoing, record, revision

from adapters.memory.index import MemoryIndex
from adapters.memory.table import PointTable
from schemas import chunk_codec
from schemas.chunk_event import ATTEMPT_HEADER, CHUNKING_HEADER
from stream.delta import plan_revision
from stream.ports import Partition, Record
from stream.redrive import Outcome, Redriven, without_repeats


def judged(letter):
    return REDRIVE.revision(letter, (letter.letter.key, letter.letter.value))


def stored(*events):
    """What is stored after an embedder applied these."""
    index = MemoryIndex(PointTable(SPEC, {}))
    for event in events:
        plan = plan_revision(event, index.read([event.doc_id])[event.doc_id])
        vectors = {each.id: ENCODER.encode("passage", [each.passage])[0] for each in plan.missing}
        index.write(plan.writes(vectors))
    return index.read([events[0].doc_id])[events[0].doc_id]


def test_a_row_is_cut_again_at_the_version_it_had_and_under_a_key_of_its_own():
    found = judged(kept_row(row_record("7", 16, "Mended.", title="One", colour="red")))
    assert isinstance(found, Redriven)
    assert found.kept.document == "docs/7"
    made = found.outgoing
    assert made.partition.topic == CHUNKS.name
    assert chunk_codec.decode_key(made.key) == chunk_codec.ChunkKey("docs/7", CONTRACT.header_fingerprint("docs"), 17)
    event = chunk_codec.decode(made.value)
    assert (event.version, event.lineage, event.attempt, event.title) == (17, LINEAGE, 1, "One")
    assert [chunk.text for chunk in event.chunks] == ["Mended."]
    chunk_codec.require_agreement(chunk_codec.decode_headers(made.headers), event)


def test_a_deleted_row_is_a_delete_at_its_version():
    found = judged(kept_row(Record(Partition("kb.docs", 0), 16, b"7", None)))
    assert (found.event.kind, found.event.version) == ("delete", 17)


def test_an_event_is_published_as_the_event_it_was():
    event = revision("docs/7", 9, "alpha", title="One", fields={"colour": "red"}, tenant="t")
    found = judged(kept_event(event))
    assert chunk_codec.decode(found.outgoing.value) == replace(event, attempt=1)
    assert chunk_codec.decode_key(found.outgoing.key).version == 9


def test_each_attempt_is_counted_in_the_event_and_in_a_header():
    event = revision("docs/7", 9, "alpha")
    for attempt in (1, 2, 3):
        letter = kept_event(event)
        found = judged(letter)
        assert found.event.attempt == attempt
        assert dict(found.outgoing.headers)[ATTEMPT_HEADER] == str(attempt).encode()
        event = chunk_codec.decode(found.outgoing.value)
        again = Record(
            Partition(CHUNKS.name, 0), 50, found.outgoing.key, found.outgoing.value, found.outgoing.headers
        )
        assert kept(again, "embedder", "vector", 9, LINEAGE).attempt == attempt


def test_deciding_twice_decides_the_same():
    letter = kept_row(row_record("7", 16))
    assert judged(letter).outgoing == judged(letter).outgoing


REFUSED = {
    "another lineage": (kept_row(row_record("7", 16), lineage="old/1+chunks-1/1"), "another lineage"),
    "no lineage": (kept_row(row_record("7", 16), lineage=None), "no version and lineage"),
    "no version": (kept_row(row_record("7", 16), version=None), "no version and lineage"),
    "another topic": (kept_row(Record(Partition("old", 0), 1, b"7", b"{}")), "No source .* reads the topic old"),
    "still wrong": (kept_row(row_record("7", 16, 5)), r"cannot be worked with today either \(text-type\)"),
    "absent column": (kept_row(Record(Partition("kb.docs", 0), 1, b"7", b"{}")), "would stop the process"),
    "another stage": (kept(row_record("7", 1), "query", "x", 2, LINEAGE), "stage 'query'"),
    "event of another lineage": (kept_event(revision("docs/7", 9, "a", lineage="old")), "another lineage"),
    "unreadable event": (
        kept(Record(Partition(CHUNKS.name, 0), 4, b"k", b"\xff"), "embedder", "undecodable", None, None),
        r"either \(header\)",
    ),
    "event of another topic": (
        kept(Record(Partition("old.chunks", 0), 4, b"k", b"\xff"), "embedder", "undecodable", None, None),
        "of the chunk topic old.chunks",
    ),
    "null": (kept(Record(Partition(CHUNKS.name, 0), 4, b"k", None), "embedder", "x", None, None), "value is gone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_place_in_the_present_order_is_refused_in_one_sentence(case):
    letter, why = REFUSED[case]
    outcome = judged(letter)
    assert isinstance(outcome, Outcome)
    assert outcome.what == "refused"
    assert re.search(why, outcome.sentence)
    assert "\n" not in outcome.sentence
    assert outcome.sentence.endswith(".")
    assert "secret" not in outcome.sentence


def test_an_event_of_another_chunking_is_refused_unread():
    made = record(revision("docs/7", 9, "alpha"), 4)
    other = tuple((name, b"a" * 26 if name == CHUNKING_HEADER else value) for name, value in made.headers)
    outcome = judged(kept(replace(made, headers=other, value=b"\xff"), "embedder", "vector", 9, LINEAGE))
    assert outcome.what == "refused"
    assert "another chunking (aaaa" in outcome.sentence


def test_a_row_that_says_nothing_of_a_document_is_refused():
    source = replace(SOURCE, format="debezium")
    message = b'{"op":"m","message":{"prefix":"x"}}'
    redrive = replace(REDRIVE, sources={source.topic: source})
    letter = kept_row(Record(Partition("kb.docs", 0), 3, b'{"id":7}', message))
    outcome = redrive.revision(letter, (letter.letter.key, letter.letter.value))
    assert outcome.what == "refused"


def test_a_text_too_large_is_refused_until_the_limit_is_raised():
    letter = kept_row(row_record("7", 16, "word " * 300), kind="oversized")
    small = replace(REDRIVE, chunks=replace(CHUNKS, max_event_bytes=300))
    assert small.revision(letter, (letter.letter.key, letter.letter.value)).what == "refused"
    assert isinstance(judged(letter), Redriven)


# --- against what is stored ---


def test_a_revision_that_the_index_lacks_is_published():
    found = judged(kept_event(revision("docs/7", 9, "alpha")))
    assert REDRIVE.decided(found, ()) is found
    assert REDRIVE.decided(found, stored(revision("docs/7", 8, "alpha"))) is found


def test_a_document_that_moved_on_is_told_so():
    outcome = REDRIVE.decided(
        judged(kept_event(revision("docs/7", 9, "alpha"))), stored(revision("docs/7", 12, "beta"))
    )
    assert outcome.what == "stale"
    assert "the index holds version 12, so an embedder would drop version 9" in outcome.sentence


def test_a_document_that_was_deleted_since_does_not_come_back():
    history = stored(revision("docs/7", 3, "beta"), delete("docs/7", 12))
    assert REDRIVE.decided(judged(kept_event(revision("docs/7", 9, "alpha"))), history).what == "stale"


@pytest.mark.parametrize(
    "event", [revision("docs/7", 9, "alpha", "beta"), delete("docs/7", 9), revision("docs/7", 9)]
)
def test_what_the_index_shows_as_applied_is_not_published_again(event):
    assert REDRIVE.decided(judged(kept_event(event)), stored(event)).what == "applied"


def test_what_was_applied_in_part_is_published_again():
    event = revision("docs/7", 9, "alpha", "beta")
    found = judged(kept_event(event))
    whole = stored(revision("docs/7", 8, "alpha", "beta"), event)
    assert REDRIVE.decided(found, whole).what == "applied"
    assert REDRIVE.decided(found, whole[:1]) is found
    assert REDRIVE.decided(found, [whole[0], replace(whole[1], version=8)]) is found
    assert REDRIVE.decided(found, [whole[0], replace(whole[1], payload_digest="other")]) is found
    own = stored(revision("docs/7", 8, "gamma"), event)
    assert REDRIVE.decided(found, [replace(point, state="live") for point in own]) is found


def test_a_recomputation_is_never_taken_for_applied():
    event = revision("docs/7", 9, "alpha", recompute="docs__x__g1")
    found = judged(kept_event(event))
    assert REDRIVE.decided(found, stored(replace(event, recompute=None))) is found


# --- letters of one revision ---


def test_of_letters_of_one_revision_the_last_written_is_taken_and_revisions_stand_in_order():
    row = kept_row(row_record("7", 8, "alpha"), offset=1, at_ms=1)
    event = kept_event(revision("docs/7", 9, "alpha", attempt=1), offset=5, at_ms=2)
    older = kept_event(revision("docs/7", 4, "alpha"), offset=9, at_ms=3)
    chosen, repeated = without_repeats([judged(each) for each in (older, event, row)])
    assert [(each.kept.address, each.event.version, each.event.attempt) for each in chosen] == [
        ("0:9", 4, 1),
        ("0:5", 9, 2),
    ]
    assert [(each.kept.address, each.what) for each in repeated] == [("0:1", "repeated")]
    assert "0:5" in repeated[0].sentence


def test_the_key_of_its_own_is_not_the_documents():
    found = judged(kept_event(revision("docs/7", 9, "alpha")))
    assert found.outgoing.key != outgoing(revision("docs/7", 9, "alpha")).key
