"""Plain documents: a JSON object a record, a null value deletes."""

import pytest

from schemas.malformed import Malformed
from schemas.plain_document import decode
from schemas.row_event import RowDeleted, RowWritten


def kind_of_refusal(key, value):
    with pytest.raises(Malformed) as error:
        decode(key, value, ())
    return error.value.kind


def test_a_json_object_is_the_row():
    event = decode(b'{"id":7}', b'{"id":7,"body":"text","n":null}', ())
    assert event == RowWritten({"id": 7}, None, {"id": 7, "body": "text", "n": None}, "u", None)


def test_a_null_value_deletes_the_document():
    assert decode(b"a/7", None, ()) == RowDeleted("a/7", None, None)


@pytest.mark.parametrize(
    ("key", "read"),
    [
        (b'{"b":1,"a":"x"}', {"b": 1, "a": "x"}),
        (b'"doc \\u00e9"', "doc é"),
        (b"7", "7"),
        (b"007", "007"),
        (b"1e5", "1e5"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (b"true", "true"),
        (b"a/7", "a/7"),
        ("שלום 😀".encode(), "שלום 😀"),
        (b"a\0b", "a\0b"),
    ],
)
def test_a_key_is_columns_a_scalar_or_plain_text(key, read):
    assert decode(key, b"{}", ()).key == read


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "missing-key"),
        (b"", "missing-key"),
        (b'""', "missing-key"),
        (b"null", "missing-key"),
        (b" null ", "missing-key"),
        (b"{}", "key"),
        (b'["a",1]', "key"),
        (b"{7}", "undecodable"),
        (b'"\\ud800"', "undecodable"),
        (b'{"id":"\\udc00"}', "undecodable"),
        (b"\xff", "undecodable"),
        (b'{"id":18446744073709551616}', "integer-range"),
    ],
)
@pytest.mark.parametrize("value", [b"{}", None])
def test_a_document_without_a_readable_key_is_malformed(key, kind, value):
    assert kind_of_refusal(key, value) == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", "undecodable"),
        (b"text", "undecodable"),
        (b"\xff", "undecodable"),
        (b'{"body":"\\ud800"}', "undecodable"),
        (b'{"n":NaN}', "undecodable"),
        (b'{"n":99999999999999999999}', "integer-range"),
        (b"null", "not-an-object"),
        (b"[]", "not-an-object"),
        (b'"text"', "not-an-object"),
    ],
)
def test_a_value_that_is_no_object_is_malformed(value, kind):
    assert kind_of_refusal(b"7", value) == kind


def test_a_text_of_50_megabytes_is_read():
    text = b"a" * 50_000_000
    assert len(decode(b"7", b'{"body":"' + text + b'"}', ()).after["body"]) == len(text)
