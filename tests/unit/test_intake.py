from dataclasses import replace

import pytest
from stream_world import CONTRACT, LINEAGE, WIKI, delete, record, revision

from schemas.chunk_event import CHUNKING_HEADER, LINEAGE_HEADER, VERSION_HEADER
from stream.claim import NOTHING, Claim
from stream.errors import Poison
from stream.intake import Admission, Erased, Mismatched, OtherLineage, Repeated, Work

ADMISSION = Admission({CONTRACT.header_fingerprint("docs"): "docs"}, {"docs": LINEAGE})
GARBAGE = b"\xff not JSON"
EVENT = revision("docs/1", 7, "alpha", "beta", title="a title", fields={"colour": 1})


def with_header(of, name, value):
    """One header replaced; None takes it away."""
    others = tuple(header for header in of.headers if header[0] != name)
    return replace(of, headers=others if value is None else (*others, (name, value)))


def kind_of_poison(of, claim=NOTHING):
    with pytest.raises(Poison) as raised:
        ADMISSION.of(of, claim)
    return raised.value.kind


@pytest.mark.parametrize("event", [EVENT, delete("docs/1", 8), revision("docs/2", 1)])
def test_a_revision_of_a_known_source_is_work(event):
    intake = ADMISSION.of(record(event, 0))
    assert isinstance(intake, Work)
    assert intake.event == event


def test_another_chunkings_event_passes_unread():
    other = "a" * 26
    garbage = replace(with_header(record(EVENT, 0), CHUNKING_HEADER, other.encode()), key=GARBAGE, value=GARBAGE)
    assert ADMISSION.of(garbage) == Mismatched(other)


def test_an_event_of_a_source_that_has_not_joined_passes_unread():
    garbage = replace(record(revision("wiki/1", 1, "alpha"), 0), value=GARBAGE)
    intake = ADMISSION.of(garbage)
    assert isinstance(intake, Mismatched)
    assert intake.fingerprint == replace(CONTRACT, mappings=(WIKI,)).header_fingerprint("wiki")


def test_another_lineages_event_passes_unread():
    garbage = replace(with_header(record(EVENT, 0), LINEAGE_HEADER, b"older/1+chunks/1"), value=GARBAGE)
    assert ADMISSION.of(garbage) == OtherLineage("docs", "older/1+chunks/1")


def test_an_event_of_a_source_without_a_lineage_passes_unread():
    admission = replace(ADMISSION, lineages={})
    assert admission.of(record(EVENT, 0)) == OtherLineage("docs", LINEAGE)


def test_a_null_value_says_that_the_document_was_erased():
    assert ADMISSION.of(replace(record(EVENT, 0), value=None)) == Erased()
    assert ADMISSION.of(replace(record(EVENT, 0), value=None, headers=())) == Erased()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (CHUNKING_HEADER, None),
        (CHUNKING_HEADER, b"too short"),
        (VERSION_HEADER, None),
        (VERSION_HEADER, b"seven"),
        (LINEAGE_HEADER, None),
        (LINEAGE_HEADER, b""),
    ],
)
def test_a_header_that_decides_and_cannot_be_read_is_poison(header, value):
    assert kind_of_poison(with_header(record(EVENT, 0), header, value)) == "header"


def test_a_value_that_cannot_be_read_is_poison():
    assert kind_of_poison(replace(record(EVENT, 0), value=GARBAGE)) == "undecodable"
    assert kind_of_poison(replace(record(EVENT, 0), value=b"{}")) == "schema"


def test_a_record_without_a_key_is_poison():
    assert kind_of_poison(replace(record(EVENT, 0), key=None)) == "missing-key"


def test_what_contradicts_itself_is_poison():
    other = record(revision("docs/2", 7, "alpha"), 0)
    assert kind_of_poison(replace(record(EVENT, 0), key=other.key)) == "inconsistent"
    assert kind_of_poison(with_header(record(EVENT, 0), VERSION_HEADER, b"8")) == "inconsistent"
    foreign = record(revision("wiki/1", 7, "alpha"), 0)
    assert kind_of_poison(replace(foreign, headers=record(EVENT, 0).headers)) == "inconsistent"


CLAIM = Claim({CONTRACT.header_fingerprint("docs"): 5})


def test_what_an_earlier_member_did_is_passed_over_unread():
    unread = replace(record(EVENT, 4), value=GARBAGE)
    assert ADMISSION.of(unread, CLAIM) == Repeated()
    assert kind_of_poison(replace(unread, offset=5), CLAIM) == "undecodable"
    assert isinstance(ADMISSION.of(record(EVENT, 5), CLAIM), Work)


def test_what_nobody_could_read_is_a_letter_once():
    headless = replace(record(EVENT, 4), headers=())
    assert ADMISSION.of(headless, CLAIM) == Repeated()
    assert kind_of_poison(replace(headless, offset=5), CLAIM) == "header"
