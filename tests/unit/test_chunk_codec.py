"""The chunk event on the wire: its bytes, its headers, its key, and everything that is refused."""

from dataclasses import replace

import orjson
import pytest

from schemas.chunk_codec import (
    ChunkKey,
    decode,
    decode_headers,
    decode_key,
    encode,
    encode_headers,
    encode_key,
    require_agreement,
    traceparent_of,
)
from schemas.chunk_event import Chunk, ChunkEvent, EventHeaders
from schemas.malformed import Malformed

FIRST, SECOND = "5f0c1a52-52c5-5b0a-9d3e-000000000001", "5f0c1a52-52c5-5b0a-9d3e-000000000002"
CHUNKING = "abcdefghijklmnopqrstuvwxy2"
LINEAGE = "Zm9v:8/YmFy:8"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

UPSERT = ChunkEvent(
    "upsert",
    "docs",
    "docs/7",
    42,
    LINEAGE,
    title="Coroutines",
    fields={"section": "datamodel", "tags": ["a", "b"], "pages": 3, "price": 1.5, "public": True},
    tenant="42",
    source_ts_ms=1_772_366_400_123,
    chunks=(Chunk(FIRST, (0, 5), "Hello"), Chunk(SECOND, (7, 13), "שלום 😀")),
)
DELETE = ChunkEvent("delete", "docs", "docs/7", 43, LINEAGE)
HEADERS = EventHeaders(CHUNKING, 42, LINEAGE, 1_772_366_400_123, TRACE)


def document(event=UPSERT):
    return orjson.loads(encode(event))


def kind_of_refusal(value):
    with pytest.raises(Malformed) as error:
        decode(value if isinstance(value, bytes) else orjson.dumps(value))
    return error.value.kind


@pytest.mark.parametrize(
    "event", [UPSERT, DELETE, replace(UPSERT, recompute="docs__x__g1", attempt=2), replace(UPSERT, chunks=())]
)
def test_an_event_comes_back_as_it_was(event):
    assert decode(encode(event)) == event


def test_the_wire_form_is_plain_json_with_every_name_in_its_place():
    assert document(DELETE) == {
        "schema": 1,
        "kind": "delete",
        "source": "docs",
        "doc_id": "docs/7",
        "version": 43,
        "lineage": LINEAGE,
        "title": None,
        "fields": {},
        "tenant": None,
        "source_ts_ms": None,
        "chunks": [],
    }


@pytest.mark.parametrize("name", document().keys())
def test_a_missing_name_breaks_the_schema(name):
    value = document()
    del value[name]
    assert kind_of_refusal(value) == "schema"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": True},
        {"kind": "truncate"},
        {"kind": ["upsert"]},
        {"source": "Docs"},
        {"source": "docs\n"},
        {"doc_id": ""},
        {"version": "42"},
        {"version": True},
        {"version": 42.0},
        {"version": -1},
        {"version": 2**53},
        {"lineage": ""},
        {"lineage": None},
        {"title": 3},
        {"fields": None},
        {"fields": {"a": None}},
        {"fields": {"a": {"b": 1}}},
        {"fields": {"a": [[1]]}},
        {"tenant": 42},
        {"source_ts_ms": "now"},
        {"source_ts_ms": 1.5},
        {"chunks": {}},
        {"chunks": ["text"]},
        {"chunks": [{"id": FIRST, "span": [0, 1]}]},
        {"chunks": [{"id": FIRST, "span": [0, 1], "text": "a", "vector": []}]},
        {"chunks": [{"id": FIRST.upper(), "span": [0, 1], "text": "a"}]},
        {"chunks": [{"id": FIRST + "\n", "span": [0, 1], "text": "a"}]},
        {"chunks": [{"id": FIRST, "span": [0], "text": "a"}]},
        {"chunks": [{"id": FIRST, "span": [-1, 0], "text": "a"}]},
        {"chunks": [{"id": FIRST, "span": [0, True], "text": "a"}]},
        {"chunks": [{"id": FIRST, "span": [0, 1], "text": None}]},
        {"recompute": None},
        {"recompute": ""},
        {"attempt": 0},
        {"attempt": "1"},
        {"embedding": []},
        {"kind": "delete"},
    ],
)
def test_what_breaks_the_schema_is_malformed(change):
    assert kind_of_refusal(document() | change) == "schema"


@pytest.mark.parametrize("value", [b"[]", b"null", b'"event"', b"{}"])
def test_what_is_no_event_is_malformed(value):
    assert kind_of_refusal(value) == "schema"


@pytest.mark.parametrize(
    "change",
    [
        {"doc_id": "other/7"},
        {"doc_id": "docs"},
        {"chunks": [{"id": FIRST, "span": [0, 1], "text": "a"}, {"id": FIRST, "span": [1, 2], "text": "b"}]},
        {"chunks": [{"id": FIRST, "span": [2, 1], "text": "a"}]},
    ],
)
def test_what_contradicts_itself_is_inconsistent(change):
    assert kind_of_refusal(document() | change) == "inconsistent"


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x00\x07{}", b'{"schema": NaN}', b'{"title": "\\ud800"}'])
def test_undecodable_bytes_are_malformed(value):
    assert kind_of_refusal(value) == "undecodable"


