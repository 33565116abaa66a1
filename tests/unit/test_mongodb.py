"""MongoDB's events, as the documentation of Debezium's connector shows them."""

import json

import orjson
import pytest

from schemas.malformed import Malformed
from schemas.mongodb import decode
from schemas.row_event import NotARow, RowDeleted, RowWritten, Tombstone

KEY = {"id": '{"$oid": "596e275826f08b2730779e1f"}'}
NAMED = {"id": "596e275826f08b2730779e1f"}
AFTER = json.dumps(
    {
        "_id": {"$oid": "596e275826f08b2730779e1f"},
        "title": "Coroutines",
        "pages": {"$numberLong": "12"},
        "seen": {"$date": 1_772_366_400_123},
        "author": {"name": "Ada", "since": {"$date": {"$numberLong": "0"}}},
    }
)
ROW = {
    "_id": "596e275826f08b2730779e1f",
    "title": "Coroutines",
    "pages": 12,
    "seen": "2026-03-01T12:00:00.123Z",
    "author": {"name": "Ada", "since": "1970-01-01T00:00:00Z"},
}


def envelope(op="c", **changed):
    source = {"version": "3.3.2.Final", "connector": "mongodb", "ts_ms": 9, "snapshot": "false", "collection": "docs"}
    whole = {"before": None, "after": AFTER, "updateDescription": None, "source": source, "op": op, "ts_ms": 12}
    return {**whole, "transaction": None, **changed}


def read(value, key=KEY):
    parts = (part if part is None or isinstance(part, bytes) else orjson.dumps(part) for part in (key, value))
    return decode(*parts, ())


def kind_of_refusal(value, key=KEY):
    with pytest.raises(Malformed) as error:
        read(value, key)
    assert str(error.value).endswith(".")
    return error.value.kind


@pytest.mark.parametrize("op", ["c", "u", "r"])
def test_a_document_is_a_row_of_its_top_level_fields(op):
    assert read(envelope(op)) == RowWritten(NAMED, None, ROW, op, 9, incremental=False)


def test_a_wrapped_event_tells_the_same():
    wrapped = {"schema": {"type": "struct"}, "payload": envelope()}
    assert read(wrapped, {"schema": {"type": "struct"}, "payload": KEY}) == read(envelope())


def test_a_delete_names_its_document_by_the_key_and_knows_it_where_an_image_was_kept():
    assert read(envelope("d", after=None)) == RowDeleted(NAMED, None, 9)
    assert read(envelope("d", after=None, before=AFTER)) == RowDeleted(NAMED, ROW, 9)


@pytest.mark.parametrize("value", [None, {"schema": None, "payload": None}])
def test_a_tombstone_names_the_document_as_its_events_do(value):
    assert read(value) == Tombstone(NAMED)


@pytest.mark.parametrize("more", [{"updateDescription": {"updatedFields": '{"title": "x"}'}}, {"patch": "{}"}, {}])
def test_an_update_without_the_document_is_refused_with_its_cure(more):
    with pytest.raises(Malformed, match=r"capture\.mode = change_streams_update_full") as error:
        read(envelope("u", after=None, **more))
    assert error.value.kind == "partial-document"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"ts_ms": 5}, "heartbeat"),
        ({"status": "END", "id": "x", "event_count": 1, "data_collections": []}, "transaction marker"),
    ],
)
def test_a_record_about_no_document_says_what_it_is(value, why):
    assert read(value, None) == NotARow(why)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"\xff", "undecodable"),
        (b"7", "envelope"),
        (envelope("x"), "unknown-op"),
        (envelope("t"), "unknown-op"),
        (envelope(after=7), "envelope"),
        (envelope(after={"_id": 7}), "wrong-format"),
        (envelope(after="[7]"), "extended-json"),
        (envelope(after='{"n": NaN}'), "undecodable"),
        (envelope(after="\x00"), "undecodable"),
        (envelope(after='{"n": {"$numberLong": "99999999999999999999"}}'), "extended-json"),
        (envelope(after='{"n": 99999999999999999999}'), "integer-range"),
        (envelope(source={"ts_ms": "now"}), "envelope"),
        ({}, "wrong-format"),
        ({"_id": "596e275826f08b2730779e1f", "n": 3}, "wrong-format"),
        ({"_id": 7, "op": "c", "source": {"connector": "x"}, "before": 2}, "wrong-format"),
    ],
)
def test_what_is_no_event_is_malformed(value, kind):
    assert kind_of_refusal(value) == kind


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "missing-key"),
        (b"{}", "key"),
        ({"id": 7}, "key"),
        ({"id": "1", "shard": "a"}, "key"),
        ({"id": "not JSON"}, "undecodable"),
        ({"id": '{"$oid": "short"}'}, "extended-json"),
    ],
)
@pytest.mark.parametrize("value", [envelope(), envelope("d", after=None), None])
def test_a_document_without_a_readable_id_is_malformed(key, kind, value):
    assert kind_of_refusal(value, key) == kind
