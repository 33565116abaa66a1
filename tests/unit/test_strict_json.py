"""JSON is read exactly or not at all."""

import pytest

from schemas.malformed import Malformed
from schemas.strict_json import dumps, loads


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\x80",
        b'"\xff"',
        b'"\xed\xa0\x80"',  # a surrogate in the bytes of CESU-8
        rb'"\ud800"',
        rb'{"a": "\udc00 text"}',
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"[" * 2_000 + b"]" * 2_000,
        "\ufeff{}".encode(),
    ],
)
def test_what_is_not_json_in_utf8_is_undecodable(data):
    with pytest.raises(Malformed) as error:
        loads(data, "The value")
    assert error.value.kind == "undecodable"
    assert str(error.value).startswith("The value is not JSON")


@pytest.mark.parametrize(
    "data",
    [
        b"9223372036854775808",
        b"-9223372036854775809",
        b"18446744073709551616",
        b'{"a": [1, {"b": 123456789012345678901234567890}]}',
        b'{"text": "\\"1\\"", "n": 99999999999999999999}',
        b"1" * 300,
    ],
)
def test_an_integer_beyond_64_bits_is_refused_and_never_read_as_a_float(data):
    with pytest.raises(Malformed) as error:
        loads(data, "The value")
    assert error.value.kind == "integer-range"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"0.12345678901234567890123", 0.12345678901234567890123),
        (b"12345678901234567890.5e3", 12345678901234567890.5e3),
        (b"1e30", 1e30),
        (b'"12345678901234567890123"', "12345678901234567890123"),
        (rb'"\\\"99999999999999999999"', '\\"99999999999999999999'),
        (rb'["99999999999999999999\\", 1]', ["99999999999999999999\\", 1]),
        (rb'"\u0000"', "\0"),
        ('"😀 \u202eשלום"'.encode(), "😀 \u202eשלום"),
        (rb'"\ud83d\ude00"', "😀"),
    ],
)
def test_everything_else_is_read_as_it_is_written(data, value):
    assert loads(data, "The value") == value


def test_a_text_of_50_megabytes_of_digits_and_escapes_is_read():
    text = ('9\\n"' * 4 + "1" * 84) * 500_000
    assert loads(dumps(text, "It"), "It") == text


def test_a_lone_surrogate_is_not_written():
    with pytest.raises(Malformed) as error:
        dumps({"text": "\ud800"}, "The event")
    assert error.value.kind == "not-json"
