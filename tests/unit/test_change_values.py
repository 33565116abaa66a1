"""Values of a row that are read, and every way in which one of them can fail."""

from dataclasses import replace

import pytest
from row_changes import DOCS, change, poison, record, written

from stream.errors import Fatal
from stream.source import Column

# --- Wrong values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["title", "body"])
@pytest.mark.parametrize("value", [7, 1.5, True, ["a"], {"a": 1}])
def test_a_text_column_that_is_no_string_is_poison(column, value):
    error = poison(written, {column: value})
    assert (error.kind, repr(column) in str(error)) == ("text-type", True)


def test_a_binary_column_is_no_text_where_the_schema_tells():
    source = replace(DOCS, text=(Column("attachment"),))
    assert poison(change, *record("create_wrapped"), source).kind == "text-type"


@pytest.mark.parametrize(
    ("field_type", "value", "read"),
    [
        ("keyword", "a", "a"),
        ("keyword", ["a", "b"], ["a", "b"]),
        ("keyword", [], []),
        ("integer", -(2**63), -(2**63)),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("float", 1.5, 1.5),
        ("float", 3, 3.0),
        ("integer", 7.0, 7),
        ("integer", "7", 7),
        ("float", "-1.50", -1.5),
        ("boolean", False, False),
        ("boolean", 0, False),
        ("boolean", 1, True),
        ("datetime", "2026-03-01Z", "2026-03-01"),
        ("datetime", "2026-03-01", "2026-03-01"),
        ("datetime", "2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00.123456789Z"),
        ("datetime", "2026-03-01 12:00+02:00", "2026-03-01 12:00:00+02:00"),
    ],
)
def test_a_field_of_its_declared_type_is_kept(field_type, value, read):
    fields = written({"section": value}, replace(DOCS, fields={"section": field_type})).fields
    assert fields == {"section": read}
    assert type(fields["section"]) is type(read)


@pytest.mark.parametrize(
    ("field_type", "value"),
    [
        ("keyword", 7),
        ("keyword", ["a", None]),
        ("keyword", {"a": "b"}),
        ("integer", "7.5"),
        ("integer", "AYY="),
        ("integer", 7.5),
        ("integer", 1e300),
        ("integer", True),
        ("float", "AYY="),
        ("float", "NaN"),
        ("float", False),
        ("boolean", 2),
        ("boolean", 1.0),
        ("boolean", "true"),
        ("datetime", 1_772_366_400_123_456),
        ("datetime", "yesterday"),
        ("datetime", "2026-02-30"),
        ("datetime", "2026-03-01T24:00:00Z"),
        ("datetime", "20260301T120000Z"),
        ("datetime", "2026-03-01\n"),
        ("datetime", "٢٠٢٦-03-01"),
        ("datetime", "+292278994-08-17T07:12:55Z"),
    ],
)
def test_a_field_of_another_type_is_poison(field_type, value):
    error = poison(written, {"section": value}, replace(DOCS, fields={"section": field_type}))
    assert (error.kind, "'section'" in str(error), field_type in str(error)) == ("field-type", True, True)


@pytest.mark.parametrize(
    ("column", "field_type", "read"),
    [
        ("price", "float", 5.0),
        ("price", "keyword", "5.00"),
        ("seen_at", "datetime", "2026-03-01T12:00:00.123456Z"),
        ("seen_at", "keyword", "2026-03-01T12:00:00.123456Z"),
        ("seen_at", "integer", 1_772_366_400_123_456),
        ("updated_at", "datetime", "2026-03-01T12:00:00.123456Z"),
        ("account", "float", 42.0),
    ],
)
def test_a_number_is_what_the_schema_says_that_it_counts(column, field_type, read):
    change_of = change(*record("create_wrapped"), replace(DOCS, fields={column: field_type}))
    assert change_of.fields == {column: read}


def test_bytes_that_are_no_decimal_are_no_field():
    error = poison(change, *record("create_wrapped"), replace(DOCS, fields={"attachment": "keyword"}))
    assert (error.kind, "is binary" in str(error)) == ("field-type", True)


def test_a_numeric_time_without_a_schema_is_poison_that_names_both_cures():
    error = poison(written, {"section": 1_772_366_400_123}, replace(DOCS, fields={"section": "datetime"}))
    assert all(cure in str(error) for cure in ("schemas.enable=true", "time.precision.mode to isostring"))


def test_the_base64_of_a_decimal_without_a_schema_is_poison_that_names_the_cure():
    error = poison(written, {"section": "AYY="}, replace(DOCS, fields={"section": "float"}))
    assert "decimal.handling.mode to string or double" in str(error)


@pytest.mark.parametrize("format_", ["debezium", "mongodb"])
def test_a_source_of_another_format_stops_the_process(format_):
    after = '{"_id": 7}' if format_ == "debezium" else {"id": 7}
    value = {"before": None, "after": after, "source": {}, "op": "c"}
    with pytest.raises(Fatal, match='"mongodb"' if format_ == "debezium" else '"debezium"'):
        change({"id": "7"}, value, replace(DOCS, format=format_))


@pytest.mark.parametrize("account", [1.5, True, ["a"]])
def test_a_tenant_is_a_string_or_an_integer(account):
    assert poison(written, {"account": account}).kind == "tenant-type"


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "missing-key"),
        ({"id": None}, "null-key"),
        ({"id": {"scale": 0, "value": "AQ=="}}, "key-type"),
        ({"id": [7]}, "key-type"),
        (b"\xff", "undecodable"),
        (b'{"id":18446744073709551616}', "integer-range"),
    ],
)
@pytest.mark.parametrize("name", ["create", "delete"])
def test_a_row_that_cannot_be_named_is_poison(key, kind, name):
    assert poison(change, key, record(name)[1]).kind == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"\x80", "undecodable"),
        (b'{"op":"c","after":{"body":"\\ud800"}}', "undecodable"),
        (b'{"op":"u","after":{"body":NaN}}', "undecodable"),
        (b'{"op":"u","after":{"body":18446744073709551616}}', "integer-range"),
        (b"[]", "envelope"),
        ({"op": "x"}, "unknown-op"),
    ],
)
def test_a_malformed_value_is_poison_of_its_kind(value, kind):
    assert poison(change, {"id": 7}, value).kind == kind
