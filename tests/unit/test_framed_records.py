import re
from uuid import UUID

import pytest

from schemas import plain_document
from schemas.connect_schema import column_types
from schemas.framing import Frame, frame_of
from schemas.json_schema import connect_schema
from schemas.malformed import Malformed
from schemas.row_event import ColumnType, RowDeleted
from schemas.wrapped import Wrapped
from stream.errors import Fatal, Poison
from stream.framed import NoRegistry
from stream.ports import Partition, Record

GUID = UUID("d9f5e7a2-0000-4000-8000-00000000beef")
BY_GUID = (("__value_schema_id", b"\x01" + GUID.bytes),)


def record(value, headers=(), key=b"7"):
    return Record(Partition("kb.public.docs", 0), 3, key, value, headers)


# --- Recognising a frame -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "headers", "frame"),
    [
        (b"\x00\x00\x00\x00\x07payload", (), Frame(7, b"\x00\x00\x00\x00\x07", b"payload")),
        (b"\x00\xff\xff\xff\xff", (), Frame(2**32 - 1, b"\x00\xff\xff\xff\xff", b"")),
        (b"payload", BY_GUID, Frame(GUID, b"\x01" + GUID.bytes, b"payload")),
        (b"\x00\x00\x00\x00\x07", BY_GUID, Frame(GUID, b"\x01" + GUID.bytes, b"\x00\x00\x00\x00\x07")),
        (
            b"payload",
            (("__value_schema_id", b"\x00\x00\x00\x00\x07"),),
            Frame(7, b"\x00\x00\x00\x00\x07", b"payload"),
        ),
        (b"payload", (("__key_schema_id", b"\x01" + GUID.bytes),), None),
        (b"payload", (("__value_schema_id", None),), None),
        (b'{"a": 1}', (), None),
        (b"\x00\x00\x00\x07", (), None),
        (b"\x01" + GUID.bytes + b"payload", (), None),
        (b"", (), None),
    ],
)
def test_a_frame_is_known_by_its_header_or_its_first_byte(data, headers, frame):
    assert frame_of(data, "value", headers) == frame


@pytest.mark.parametrize("named", [b"", b"\x01", b"\x02" + GUID.bytes, b"\x01" + GUID.bytes + b"\x00", b"\x007"])
def test_a_header_that_names_no_schema_is_malformed(named):
    with pytest.raises(Malformed, match=f"holds {len(named)} bytes that name no schema"):
        frame_of(b"payload", "key", (("__key_schema_id", named),))


# --- Without a registry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framed", "part", "schema"),
    [
        (record(b"\x00\x00\x00\x00\x07Avro"), "value", "schema 7"),
        (record(b"{}", BY_GUID), "value", f"the schema of GUID {GUID}"),
        (record(None, key=b"\x00\x00\x00\x00\x07Avro"), "key", "schema 7"),
    ],
)
def test_a_framed_record_stops_a_pipeline_without_a_registry_and_says_what_to_do(framed, part, schema):
    wanted = f"The {part} of a record of topic 'kb.public.docs' is framed by a schema registry ({schema})"
    with pytest.raises(Fatal, match=re.escape(wanted)) as error:
        NoRegistry().unframed(framed)
    assert 'set "url" in [registry]' in str(error.value)
    assert 'on_framed = "dead-letter"' in str(error.value)


def test_a_framed_record_is_a_dead_letter_where_that_was_chosen():
    with pytest.raises(Poison, match=r'set "url" in .registry. to read such records') as error:
        NoRegistry("dead-letter").unframed(record(b"\x00\x00\x00\x00\x07Avro"))
    assert error.value.kind == "registry-framed"


@pytest.mark.parametrize("value", [b'{"op": "c"}', b"\x00\x01", b"", None])
def test_an_unframed_record_passes_untouched_without_a_registry(value):
    assert NoRegistry().unframed(record(value)) == (b"7", value)


# --- Keys of framed documents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "key"),
    [("a/7", "a/7"), (7, "7"), (True, "true"), (1.5, "1.5"), ({"id": 7}, {"id": 7}), ("null", "null")],
)
def test_a_framed_key_is_an_object_or_a_scalar(payload, key):
    assert plain_document.decode(Wrapped(payload), None, ()) == RowDeleted(key, None, None)


@pytest.mark.parametrize(("payload", "kind"), [(None, "missing-key"), ("", "missing-key"), ([7], "key"), ({}, "key")])
def test_a_framed_key_that_names_no_document_is_malformed(payload, kind):
    with pytest.raises(Malformed) as error:
        plain_document.decode(Wrapped(payload), None, ())
    assert error.value.kind == kind


def test_a_framed_document_that_is_no_object_is_malformed():
    with pytest.raises(Malformed) as error:
        plain_document.decode(b"7", Wrapped("text", {"type": "string"}), ())
    assert error.value.kind == "not-an-object"


# --- Types of a row ------------------------------------------------------------------------------------------------


def test_columns_inside_a_column_are_typed_by_their_path():
    inner = {"field": "at", "type": "int64", "name": "io.debezium.time.Timestamp"}
    struct = {
        "type": "struct",
        "fields": [
            {"field": "meta.at", "type": "string"},
            {"field": "meta", "type": "struct", "fields": [inner, {"field": "n", "type": "int32"}]},
        ],
    }
    assert column_types(struct) == {
        "meta": ColumnType("struct"),
        "meta.at": ColumnType("string"),
        "meta.n": ColumnType("int32"),
    }


@pytest.mark.parametrize(
    ("schema", "connect"),
    [
        ({"type": "string", "format": "date-time"}, {"type": "string"}),
        ({"type": "integer", "connect.type": "int16"}, {"type": "int16"}),
        ({"type": ["null", "number"]}, {"type": "float64", "optional": True}),
        ({"type": ["string", "number"]}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "optional": True}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, None),
        (
            {"type": "number", "title": "org.apache.kafka.connect.data.Decimal", "connect.type": "bytes"},
            {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"},
        ),
        ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "boolean"}}}, {"type": "boolean"}),
        ({"$ref": "#/definitions/loop", "definitions": {"loop": {"$ref": "#/definitions/loop"}}}, None),
        ({"$ref": "http://elsewhere/schema.json"}, None),
        ({"const": 7}, None),
        (True, None),
        ([], None),
        ({"type": 7, "oneOf": 7, "$ref": 7}, None),
        ({"type": "object"}, {"type": "struct", "fields": []}),
        ({"type": "object", "properties": 7}, {"type": "struct", "fields": []}),
    ],
)
def test_a_json_schema_is_told_in_the_words_of_connect(schema, connect):
    assert connect_schema(schema) == connect


def test_fields_of_a_json_schema_come_in_the_order_of_connect():
    properties = {"b": {"type": "string", "connect.index": 1}, "a": {"type": "string", "connect.index": 0}, "c": {}}
    fields = connect_schema({"type": "object", "properties": properties})["fields"]
    assert [field["field"] for field in fields] == ["a", "b"]
