"""Records framed by a schema registry, and what they hold, for the adapter's tests."""

import io
import json
from uuid import uuid4

import fastavro

from schemas.wrapped import Wrapped
from stream.ports import Partition, Record

TOPIC = "kb.public.docs"
KEY = {"type": "record", "name": "Key", "namespace": TOPIC, "fields": [{"name": "id", "type": "int"}]}
SAID_KEY = Wrapped(
    {"id": 7},
    {"type": "struct", "name": f"{TOPIC}.Key", "fields": [{"type": "int32", "field": "id"}]},
)


def avro(schema, value):
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(json.dumps(schema))), value)
    return written.getvalue()


def prefixed(number, payload):
    return b"\x00" + number.to_bytes(4, "big") + payload


def record(key=None, value=None, **guids):
    """``key_guid`` and ``value_guid`` name the schemas in headers."""
    headers = tuple(
        (f"__{part.removesuffix('_guid')}_schema_id", b"\x01" + guid.bytes) for part, guid in guids.items()
    )
    return Record(Partition(TOPIC, 0), 41, key, value, headers)


def value_of(unframer, registry, schema, value, kind="AVRO"):
    """As it leaves the frame, written under that schema."""
    number, _ = registry.register(f"{TOPIC}-{uuid4()}", schema, kind)
    payload = avro(schema, value) if kind == "AVRO" else json.dumps(value).encode()
    return unframer.unframed(record(value=prefixed(number, payload)))[1]


def record_of(*fields):
    return {
        "type": "record",
        "name": "Row",
        "fields": [{"name": f"c{place}", "type": type_} for place, type_ in enumerate(fields)],
    }
