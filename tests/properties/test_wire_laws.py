"""Laws of the wire: codecs are inverse, agree with their schemas, and answer any bytes with Malformed at worst."""

import json
import math
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import chunk_codec, dead_letter
from schemas.chunk_event import Chunk, ChunkEvent, EventHeaders
from schemas.dead_letter import DeadLetter
from schemas.malformed import Malformed
from schemas.strict_json import INT64_MAX, INT64_MIN, loads

SCHEMAS = Path(chunk_codec.__file__).parent


def strict_integer(_checker, value):
    """The schemas say that integers are written without a fraction; the specification would also take 1.0."""
    return type(value) is int


def validator(file, *path):
    document = orjson.loads((SCHEMAS / file).read_bytes())
    jsonschema.Draft202012Validator.check_schema(document)
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", strict_integer)
    strict = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)
    return strict({"$ref": "/".join(["#", *path]), "$defs": document["$defs"]} if path else document)


EVENT = validator("chunk_event.schema.json")
KEY = validator("chunk_event.schema.json", "$defs", "key")
HEADERS = validator("chunk_event.schema.json", "$defs", "headers")
LETTER = validator("dead_letter.schema.json")

texts = st.text(max_size=20)
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
versions = st.integers(0, 2**53 - 1)
clocks = st.integers(INT64_MIN, INT64_MAX)
fingerprints = st.from_regex(r"[a-z2-7]{26}", fullmatch=True)
scalars = texts | st.booleans() | clocks | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def chunks(draw):
    start = draw(st.integers(0, 10_000))
    text = draw(texts)
    return Chunk(str(draw(st.uuids())), (start, start + len(text)), text)


@st.composite
def events(draw):
    source = draw(names)
    named = {
        "source": source,
        "doc_id": f"{source}/{draw(texts)}",
        "version": draw(versions),
        "lineage": draw(st.text(min_size=1, max_size=20)),
        "tenant": draw(st.none() | texts),
        "source_ts_ms": draw(st.none() | clocks),
        "recompute": draw(st.none() | names),
        "attempt": draw(st.none() | st.integers(1, INT64_MAX)),
    }
    if draw(st.booleans()):
        return ChunkEvent("delete", **named)
    return ChunkEvent(
        "upsert",
        title=draw(st.none() | texts),
        fields=draw(st.dictionaries(texts, scalars | st.lists(scalars, max_size=3), max_size=3)),
        chunks=tuple(draw(st.lists(chunks(), max_size=3, unique_by=lambda chunk: chunk.id))),
        **named,
    )


def refusal(call, *arguments):
    """The Malformed that the call raised, or None."""
    try:
        call(*arguments)
    except Malformed as error:
        return error
    return None


def places(value, path=()):
    """The path of every value inside a JSON document, the document's own first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from places(item, (*path, name))


@st.composite
def damaged_documents(draw):
    """A chunk event's document with one place removed, replaced or added to: mostly near misses."""
    document = orjson.loads(chunk_codec.encode(draw(events())))
    path = draw(st.sampled_from(list(places(document))))
    damage = draw(json_values)
    if not path:
        return draw(st.sampled_from([damage, {**document, "more": damage}, document]))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if draw(st.booleans()):
        holder[path[-1]] = damage
    else:
        del holder[path[-1]]
    return document


# --- Chunk events --------------------------------------------------------------------------------------------------


@given(events())
def test_an_event_comes_back_as_it_was_and_follows_its_schema(event):
    value = chunk_codec.encode(event)
    assert chunk_codec.decode(value) == event
    assert chunk_codec.encode(chunk_codec.decode(value)) == value
    EVENT.validate(orjson.loads(value))


@given(damaged_documents())
def test_codec_and_schema_refuse_the_same_documents(document):
    error = refusal(chunk_codec.decode, orjson.dumps(document))
    assert error is None or error.kind in ("schema", "inconsistent")
    assert (error is not None and error.kind == "schema") != EVENT.is_valid(document)


@given(st.binary() | st.text().map(str.encode) | json_values.map(orjson.dumps))
def test_no_bytes_make_a_decoder_raise_anything_but_malformed(data):
    for decode in (chunk_codec.decode, chunk_codec.decode_key, lambda value: loads(value, "It")):
        error = refusal(decode, data)
        assert error is None or (error.kind and str(error).endswith("."))


