"""Every form of Debezium's envelope, as the PostgreSQL connector writes it."""

import base64
from pathlib import Path

import orjson
import pytest

from schemas.debezium import PLACEHOLDERS, decode, is_placeholder
from schemas.malformed import Malformed
from schemas.row_event import ColumnType, NotARow, RowDeleted, RowWritten, Tombstone, Truncated

RECORDS = Path(__file__).parent / "debezium_records"
PLACEHOLDER = "__debezium_unavailable_value"


def record(name):
    """Key and value of a record as parsed JSON."""
    parts = orjson.loads((RECORDS / f"{name}.json").read_bytes())
    return parts["key"], parts["value"]


def read(key, value, headers=()):
    return decode(_bytes(key), _bytes(value), headers)


def _bytes(part):
    return part if part is None or isinstance(part, bytes) else orjson.dumps(part)


def kind_of_refusal(key, value, headers=()):
    with pytest.raises(Malformed) as error:
        read(key, value, headers)
    return error.value.kind


def envelope(**changes):
    return record("create")[1] | changes


def test_a_create_tells_the_row_and_the_databases_clock():
    key, value = record("create")
    assert read(key, value) == RowWritten(key, None, value["after"], "c", 1_772_366_400_123, incremental=False)


def test_a_wrapped_record_tells_the_same_and_its_columns_types():
    key, value = record("create_wrapped")
    event = read(key, value)
    assert event.key == {"id": 7}
    assert event.after == value["payload"]["after"]
    assert event.source_ts_ms == 1_772_366_400_123
    assert event.types["body"] == ColumnType("string")
    assert event.types["seen_at"] == ColumnType("int64", "io.debezium.time.MicroTimestamp")
    assert event.types["price"] == ColumnType("bytes", "org.apache.kafka.connect.data.Decimal", 2)


def test_key_and_value_are_wrapped_independently():
    wrapped_key, wrapped_value = record("create_wrapped")
    plain_key, plain_value = record("create")
    assert read(wrapped_key, plain_value) == read(plain_key, plain_value)
    assert read(plain_key, wrapped_value) == read(wrapped_key, wrapped_value)


def test_a_wrapper_without_a_schema_is_a_wrapper():
    key, value = record("create")
    assert read({"schema": None, "payload": key}, {"schema": None, "payload": value}) == read(key, value)


def test_key_columns_named_schema_and_payload_are_no_wrapper():
    key = {"schema": "public", "payload": 7}
    assert read(key, envelope()).key == key


@pytest.mark.parametrize(
    ("snapshot", "told"),
    [
        ("first", True),
        ("true", True),
        ("last", True),
        ("first_in_data_collection", True),
        ("last_in_data_collection", True),
        ("incremental", True),
        (True, True),
        ("false", False),
        (False, False),
        (None, False),
    ],
)
def test_a_snapshot_read_is_a_row_whatever_its_snapshot_says(snapshot, told):
    key, value = record("snapshot_read")
    value["source"]["snapshot"] = snapshot
    event = read(key, value)
    assert (event.op, event.snapshot, event.after) == ("r", told, value["after"])


def test_an_update_brings_the_row_as_it_was_where_the_log_has_it():
    event = read(*record("update_unchanged_toast_identity_full"))
    assert (event.op, event.before["body"]) == ("u", "Coroutine objects are awaitable.")


def test_a_delete_names_its_row_by_the_key():
    key, value = record("delete")
    assert read(key, value) == RowDeleted(key, value["before"], 1_772_366_410_000)
    assert read(key, value | {"before": None}) == RowDeleted(key, None, 1_772_366_410_000)


@pytest.mark.parametrize("value", [None, {"schema": None, "payload": None}])
def test_a_null_value_is_the_tombstone_behind_a_delete(value):
    assert read({"id": 7}, value) == Tombstone({"id": 7})


def test_a_changed_primary_key_is_a_delete_and_a_create():
    new = orjson.dumps({"id": 8})
    old = orjson.dumps({"id": 7})
    assert isinstance(read(*record("delete"), (("__debezium.newkey", new),)), RowDeleted)
    created = read({"id": 8}, envelope(), (("__debezium.oldkey", old),))
    assert (created.key, created.op) == ({"id": 8}, "c")


def test_a_composite_key_keeps_its_columns_in_order():
    event = read(b'{"region":"eu","id":7,"part":null}', envelope())
    assert list(event.key.items()) == [("region", "eu"), ("id", 7), ("part", None)]


