"""The law of the registry's frames: a framed history says what the same history says unframed.

Whatever the columns and values, a record written by the Avro or JSON Schema serializers, under a prefix or a header,
becomes the row event of the record that the JSON converter writes for it.
"""

import base64
import json
from contextlib import suppress

import numpy as np
import pytest
from connect_converters import FramedWriter
from doubles.schema_registry import SchemaRegistryDouble
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.schema_registry.client import RegistrySchemas
from adapters.schema_registry.unframer import RegistryUnframer
from schemas import debezium, plain_document
from schemas.avro_schema import AvroSchema, without_logical_types
from schemas.avro_value import conversion_of
from schemas.framing import frame_of
from schemas.json_schema import connect_schema
from schemas.malformed import Malformed
from schemas.row_event import RowWritten
from stream.ports import Partition, Record

TOPIC = "kb.public.docs"
WRITERS = [(kind, form) for kind in ("avro", "json") for form in ("prefix", "header")]

texts = st.text(st.characters(codec="utf-8"), max_size=12)
base64s = st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())
specials = st.sampled_from(["NaN", "Infinity", "-Infinity"])


def shortest(number):
    """A 32-bit float as Java prints it, with two digits at least, by another library than ours."""
    return float(np.format_float_scientific(np.float32(number), min_digits=1))


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


PLAIN = {
    "boolean": st.booleans(),
    "int8": integers(8),
    "int16": integers(16),
    "int32": integers(32),
    "int64": integers(64),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False).map(shortest),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "string": texts,
    "bytes": base64s,
}
NAMED = [
    ("int32", "org.apache.kafka.connect.data.Date"),
    ("int32", "org.apache.kafka.connect.data.Time"),
    ("int64", "org.apache.kafka.connect.data.Timestamp"),
    ("int32", "io.debezium.time.Date"),
    ("int64", "io.debezium.time.MicroTimestamp"),
    ("int64", "io.debezium.time.NanoTimestamp"),
    ("string", "io.debezium.time.ZonedTimestamp"),
    ("string", "io.debezium.data.Uuid"),
    ("string", "io.debezium.data.Enum"),
]
DECIMAL = {
    "type": "bytes",
    "name": "org.apache.kafka.connect.data.Decimal",
    "version": 1,
    "parameters": {"scale": "3"},
}
VARIABLE = {
    "type": "struct",
    "name": "io.debezium.data.VariableScaleDecimal",
    "fields": [{"field": "scale", "type": "int32"}, {"field": "value", "type": "bytes"}],
}
INNER = {
    "type": "struct",
    "name": "kb.Inner",
    "fields": [{"field": "raw", "type": "bytes"}, {"field": "ratio", "type": "float32", "optional": True}],
}


@st.composite
def columns(draw, *, with_specials):
    """A column's schema and a value of it, as the JSON converter writes both."""
    kind = draw(st.sampled_from([*PLAIN, "named", "decimal", "variable", "array", "map", "struct", "special"]))
    match kind:
        case "named":
            connect, name = draw(st.sampled_from(NAMED))
            schema, values = {"type": connect, "name": name, "version": 1}, PLAIN[connect]
        case "decimal":
            schema, values = DECIMAL, base64s
        case "variable":
            schema, values = VARIABLE, st.fixed_dictionaries({"scale": integers(8), "value": base64s})
        case "array":
            item = draw(st.sampled_from(list(PLAIN)))
            schema, values = {"type": "array", "items": {"type": item}}, st.lists(PLAIN[item], max_size=3)
        case "map":
            item = draw(st.sampled_from(list(PLAIN)))
            schema = {"type": "map", "keys": {"type": "string"}, "values": {"type": item}}
            values = st.dictionaries(texts, PLAIN[item], max_size=3)
        case "struct":
            ratios = st.none() | PLAIN["float32"]
            schema, values = INNER, st.fixed_dictionaries({"raw": base64s, "ratio": ratios})
        case "special":
            wide = draw(st.sampled_from(["float32", "float64"]))
            schema, values = {"type": wide}, specials if with_specials else PLAIN[wide]
        case plain:
            schema, values = {"type": plain}, PLAIN[plain]
    optional = draw(st.booleans())
    value = draw(st.none() | values) if optional else draw(values)
    return {**schema, "optional": optional}, value


@st.composite
def rows(draw, *, with_specials=True):
    """A struct's schema and a payload of it."""
    drawn = draw(st.lists(columns(with_specials=with_specials), min_size=1, max_size=6))
    fields = [{**schema, "field": f"c{place}"} for place, (schema, _) in enumerate(drawn)]
    return {"type": "struct", "name": f"{TOPIC}.Value", "fields": fields}, {
        f"c{place}": value for place, (_, value) in enumerate(drawn)
    }


KEY = {
    "schema": {"type": "struct", "name": f"{TOPIC}.Key", "fields": [{"field": "id", "type": "int32"}]},
    "payload": {"id": 7},
}