def test_an_integer_beyond_64_bits_is_malformed():
    assert kind_of_refusal(encode(UPSERT).replace(b'"pages":3', b'"pages":9223372036854775808')) == "integer-range"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (replace(UPSERT, fields={"score": float("nan")}), "not-json"),
        (replace(UPSERT, fields={"score": [float("inf")]}), "not-json"),
        (replace(UPSERT, fields={"big": 2**63}), "integer-range"),
        (replace(UPSERT, fields={"when": object()}), "schema"),
        (replace(UPSERT, fields={7: "a"}), "not-json"),
        (replace(UPSERT, title="\ud800"), "not-json"),
        (replace(UPSERT, chunks=(Chunk(FIRST, (0, 1), "\udfff"),)), "not-json"),
        (replace(UPSERT, version=2**53), "schema"),
        (replace(UPSERT, source_ts_ms=2**63), "schema"),
        (replace(DELETE, chunks=UPSERT.chunks), "schema"),
        (replace(UPSERT, source="notes"), "inconsistent"),
    ],
)
def test_an_event_that_no_reader_would_take_is_not_written(event, kind):
    with pytest.raises(Malformed) as error:
        encode(event)
    assert error.value.kind == kind


# --- Headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [HEADERS, replace(HEADERS, source_ts_ms=None, traceparent=None, version=0)])
def test_headers_come_back_as_they_were(headers):
    assert decode_headers(encode_headers(headers)) == headers


def test_headers_are_readable_text():
    assert encode_headers(HEADERS) == (
        ("chunking", CHUNKING.encode()),
        ("version", b"42"),
        ("lineage", LINEAGE.encode()),
        ("source-ts-ms", b"1772366400123"),
        ("traceparent", TRACE.encode()),
    )


@pytest.mark.parametrize("name", ["chunking", "version", "lineage"])
@pytest.mark.parametrize("broken", ["missing", "null", "empty", "twice", "not text"])
def test_a_deciding_header_that_is_missing_malformed_or_there_twice_is_malformed(name, broken):
    good = encode_headers(HEADERS)
    told = dict(good)
    headers = {
        "missing": tuple((other, value) for other, value in good if other != name),
        "null": tuple({**told, name: None}.items()),
        "empty": tuple({**told, name: b""}.items()),
        "twice": (*good, (name, told[name])),
        "not text": tuple({**told, name: b"\xff\xfe"}.items()),
    }[broken]
    with pytest.raises(Malformed) as error:
        decode_headers(headers)
    assert error.value.kind == "header"
    assert name in str(error.value)


@pytest.mark.parametrize(
    "version", [b"-1", b"007", b"1.0", b" 1", b"1\n", "٣".encode(), b"9007199254740992", b"9" * 400]
)
def test_a_version_header_is_a_plain_decimal_that_an_index_can_compare(version):
    headers = tuple({**dict(encode_headers(HEADERS)), "version": version}.items())
    with pytest.raises(Malformed):
        decode_headers(headers)


def test_headers_of_other_names_are_let_through():
    assert decode_headers((*encode_headers(HEADERS), ("x", None), ("x", b"\xff"))) == HEADERS


def test_a_trace_that_is_none_is_dropped_and_never_an_error():
    assert decode_headers(encode_headers(replace(HEADERS, traceparent="\ud800nonsense"))).traceparent is None
    assert traceparent_of((("traceparent", None), ("traceparent", b"\xff"), ("traceparent", TRACE.encode()))) == TRACE


@pytest.mark.parametrize("broken", [replace(HEADERS, chunking="short"), replace(HEADERS, lineage="\ud800")])
def test_headers_that_no_reader_would_take_are_not_written(broken):
    with pytest.raises(Malformed):
        encode_headers(broken)


@pytest.mark.parametrize("headers", [replace(HEADERS, version=41), replace(HEADERS, lineage="another")])
def test_headers_that_contradict_their_value_are_inconsistent(headers):
    require_agreement(HEADERS, UPSERT)
    with pytest.raises(Malformed) as error:
        require_agreement(headers, UPSERT)
    assert error.value.kind == "inconsistent"


# --- Keys ----------------------------------------------------------------------------------------------------------


def test_a_key_names_the_document_and_its_chunking():
    assert encode_key("docs/7", CHUNKING) == b'["docs/7","abcdefghijklmnopqrstuvwxy2"]'
    assert decode_key(encode_key("docs/7", CHUNKING)) == ChunkKey("docs/7", CHUNKING)


def test_a_revision_published_again_has_a_key_of_its_own():
    assert encode_key("docs/7", CHUNKING, 42) != encode_key("docs/7", CHUNKING)
    assert decode_key(encode_key("docs/7", CHUNKING, 42)) == ChunkKey("docs/7", CHUNKING, 42)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (None, "missing-key"),
        (b"docs/7", "undecodable"),
        (b'{"id":7}', "key"),
        (b'["docs/7"]', "key"),
        (b'["docs/7","short"]', "key"),
        (b'["","abcdefghijklmnopqrstuvwxy2"]', "key"),
        (b'["docs/7","abcdefghijklmnopqrstuvwxy2",-1]', "key"),
        (b'["docs/7","abcdefghijklmnopqrstuvwxy2",null]', "key"),
        (b'["docs/7","abcdefghijklmnopqrstuvwxy2",1,1]', "key"),
        (b'["docs/7","abcdefghijklmnopqrstuvwxy2",18446744073709551616]', "integer-range"),
    ],
)
def test_a_key_of_another_form_is_malformed(key, kind):
    with pytest.raises(Malformed) as error:
        decode_key(key)
    assert error.value.kind == kind