def test_a_truncate_has_no_key():
    assert read(*record("truncate")) == Truncated(1_772_366_420_000)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("heartbeat", "heartbeat"),
        ("transaction_end", "transaction marker"),
        ("logical_message", "logical decoding message"),
    ],
)
def test_a_record_about_no_row_says_what_it_is(name, why):
    assert read(*record(name)) == NotARow(why)


@pytest.mark.parametrize("source", [None, {}, {"ts_ms": None}])
def test_an_event_without_the_databases_clock_has_none(source):
    assert read({"id": 7}, envelope(source=source)).source_ts_ms is None


def test_nul_emoji_and_right_to_left_text_are_text():
    text = "a\0b 😀 \u202eשלום"
    after = record("create")[1]["after"] | {"body": text}
    assert read({"id": 7}, envelope(after=after)).after["body"] == text


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "missing-key"),
        (b"null", "missing-key"),
        ({"schema": None, "payload": None}, "missing-key"),
        (b"", "undecodable"),
        (b"\xff", "undecodable"),
        (b"Struct{id=7}", "undecodable"),
        (b'{"id":"\\udfff"}', "undecodable"),
        (b"7", "key"),
        (b"[7]", "key"),
        (b"{}", "key"),
        (b'{"id":18446744073709551616}', "integer-range"),
    ],
)
@pytest.mark.parametrize("value", ["create", "delete", "tombstone"])
def test_a_row_without_a_readable_key_is_malformed(key, kind, value):
    assert kind_of_refusal(key, None if value == "tombstone" else record(value)[1]) == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", "undecodable"),
        (b"\xff\xfe", "undecodable"),
        (b'{"op":"c"', "undecodable"),
        (b'{"op":"c","after":{"body":"\\ud800"}}', "undecodable"),
        (b'{"op":"c","after":{"n":NaN}}', "undecodable"),
        (b'{"op":"c","after":{"n":99999999999999999999}}', "integer-range"),
        (b"null", "envelope"),
        (b"7", "envelope"),
        (b"[]", "envelope"),
        (b"{}", "flattened"),
        (envelope(op="x"), "unknown-op"),
        (envelope(op=None), "unknown-op"),
        (envelope(op=["c"]), "unknown-op"),
        (envelope(after=None), "envelope"),
        (envelope(after='{"_id": 7}'), "wrong-format"),
        ({"before": None, "after": {"id": 7}, "source": {"connector": "postgresql"}}, "unknown-op"),
        (envelope(before=[]), "envelope"),
        (envelope(source="kb"), "envelope"),
        (envelope(source={"ts_ms": "now"}), "envelope"),
        (envelope(source={"ts_ms": 1.5}), "envelope"),
        (envelope(source={"ts_ms": True}), "envelope"),
        (envelope(source={"snapshot": 3}), "envelope"),
        ({"schema": {"type": "struct"}, "payload": 7}, "envelope"),
    ],
)
def test_what_is_no_envelope_is_malformed(value, kind):
    assert kind_of_refusal({"id": 7}, value) == kind


@pytest.mark.parametrize(
    "schema", [{"type": "struct", "fields": [7, {"field": "after", "fields": [{"type": 1}]}]}, None]
)
def test_a_schema_of_another_shape_tells_no_types(schema):
    assert read({"id": 7}, {"schema": schema, "payload": envelope()}).types == {}


@pytest.mark.parametrize(
    "value",
    [
        PLACEHOLDER,
        [PLACEHOLDER],
        {PLACEHOLDER: PLACEHOLDER},
        '{"__debezium_unavailable_value":"__debezium_unavailable_value"}',
        "b68a35a7-17ad-35b3-af2a-ae46edb4545a",
        ["b68a35a7-17ad-35b3-af2a-ae46edb4545a"],
        list(PLACEHOLDER.encode()),
        base64.b64encode(PLACEHOLDER.encode()).decode(),
        [base64.b64encode(PLACEHOLDER.encode()).decode()],
        PLACEHOLDER.encode().hex(),
        *PLACEHOLDERS,
    ],
)
def test_a_placeholder_is_known_in_the_form_of_every_type(value):
    assert is_placeholder(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "text", f"about {PLACEHOLDER}", [], {}, [PLACEHOLDER, "b"], [95], 0, 1.5, True, {"a": PLACEHOLDER}],
)
def test_a_value_is_no_placeholder(value):
    assert not is_placeholder(value)
