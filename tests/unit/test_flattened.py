"""Debezium's events without their envelope, as the flattening transform leaves them."""

import orjson
import pytest

from schemas.debezium import decode
from schemas.malformed import Malformed
from schemas.row_event import ColumnType, NotARow, RowDeleted, RowWritten, Tombstone, Truncated

KEY = {"id": 7}
ROW = {"id": 7, "title": "Coroutines", "body": "Awaitable."}


def read(value, key=KEY):
    parts = (part if part is None or isinstance(part, bytes) else orjson.dumps(part) for part in (key, value))
    return decode(*parts, ())


def test_a_value_without_an_envelope_is_the_row_itself():
    assert read(ROW) == RowWritten(KEY, None, ROW, "u", None)


def test_a_wrapped_row_tells_its_columns_types():
    schema = {
        "type": "struct",
        "fields": [
            {"type": "int32", "field": "id"},
            {"type": "int32", "field": "day", "name": "io.debezium.time.Date"},
            {"type": "bytes", "field": "odd", "name": "x", "parameters": {"scale": "many"}},
        ],
    }
    event = read({"schema": schema, "payload": {"id": 7, "day": 20_000}})
    assert event.after == {"id": 7, "day": 20_000}
    assert event.types == {
        "id": ColumnType("int32"),
        "day": ColumnType("int32", "io.debezium.time.Date"),
        "odd": ColumnType("bytes", "x"),
    }


@pytest.mark.parametrize("value", [None, {"schema": None, "payload": None}])
def test_a_null_value_is_all_that_tells_of_a_delete_by_default(value):
    assert read(value) == Tombstone(KEY)


@pytest.mark.parametrize("deleted", ["true", True])
def test_a_rewritten_delete_is_the_row_as_it_was(deleted):
    row = {**ROW, "__deleted": deleted, "__source_ts_ms": 5}
    assert read(row) == RowDeleted(KEY, row, 5)


@pytest.mark.parametrize("deleted", ["false", False, None])
def test_a_rewritten_row_that_is_there_is_written(deleted):
    row = {**ROW, "__deleted": deleted}
    assert read(row) == RowWritten(KEY, None, row, "u", None)


@pytest.mark.parametrize(
    ("op", "read_as", "snapshot"), [("c", "c", False), ("u", "u", False), ("r", "r", True), (None, "u", False)]
)
def test_added_fields_tell_the_operation_and_the_databases_clock(op, read_as, snapshot):
    row = {**ROW, "__op": op, "__source_ts_ms": 1_772_366_400_123, "__ts_ms": 9, "__lsn": 3}
    assert read(row) == RowWritten(KEY, None, row, read_as, 1_772_366_400_123, snapshot)


def test_an_added_operation_tells_a_delete_a_truncate_and_a_message_too():
    assert read({**ROW, "__op": "d"}) == RowDeleted(KEY, {**ROW, "__op": "d"}, None)
    assert read({"__op": "t", "__source_ts_ms": 5}, None) == Truncated(5)
    assert read({"__op": "m"}, None) == NotARow("logical decoding message")


@pytest.mark.parametrize(
    "row",
    [
        {"id": 7, "op": "c", "after": "lunch"},
        {"id": 7, "op": "d"},
        {"id": 7, "before": {"a": 1}, "after": None},
        {"id": 7, "source": "kb", "op": "c", "after": {"x": 1}},
        {"id": 7, "status": "END"},
        {"id": 7, "status": "BEGIN", "ts_ms": 1, "title": "a job"},
    ],
)
def test_columns_that_are_called_like_parts_of_an_envelope_make_none(row):
    assert read(row).after == row


@pytest.mark.parametrize(
    "row",
    [
        {},
        {**ROW, "__deleted": "yes"},
        {**ROW, "__deleted": 1.5},
        {**ROW, "__deleted": ["true"]},
        {**ROW, "__source_ts_ms": "now"},
        {**ROW, "__source_ts_ms": True, "__op": "t"},
    ],
)
def test_what_the_transform_never_writes_is_malformed(row):
    with pytest.raises(Malformed) as error:
        read(row)
    assert error.value.kind == "flattened"


@pytest.mark.parametrize(("key", "kind"), [(None, "missing-key"), (b"{}", "key"), (b"\xff", "undecodable")])
@pytest.mark.parametrize("value", [ROW, {**ROW, "__deleted": "true"}, None])
def test_a_flattened_row_without_a_readable_key_is_malformed(key, kind, value):
    with pytest.raises(Malformed) as error:
        read(value, key)
    assert error.value.kind == kind
