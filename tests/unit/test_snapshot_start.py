"""Where a snapshot begins, and at which version a row that it lacks was deleted."""

import pytest

from schemas.identity import Version
from schemas.row_event import RowDeleted, RowWritten
from stream.errors import Misuse
from stream.ports import Partition
from stream.snapshot_start import MARGIN_MS, Since, SnapshotBegin, delete_version

P, Q = Partition("kb.docs", 0), Partition("kb.docs", 1)


def told(words, start=None, place=P, clock=0):
    """``words``: i(ncremental) s(napshot) c(hange) d(elete) f(lattened snapshot) w(ritten, untold) ?(unreadable), a
    millisecond each; a blank is a millisecond without a record.
    """
    start = start or SnapshotBegin("docs")
    for moment, word in enumerate(words, clock):
        if word != " ":
            start.take(place, moment, event(word))
    return start


def event(word):
    match word:
        case "d":
            return RowDeleted({"id": 1}, None, None)
        case "?":
            return None
        case "c":
            return RowWritten({"id": 1}, None, {}, "u", None, snapshot=False, incremental=False)
        case "w":
            return RowWritten({"id": 1}, None, {}, "u", None)
        case "f":
            return RowWritten({"id": 1}, None, {}, "r", None, snapshot=True)
    return RowWritten({"id": 1}, None, {}, "r", None, snapshot=True, incremental=word == "i")


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        ("sssc", 0),
        ("ssscci", 5 - MARGIN_MS),
        ("sssiicidi", 3 - MARGIN_MS),
        ("ssiicssd", 5),
        ("ssc?ss", 3),
        ("sss?ss", 0),
        ("?sss", 0),
        ("ciiss", 3),
        ("cicic", 1 - MARGIN_MS),
    ],
)
def test_the_last_snapshot_began_with_its_first_row_or_earlier(words, begins):
    assert told(words).began_ms() == begins


@pytest.mark.parametrize(
    ("one", "other", "begins"),
    [
        ("s  c    s", " s  c s ", 6),
        ("s  c    s", " s       ", 8),
        ("s s s", " s s ", 0),
        ("ss     s", "  s s   c", 0),
        ("ss c i", "ss c  i", 5 - MARGIN_MS),
        ("ss c i", "ss c   ", 5 - MARGIN_MS),
        ("ss i c", "ss c  i", 3 - MARGIN_MS),
        ("c  s s", "c ?    ", 2),
        ("c? c s", "c ?    ", 5),
    ],
)
def test_partitions_share_one_clock(one, other, begins):
    assert told(other, told(one), Q).began_ms() == begins


def test_a_topic_without_snapshots_tells_of_none():
    assert told("ccd").began_ms() is None


def test_flattened_records_want_to_be_told_since_when():
    with pytest.raises(Misuse, match="say with --since"):
        told("ffc").began_ms()


def since(began, *times, low=0):
    made = Since(began)
    for offset, moment in enumerate(times, low):
        made.take(P, offset, moment)
    return made


def test_an_instant_lies_before_its_first_record_or_at_the_end():
    assert since(7, 1, 5, 7, 9).starts({P: 4, Q: 3}) == {P: 2, Q: 3}
    assert since(10, 1, 5, 7, 9).starts({P: 4}) == {P: 4}


def test_a_partition_that_lost_its_beginning_shows_whether_the_snapshot_is_whole():
    assert since(7, 5, 7, low=3).cut_off({P: 4}, {P: 3}) is None
    assert since(5, 5, 7, low=3).cut_off({P: 3}, {P: 3}) == P
    assert since(5, 5, 7).cut_off({P: 0}, {P: 0}) is None
    assert since(5).cut_off({P: 3}, {P: 3}) == P, "nothing is left at all"


def test_the_delete_stands_at_the_first_record_of_the_snapshot():
    assert delete_version(Version(3), 5, 8) == 6
    assert delete_version(Version(5), 5, 8) == 6, "above the record right before the start"


def test_where_nothing_stands_behind_the_start_the_end_takes_its_place():
    assert delete_version(Version(8), 9, 9) == 9


def test_the_last_record_of_a_partition_leaves_no_version_free():
    assert delete_version(Version(9), 9, 9) is None


def test_a_revision_that_is_newer_than_the_start_leaves_none_either():
    assert delete_version(Version(7), 5, 8) is None


def test_rows_since_an_instant_tell_whether_a_snapshot_wrote_them():
    made = Since(2)
    for moment, word in enumerate("sscsfidw?"):
        made.take(P, moment, moment, event(word))
    assert (made.rows, made.untold) == (3, 1)