def envelope_of(schema, payload, op):
    """Both rows are of one named type, which Avro defines once."""
    fields = [
        {**schema, "optional": True, "field": "before"},
        {**schema, "optional": True, "field": "after"},
        {"type": "string", "field": "op"},
        {
            "type": "struct",
            "name": "io.debezium.connector.postgresql.Source",
            "field": "source",
            "fields": [
                {"type": "int64", "field": "ts_ms"},
                {"type": "string", "optional": True, "field": "snapshot"},
            ],
        },
    ]
    return {
        "schema": {"type": "struct", "name": f"{TOPIC}.Envelope", "fields": fields},
        "payload": {
            "before": payload if op in "ud" else None,
            "after": None if op == "d" else payload,
            "op": op,
            "source": {"ts_ms": 5, "snapshot": "false"},
        },
    }


@pytest.fixture(scope="module")
def registry():
    double = SchemaRegistryDouble()
    yield double
    double.stop()


@pytest.fixture(scope="module")
def unframer(registry):
    made = RegistryUnframer(RegistrySchemas({"url": registry.url}))
    yield made
    made.close()


@pytest.fixture(scope="module", params=WRITERS, ids="-".join)
def writer(registry, request):
    made = FramedWriter(registry.url, *request.param)
    made.with_specials = request.param[0] == "avro"
    yield made
    made.close()


def read(unframer, decode, key, value, headers=()):
    said = unframer.unframed(Record(Partition(TOPIC, 0), 0, key, value, tuple(headers)))
    return decode(*said, tuple(headers))


def as_json(said):
    return json.dumps(said).encode()


@settings(max_examples=40)
@given(st.data())
def test_a_framed_change_event_is_the_row_event_of_the_unframed_one(unframer, writer, data):
    schema, payload = data.draw(rows(with_specials=writer.with_specials))
    value = envelope_of(schema, payload, data.draw(st.sampled_from("crud")))
    unframed = debezium.decode(as_json(KEY), as_json(value), ())
    assert read(unframer, debezium.decode, *writer.record(TOPIC, KEY, value)) == unframed
    # The two parts are framed independently of each other.
    key, _, headers = writer.record(TOPIC, KEY, None)
    assert read(unframer, debezium.decode, key, as_json(value), headers) == unframed


@settings(max_examples=40)
@given(st.data())
def test_a_framed_document_is_the_row_of_the_unframed_one(unframer, writer, data):
    schema, payload = data.draw(rows(with_specials=writer.with_specials))
    framed = read(
        unframer,
        plain_document.decode,
        *writer.record(TOPIC, KEY, {"schema": schema, "payload": payload}),
    )
    unframed = plain_document.decode(as_json(KEY["payload"]), as_json(payload), ())
    assert isinstance(framed, RowWritten)
    assert (framed.key, framed.after) == (unframed.key, unframed.after)
    assert framed.types.keys() >= payload.keys()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(0, 2**-126, width=32))
@example(2**-149)
def test_a_32_bit_float_becomes_the_decimal_that_java_prints(number):
    assert conversion_of(AvroSchema("float"))(number) == shortest(number)


KEYS = {"int32": integers(32), "int64": integers(64), "boolean": st.booleans(), "string": texts.filter(bool)}


@settings(max_examples=40)
@given(st.data())
def test_a_framed_scalar_names_the_document_that_its_text_names(unframer, writer, data):
    kind = data.draw(st.sampled_from(list(KEYS)))
    key = data.draw(KEYS[kind])
    told = {"schema": {"type": kind}, "payload": key}
    framed = read(unframer, plain_document.decode, *writer.record(f"{TOPIC}.{kind}", told, None))
    assert framed == plain_document.decode(as_json(key), None, ())


heads = st.sampled_from(["__key_schema_id", "__value_schema_id", "other"])
header_lists = st.lists(st.tuples(heads, st.none() | st.binary(max_size=20)), max_size=3).map(tuple)


@given(st.binary(max_size=12) | st.binary(max_size=8).map(lambda tail: b"\x00" + tail), header_lists)
def test_any_bytes_are_framed_or_not_or_malformed_and_no_json_is_taken_for_a_frame(data, headers):
    for part in ("key", "value"):
        with suppress(Malformed):
            frame = frame_of(data, part, headers)
            if frame is None:
                assert headers or data[:1] != b"\x00" or len(data) < 5
                continue
            assert frame.prefix + frame.body in (data, frame.prefix + data)
            assert frame.name


@given(st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_no_json_is_taken_for_a_frame(value):
    assert frame_of(as_json(value), "value", ()) is None


words = st.sampled_from(
    [
        "null",
        "string",
        "long",
        "bytes",
        "double",
        "record",
        "enum",
        "fixed",
        "array",
        "map",
        "kb.Row",
        "Row",
        "object",
        "#",
    ]
)
names = st.sampled_from(
    [
        "type",
        "name",
        "namespace",
        "fields",
        "items",
        "values",
        "logicalType",
        "scale",
        "size",
        "symbols",
        "connect.name",
        "connect.type",
        "connect.parameters",
        "connect.index",
        "properties",
        "oneOf",
        "$ref",
        "title",
    ]
)
schemas = st.recursive(
    st.none() | st.booleans() | st.integers(0, 20) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300)
@given(schemas)
def test_any_json_is_a_schema_or_malformed(schema):
    connect_schema(schema)
    with suppress(Malformed):
        avro = AvroSchema(schema)
        avro.connect()
        conversion_of(avro)
        without_logical_types(schema)
