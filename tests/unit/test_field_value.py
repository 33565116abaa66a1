"""A column's value under its schema, and a payload field of its declared type."""

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.connect_value import DECIMAL, VARIABLE_DECIMAL, decimal
from schemas.instants import MICRO, MILLI, NANO, date_text, time_text, timestamp_text
from schemas.row_event import ColumnType
from stream.errors import Poison
from stream.field_value import field_value

TIME, CONNECT = "io.debezium.time", "org.apache.kafka.connect.data"


def typed(value, semantic, declared, connect="int64", scale=None):
    return field_value("column", value, ColumnType(connect, semantic, scale), declared)


def refusal(value, known, declared):
    with pytest.raises(Poison) as error:
        field_value("column", value, known, declared)
    assert error.value.kind == "field-type"
    return str(error.value)


@pytest.mark.parametrize(
    ("semantic", "value", "text"),
    [
        (f"{TIME}.Date", 20_513, "2026-03-01"),
        (f"{CONNECT}.Date", -1, "1969-12-31"),
        (f"{TIME}.Timestamp", 1_772_366_400_120, "2026-03-01T12:00:00.12Z"),
        (f"{CONNECT}.Timestamp", 0, "1970-01-01T00:00:00Z"),
        (f"{TIME}.MicroTimestamp", -1, "1969-12-31T23:59:59.999999Z"),
        (f"{TIME}.NanoTimestamp", 1_772_366_400_000_000_001, "2026-03-01T12:00:00.000000001Z"),
        (f"{TIME}.ZonedTimestamp", "2026-03-01T12:00:00+02:00", "2026-03-01T12:00:00+02:00"),
        (f"{TIME}.IsoDate", "2026-03-01Z", "2026-03-01"),
        (f"{TIME}.IsoTimestamp", "2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.5Z"),
    ],
)
def test_a_date_or_time_of_a_schema_is_a_datetime(semantic, value, text):
    assert typed(value, semantic, "datetime") == text


@pytest.mark.parametrize(
    ("semantic", "value", "text"),
    [
        (f"{TIME}.Time", 43_200_005, "12:00:00.005"),
        (f"{CONNECT}.Time", 0, "00:00:00"),
        (f"{TIME}.MicroTime", 86_400_000_000, "24:00:00"),
        (f"{TIME}.NanoTime", 1, "00:00:00.000000001"),
        (f"{TIME}.Date", 20_513, "2026-03-01"),
        ("io.debezium.data.Enum", "a", "a"),
        ("io.debezium.data.Uuid", "u", "u"),
        ("io.debezium.data.Json", '{"a":1}', '{"a":1}'),
    ],
)
def test_a_keyword_is_the_text_of_what_the_schema_says(semantic, value, text):
    assert typed(value, semantic, "keyword") == text


@pytest.mark.parametrize("semantic", [f"{TIME}.Date", f"{TIME}.MicroTimestamp", f"{TIME}.Year", None])
def test_an_integer_field_keeps_the_number_that_the_schema_counts_with(semantic):
    assert typed(20_513, semantic, "integer") == 20_513


@pytest.mark.parametrize(
    ("semantic", "value"),
    [
        (f"{TIME}.MicroTimestamp", 9_223_372_036_825_200_000),
        (f"{TIME}.Timestamp", -(10**17)),
        (f"{TIME}.Date", 10**8),
        (f"{CONNECT}.Date", -(10**8)),
    ],
)
def test_a_time_outside_the_calendar_is_poison(semantic, value):
    assert "outside the years 1 to 9999" in refusal(value, ColumnType("int64", semantic), "datetime")


@pytest.mark.parametrize("value", ["2026", 1.5, True, [1]])
def test_a_time_that_is_no_number_where_its_schema_says_one_is_poison(value):
    assert "where its schema" in refusal(value, ColumnType("int64", f"{TIME}.Date"), "datetime")


def test_a_time_of_day_is_no_datetime():
    refusal(5, ColumnType("int32", f"{TIME}.Time"), "datetime")


def test_a_number_of_an_unknown_schema_is_no_datetime():
    refusal(5, ColumnType("int64", f"{TIME}.MicroDuration"), "datetime")