@given(json_values | st.lists(st.integers() | st.floats()))
@example([2**63, 1.5])
@example([1e19, "12345678901234567890"])
def test_what_is_read_is_what_was_written_or_malformed(value):
    """Python's own JSON writes integers of any length: none may come back as another number."""
    written = json.dumps(value).encode()
    error = refusal(loads, written, "It")
    if error is None:
        assert loads(written, "It") == value
    elif error.kind == "integer-range":
        assert any(type(item) is int and not INT64_MIN <= item <= INT64_MAX for item in value)
    else:
        assert error.kind == "undecodable"
        assert any(type(item) is float and not math.isfinite(item) for item in value)


@given(st.builds(EventHeaders, fingerprints, versions, st.text(min_size=1), st.none() | clocks))
def test_headers_come_back_as_they_were_and_follow_their_schema(headers):
    encoded = chunk_codec.encode_headers(headers)
    assert chunk_codec.decode_headers(encoded) == headers
    HEADERS.validate({name: value.decode() for name, value in encoded})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["chunking", "version", "lineage", "source-ts-ms", "traceparent", "x"]),
            st.none()
            | st.binary(max_size=30)
            | st.integers().map(str).map(str.encode)
            | fingerprints.map(str.encode),
        )
    ).map(tuple)
)
def test_any_headers_are_read_or_malformed(headers):
    error = refusal(chunk_codec.decode_headers, headers)
    if error is None:
        read = chunk_codec.decode_headers(headers)
        assert chunk_codec.decode_headers(chunk_codec.encode_headers(read)) == read
    else:
        assert error.kind == "header"


@given(st.text(min_size=1), fingerprints, st.none() | versions)
def test_a_key_comes_back_as_it_was_and_follows_its_schema(doc_id, chunking, version):
    key = chunk_codec.encode_key(doc_id, chunking, version)
    read = chunk_codec.decode_key(key)
    assert (read.doc_id, read.chunking, read.version) == (doc_id, chunking, version)
    KEY.validate(orjson.loads(key))


@given(json_values | st.lists(st.text(max_size=3) | fingerprints | versions, max_size=4))
def test_codec_and_schema_refuse_the_same_keys(parts):
    accepted = refusal(chunk_codec.decode_key, orjson.dumps(parts)) is None
    assert accepted == KEY.is_valid(parts)


# --- Dead letters --------------------------------------------------------------------------------------------------

record_headers = st.lists(
    st.tuples(
        st.text(max_size=8) | st.sampled_from(["embedstream.dead-letter.schema", "embedstream.dead-letter.offset"]),
        st.none() | st.binary(max_size=8),
    ),
    max_size=4,
).map(tuple)
letters = st.builds(
    DeadLetter,
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=60),
    headers=record_headers,
    topic=st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, INT64_MAX),
    stage=texts,
    error_class=texts,
    message=texts,
    version=st.none() | versions,
    lineage=st.none() | texts,
)


@given(letters, st.integers(0, 80))
def test_a_letter_comes_back_as_it_was_whatever_its_record_carried(letter, limit):
    key, value, headers = dead_letter.encode(letter, limit)
    assert dead_letter.decode(key, value, headers) == letter.cut(limit)
    assert (key, headers[: len(letter.headers)]) == (letter.key, letter.headers)
    if letter.value is None or len(letter.value) <= limit:
        assert value == letter.value


@given(letters, st.integers(0, 80))
def test_a_letter_follows_its_schema(letter, limit):
    _, value, headers = dead_letter.encode(letter, limit)
    told = {name: content.decode() for name, content in headers[len(letter.headers) :]}
    truncated = "embedstream.dead-letter.truncated" in told
    LETTER.validate({"headers": told} | ({"truncated_value": orjson.loads(value)} if truncated else {}))


@given(st.none() | st.binary(), st.none() | st.binary(), record_headers)
def test_any_record_is_a_letter_or_malformed(key, value, headers):
    with pytest.raises(Malformed):
        dead_letter.decode(key, value, headers)


@given(letters)
def test_a_letter_about_a_letter_keeps_the_first_one_whole(letter):
    outer = DeadLetter(*dead_letter.encode(letter, 80), "letters", 0, 1, "redrive", "stale", "It came too late.")
    read = dead_letter.decode(*dead_letter.encode(outer, 1_000))
    assert read == outer
    assert dead_letter.decode(read.key, read.value, read.headers) == letter
