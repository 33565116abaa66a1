import pytest
from letter_world import kept, kept_event, kept_row, row_record
from stream_world import CHUNKS, LETTERS, revision

from schemas.malformed import Malformed
from stream.errors import Misuse
from stream.kept_letter import KeptLetter
from stream.letter_selection import Selection
from stream.ports import Partition, Record

ROW = kept_row(row_record("7", 16), offset=3)
EVENT = kept_event(revision("docs/8", 9, "alpha"), offset=4)


def test_a_letter_tells_where_it_lies_and_of_which_document_it_is():
    assert (ROW.address, ROW.origin, ROW.source, ROW.document) == ("0:3", "kb.docs:0:16", "docs", "docs/7")
    assert (EVENT.address, EVENT.origin, EVENT.document) == ("0:4", f"{CHUNKS.name}:0:44", "docs/8")
    assert (ROW.length, ROW.attempt, EVENT.attempt) == (18, 0, 0)


def test_a_letter_without_a_key_is_of_its_topics_source_and_of_no_document():
    letter = kept_row(Record(Partition("kb.docs", 0), 5, None, b"{}"))
    assert (letter.source, letter.document) == ("docs", None)
    assert kept(Record(Partition("kb.chunks", 0), 5, b"\xff", b""), "embedder", "key", None, None).document is None


def test_a_letter_of_a_topic_that_nobody_reads_has_no_source():
    letter = kept_row(Record(Partition("old.topic", 0), 5, b"7", b"{}"))
    assert (letter.source, letter.document) == (None, None)


def test_what_is_no_letter_is_malformed():
    with pytest.raises(Malformed):
        KeptLetter.read(Record(Partition(LETTERS.topic, 0), 0, b"k", b"v"))


def test_without_its_value_a_letter_is_as_long_as_before():
    bare = ROW.without_value()
    assert (bare.letter.value, bare.length, bare.origin) == (None, ROW.length, ROW.origin)


@pytest.mark.parametrize(
    ("given", "row", "event"),
    [
        ({}, True, True),
        ({"kinds": ["text-type"]}, True, False),
        ({"kinds": ["text-type", "vector"]}, True, True),
        ({"stages": ["embedder"]}, False, True),
        ({"sources": ["docs"]}, True, True),
        ({"sources": ["wiki"]}, False, False),
        ({"documents": ["docs/7"]}, True, False),
        ({"documents": ["docs/7"], "kinds": ["vector"]}, False, False),
        ({"places": ["kb.docs"]}, True, False),
        ({"places": ["kb.docs:0"]}, True, False),
        ({"places": ["kb.docs:1"]}, False, False),
        ({"places": ["kb.docs:0:16"]}, True, False),
        ({"places": ["kb.docs-0-16"]}, True, False),
        ({"places": ["kb.docs-0-17"]}, False, False),
        ({"places": ["0:3"]}, True, False),
        ({"places": ["kb.dead-letters:0:4"]}, False, True),
        ({"places": ["0:3", "0:4"]}, True, True),
    ],
)
def test_letters_are_meant_by_kind_stage_source_document_and_place(given, row, event):
    selection = Selection.written(**given)
    assert (selection.takes(ROW), selection.takes(EVENT)) == (row, event)
    assert selection.everything == (not given)


@pytest.mark.parametrize("written", ["", "a b", "kb.docs:x", "kb.docs:1:2:3", ":1:2"])
def test_what_is_no_place_is_told_what_one_looks_like(written):
    with pytest.raises(Misuse, match="is no place: write partition:offset"):
        Selection.written(places=[written])
