"""The report: its keys, its figures, and a file that can be written before anything was measured."""

import json

import pytest

from compose.demo.freshness import Freshness
from compose.demo.report import Deleted, Edited, Loaded, Moved, Report, check_writable
from schemas.identity import ChunkId, DocId, Version
from stream.comparison import Comparison, MissingChunk
from stream.errors import Misuse
from stream.points import State, StoredPoint

EQUAL = Comparison(3, 9, 9, (), (), (), ())
STRAY = StoredPoint(ChunkId("x"), DocId("topics/a"), Version(2), State.LIVE)


def report(recovery=EQUAL):
    return Report(
        Loaded(3, 10, 10, 0),
        Edited(2, 8, 91.5),
        Moved(0, 60.25),
        Deleted(55.0),
        Freshness(90.0, 120.5, 180.0, 40),
        recovery,
    )


def test_the_report_has_the_promised_keys_and_no_others(tmp_path):
    path = tmp_path / "report.json"
    report().write(path)
    assert json.loads(path.read_text()) == {
        "documents": 3,
        "chunks": 10,
        "embedded": 10,
        "kept": 0,
        "edit": {"embedded": 2, "kept": 8, "ms": 91.5},
        "fields": {"embedded": 0, "ms": 60.25},
        "delete": {"ms": 55.0},
        "freshness_ms": {"p50": 90.0, "p95": 120.5, "p99": 180.0, "n": 40},
        "recovery": {"equal": True, "missing": 0, "orphans": 0, "stale": 0},
    }


def test_a_difference_is_counted_and_is_not_equal():
    missing = (MissingChunk(DocId("topics/a"), ChunkId("y"), Version(2)),)
    recovery = Comparison(3, 9, 10, missing, (STRAY, STRAY), (STRAY,), ())
    assert report(recovery).to_json()["recovery"] == {"equal": False, "missing": 1, "orphans": 2, "stale": 1}


def test_a_point_that_is_told_twice_is_counted_too():
    recovery = Comparison(3, 9, 9, (), (), (), (STRAY,))
    assert report(recovery).to_json()["recovery"] == {"equal": False, "missing": 0, "orphans": 1, "stale": 0}


def test_a_report_replaces_an_older_one(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("older, and longer than what comes now" * 100)
    check_writable(path)
    report().write(path)
    assert json.loads(path.read_text())["documents"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_looking_whether_a_report_can_be_written_leaves_nothing(tmp_path):
    check_writable(tmp_path / "report.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["missing/report.json", "."])
def test_a_report_that_cannot_be_written_is_told_before_the_demo_starts(tmp_path, place):
    with pytest.raises(Misuse, match="--report"):
        check_writable(tmp_path / place)