decimals = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**15), max_value=10**15)


def digits(unscaled):
    return base64.b64encode(unscaled.to_bytes((unscaled.bit_length() + 8) // 8, "big", signed=True)).decode()


@given(decimals)
def test_a_decimal_is_exact_with_its_scale_in_the_schema_or_beside_its_digits(number):
    unscaled = int(number.scaleb(3))
    assert decimal(digits(unscaled), ColumnType("bytes", DECIMAL, 3)) == number
    beside = {"scale": 3, "value": digits(unscaled)}
    assert decimal(beside, ColumnType("struct", VARIABLE_DECIMAL)) == number
    assert typed(digits(unscaled), DECIMAL, "float", "bytes", 3) == float(number)
    assert Decimal(typed(digits(unscaled), DECIMAL, "keyword", "bytes", 3)) == number


@pytest.mark.parametrize(
    ("unscaled", "scale", "whole"), [(700, 2, 7), (-7, 0, -7), (7, -3, 7000), (2**63 - 1, 0, 2**63 - 1)]
)
def test_a_whole_decimal_is_an_integer(unscaled, scale, whole):
    assert typed(digits(unscaled), DECIMAL, "integer", "bytes", scale) == whole


@pytest.mark.parametrize(
    ("value", "scale"), [(digits(705), 2), (digits(2**63), 0), (digits(1), -30), (digits(10**40), 0)]
)
def test_a_decimal_that_is_no_integer_of_64_bits_is_none(value, scale):
    refusal(value, ColumnType("bytes", DECIMAL, scale), "integer")


def test_a_decimal_beyond_every_float_is_none():
    refusal(digits(1), ColumnType("bytes", DECIMAL, -400), "float")


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("AQ==", ColumnType("bytes", DECIMAL)),
        ("AQ==", ColumnType("bytes", DECIMAL, 10**6)),
        ("no base64!", ColumnType("bytes", DECIMAL, 2)),
        (7, ColumnType("bytes", DECIMAL, 2)),
        ("AQ==", ColumnType("struct", VARIABLE_DECIMAL)),
        ({"scale": "2", "value": "AQ=="}, ColumnType("struct", VARIABLE_DECIMAL)),
        ({"scale": -(10**9), "value": "AQ=="}, ColumnType("struct", VARIABLE_DECIMAL)),
        ({}, ColumnType("struct", VARIABLE_DECIMAL)),
    ],
)
@pytest.mark.parametrize("declared", ["float", "keyword", "integer"])
def test_a_decimal_that_cannot_be_read_is_poison(value, known, declared):
    assert "decimal" in refusal(value, known, declared) or "digits" in refusal(value, known, declared)


@pytest.mark.parametrize(
    ("declared", "value", "read"),
    [("float", "-12.50", -12.5), ("integer", "12", 12), ("integer", "1.2e1", 12), ("float", "1e5", 100_000.0)],
)
def test_the_text_of_a_decimal_is_a_number_unless_the_schema_says_that_it_is_no_text(declared, value, read):
    assert typed(value, None, declared, "string") == read
    assert field_value("column", value, None, declared) == read
    refusal(value, ColumnType("int32"), declared)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "", "1_000", "0x10", "1e9999", " 1", "१"])
def test_another_text_is_no_number(value):
    refusal(value, ColumnType("string"), "float")
    refusal(value, ColumnType("string"), "integer")


moments = st.datetimes(timezones=st.just(UTC))


@given(moments)
def test_equal_instants_have_equal_texts_whatever_counts_them(moment):
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    text = timestamp_text(micros, MICRO)
    assert datetime.fromisoformat(text) == moment
    assert timestamp_text(micros * 1000, NANO) == text
    if micros % 1000 == 0:
        assert timestamp_text(micros // 1000, MILLI) == text
    assert text.startswith(date_text(micros // (86_400 * MICRO)))
    assert text.endswith(time_text(micros % (86_400 * MICRO), MICRO) + "Z")


@given(st.integers())
def test_any_number_has_a_text_or_none(number):
    for text in (date_text(number), timestamp_text(number, MILLI), time_text(number, NANO)):
        assert text is None or len(text) >= 8
