"""What an embedder's committed offset claims, and where its successor has to read from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.claim import NOTHING, Claim, claim_of
from stream.errors import Fatal
from stream.ports import Committed

DOCS, WIKI, MAIL = "d" * 26, "w" * 26, "m" * 26
fingerprints = st.sampled_from([DOCS, WIKI, MAIL])
claims = st.dictionaries(fingerprints, st.integers(0, 50)).map(Claim)


def test_who_admits_what_is_claimed_goes_on_where_the_claim_ends():
    assert Claim({DOCS: 7, WIKI: 7}).start([DOCS, WIKI]) == 7
    assert Claim({DOCS: 7, WIKI: 9}).start([DOCS]) == 7


def test_who_admits_more_than_is_claimed_reads_from_the_first_record():
    assert Claim({DOCS: 7}).start([DOCS, WIKI]) is None
    assert NOTHING.start([DOCS]) is None


def test_who_admits_what_was_claimed_long_ago_goes_back_to_there():
    assert Claim({DOCS: 70, WIKI: 4}).start([DOCS, WIKI]) == 4


def test_a_claim_covers_the_events_of_its_sources_below_its_end():
    claim = Claim({DOCS: 7, WIKI: 4})
    assert [claim.covers(DOCS, offset) for offset in (0, 6, 7)] == [True, True, False]
    assert [claim.covers(each, 5) for each in (WIKI, MAIL)] == [False, False]
    assert (claim.read_to, NOTHING.read_to) == (7, 0)


def test_a_member_that_admits_less_keeps_the_claims_of_others_where_they_were():
    assert Claim({DOCS: 7, WIKI: 7}).at(20, [DOCS]) == Claim({DOCS: 20, WIKI: 7})


def test_a_partition_read_again_keeps_what_was_done_before():
    assert Claim({DOCS: 70}).at(10, [DOCS, WIKI]) == Claim({DOCS: 70, WIKI: 10})


@given(claims, st.integers(0, 60))
def test_a_claim_survives_the_metadata_of_a_commit(claim, offset):
    assert claim_of(claim.committed(offset)) == claim


def test_forty_sources_fit_beside_an_offset():
    """A broker takes 4,096 bytes unless it is told otherwise."""
    claim = Claim({f"{number:026}": 123_456_789 for number in range(100)})
    assert len(claim.committed(123_456_789).metadata) < 4_096


@pytest.mark.parametrize("nothing", [None, Committed(17), Committed(17, "")])
def test_an_offset_without_metadata_claims_nothing(nothing):
    assert claim_of(nothing) == NOTHING


@pytest.mark.parametrize(
    "foreign", ["offset:3", "{}", "[]", '{"sources": 3}', '{"sources":[],"apart":{"a":"b"}}', "7"]
)
def test_another_programs_metadata_is_fatal(foreign):
    with pytest.raises(Fatal, match=r"another program uses the group; choose another kafka\.group_prefix"):
        claim_of(Committed(3, foreign))


events = st.lists(fingerprints, max_size=12)
members = st.lists(st.tuples(st.sets(fingerprints, min_size=1), st.integers(0, 12)), max_size=6)


@given(events, members, st.sets(fingerprints, min_size=1))
def test_whoever_read_before_the_last_member_that_reads_to_the_end_leaves_out_nothing(log, before, last):
    """Each member takes over behind its predecessor's commit, reads some records, does those that it admits, commits
    and is gone; a record is done, or it was not admitted by anybody who read it.
    """
    done: set[int] = set()
    committed = None
    for admitted, how_many in [*before, (last, 10_000)]:
        claim = claim_of(committed)
        start = claim.start(admitted)
        position = 0 if committed is None or start is None else min(start, committed.offset)
        for offset in range(position, min(len(log), position + how_many)):
            if log[offset] in admitted and not claim.covers(log[offset], offset):
                done.add(offset)
            position = offset + 1
        committed = claim.at(position, admitted).committed(position)
    assert {offset for offset, each in enumerate(log) if each in last} <= done
