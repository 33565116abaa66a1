"""A dead letter keeps the record byte for byte and says where it lay and why it failed."""

from dataclasses import replace

import orjson
import pytest

from schemas.dead_letter import DeadLetter, Truncated, decode, encode
from schemas.malformed import Malformed

LETTER = DeadLetter(
    key=b'{"id": 7}',
    value=b"\x00\xff not json",
    headers=(("__debezium.newkey", b'{"id":8}'), ("x", None), ("x", b"\xff")),
    topic="kb.public.docs",
    partition=3,
    offset=41,
    stage="chunker",
    error_class="undecodable",
    message="The record's value is not JSON – at byte 0.",
    version=42,
    lineage="Zm9v:8/YmFy:8",
)
PREFIX = "embedstream.dead-letter."


def test_key_value_and_headers_are_kept_byte_for_byte():
    key, value, headers = encode(LETTER, 1_000)
    assert (key, value) == (LETTER.key, LETTER.value)
    assert headers[:3] == LETTER.headers
    assert dict(headers[3:]) == {
        PREFIX + "schema": b"1",
        PREFIX + "topic": b"kb.public.docs",
        PREFIX + "partition": b"3",
        PREFIX + "offset": b"41",
        PREFIX + "stage": b"chunker",
        PREFIX + "error-class": b"undecodable",
        PREFIX + "message": "The record's value is not JSON – at byte 0.".encode(),
        PREFIX + "version": b"42",
        PREFIX + "lineage": b"Zm9v:8/YmFy:8",
    }


@pytest.mark.parametrize(
    "letter", [LETTER, replace(LETTER, key=None, value=None, headers=(), version=None, lineage=None)]
)
def test_a_letter_comes_back_as_it_was(letter):
    assert decode(*encode(letter, 1_000)) == letter


def test_a_letter_about_a_letter_keeps_the_first_one_whole():
    first = encode(LETTER, 1_000)
    second = DeadLetter(*first, "kb.dead-letters", 0, 5, "redrive", "stale", "It came too late.")
    inner = decode(*encode(second, 1_000))
    assert decode(inner.key, inner.value, inner.headers) == LETTER


def test_a_value_of_exactly_the_limit_is_kept_and_one_byte_more_is_replaced_by_its_address():
    size = len(LETTER.value)
    assert encode(LETTER, size).value == LETTER.value
    cut = encode(LETTER, size - 1)
    assert orjson.loads(cut.value) == {
        "schema": 1,
        "truncated": True,
        "topic": "kb.public.docs",
        "partition": 3,
        "offset": 41,
        "length": size,
        "blake2b": Truncated.of(LETTER.value).blake2b,
    }
    assert dict(cut.headers)[PREFIX + "truncated"] == b"true"
    assert decode(*cut) == LETTER.cut(size - 1)
    assert decode(*cut).value is None
    assert decode(*cut).truncated == Truncated.of(LETTER.value)


def test_a_cut_letter_can_be_written_again():
    cut = decode(*encode(LETTER, 0))
    assert decode(*encode(cut, 1_000)) == cut


def test_a_message_with_a_lone_surrogate_does_not_block_its_partition():
    assert decode(*encode(replace(LETTER, message="bad \ud800"), 1_000)).message == "bad \\ud800"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("schema", b"2"),
        ("partition", b"-1"),
        ("partition", b"three"),
        ("offset", b""),
        ("offset", b"9" * 30),
        ("offset", b"007"),
        ("version", "٣".encode()),
        ("topic", b"\xff"),
        ("truncated", b"yes"),
        ("truncated", b"true"),
        ("invented", b""),
    ],
)
def test_headers_that_say_something_else_are_no_letter(name, content):
    key, value, headers = encode(LETTER, 1_000)
    told = {**dict(headers[3:]), PREFIX + name: content}
    with pytest.raises(Malformed):
        decode(key, value, tuple(told.items()))


@pytest.mark.parametrize("name", ["schema", "topic", "partition", "offset", "stage", "error-class", "message"])
def test_a_letter_without_one_of_its_headers_is_none(name):
    key, value, headers = encode(LETTER, 1_000)
    with pytest.raises(Malformed) as error:
        decode(key, value, tuple(header for header in headers if header[0] != PREFIX + name))
    assert error.value.kind == "dead-letter"


def test_an_address_that_was_tampered_with_is_refused():
    key, value, headers = encode(LETTER, 0)
    with pytest.raises(Malformed):
        decode(key, value.replace(b'"offset":41', b'"offset":40'), headers)
