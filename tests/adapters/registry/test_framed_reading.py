"""What comes out of a frame, and what of it is poison."""

import json
from decimal import Decimal
from uuid import uuid4

import pytest
from framed_records import KEY, SAID_KEY, TOPIC, avro, prefixed, record, record_of, value_of

from stream.errors import Fatal, Outage, Poison
from stream.ports import Partition, Record

# --- Frames --------------------------------------------------------------------------------------------------------


def test_a_key_of_one_byte_leaves_its_frame_in_either_form(unframer, registry):
    number, guid = registry.register("k", KEY)
    payload = avro(KEY, {"id": 7})
    assert len(payload) == 1
    assert unframer.unframed(record(prefixed(number, payload)))[0] == SAID_KEY
    assert unframer.unframed(record(payload, key_guid=guid))[0] == SAID_KEY


def test_what_is_not_framed_passes_untouched_and_asks_nobody(unframer, registry):
    for said in ((b"7", b'{"a": 1}'), (b"7", None), (None, b""), (b"\x00", b"\x00\x01")):
        assert unframer.unframed(record(*said)) == said
    assert registry.asked == []


def test_a_header_names_the_schema_even_where_the_payload_begins_like_a_prefix(unframer, registry):
    schema = record_of("int", "int", "int", "int", "int", "int")
    _, guid = registry.register("v", schema)
    payload = avro(schema, {f"c{place}": 0 for place in range(6)})
    assert payload == bytes(6)
    told = unframer.unframed(record(None, payload, value_guid=guid))[1]
    assert told.payload == {f"c{place}": 0 for place in range(6)}


def test_a_null_value_under_a_header_is_a_null_value(unframer, registry):
    number, guid = registry.register("k", KEY)
    assert unframer.unframed(record(prefixed(number, avro(KEY, {"id": 7})), None, value_guid=guid)) == (
        SAID_KEY,
        None,
    )


def test_a_header_that_names_no_schema_is_poison(unframer):
    with pytest.raises(Poison, match="__value_schema_id holds 3 bytes") as error:
        unframer.unframed(Record(Partition(TOPIC, 0), 0, None, b"{}", (("__value_schema_id", b"\x01ab"),)))
    assert error.value.kind == "registry-frame"


def test_a_header_without_a_value_is_no_frame(unframer):
    headers = (("__value_schema_id", None), ("__key_schema_id", None))
    assert unframer.unframed(Record(Partition(TOPIC, 0), 0, b"k", b"{}", headers)) == (b"k", b"{}")


# --- Requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guids", [True, False], ids=["guid told", "guid not told"])
def test_a_schema_is_asked_for_once_however_many_records_it_has(unframer, registry, guids):
    number, guid = registry.register("k", KEY)
    registry.guids = guids
    payload = avro(KEY, {"id": 7})
    for _ in range(5):
        unframer.unframed(record(prefixed(number, payload)))
    assert registry.asked == [f"GET /schemas/ids/{number}"]
    registry.guids = True
    for _ in range(5):
        unframer.unframed(record(payload, key_guid=guid))
    assert len(registry.asked) <= 2


def test_references_are_fetched_once_with_the_schema(unframer, registry):
    author = {"type": "record", "name": "Author", "namespace": "kb", "fields": [{"name": "photo", "type": "bytes"}]}
    registry.register("author", author)
    reference = {"name": "kb.Author", "subject": "author", "version": 1}
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [{"name": "by", "type": ["null", "kb.Author"]}, {"name": "also", "type": "kb.Author"}],
    }
    number, _ = registry.register("row", schema, references=[reference])
    whole = json.loads(json.dumps(schema).replace('"kb.Author"]', json.dumps(author) + "]"))
    payload = avro(whole, {"by": {"photo": b"a"}, "also": {"photo": b"b"}})
    for _ in range(3):
        told = unframer.unframed(record(value=prefixed(number, payload)))[1]
        assert told.payload == {"by": {"photo": "YQ=="}, "also": {"photo": "Yg=="}}
    assert sorted(registry.asked) == [f"GET /schemas/ids/{number}", "GET /subjects/author/versions/1"]


def test_json_schemas_that_refer_to_others_are_read(unframer, registry):
    registry.register("author", {"type": "object", "properties": {"name": {"type": "string"}}}, "JSON")
    reference = {"name": "author.json", "subject": "author", "version": 1}
    schema = {"type": "object", "properties": {"by": {"$ref": "author.json"}, "n": {"type": "integer"}}}
    number, _ = registry.register("row", schema, "JSON", [reference])
    told = unframer.unframed(record(value=prefixed(number, b'{"by":{"name":"a"},"n":1}')))[1]
    assert told.payload == {"by": {"name": "a"}, "n": 1}
    assert told.schema["fields"] == [{"type": "int64", "field": "n"}]


# --- Values --------------------------------------------------------------------------------------------------------


def test_logical_types_arrive_as_they_were_written_beyond_the_years_of_a_date(unframer, registry):
    schema = record_of(
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 1},
        {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
        ["null", {"type": "long", "logicalType": "local-timestamp-millis"}],
    )
    uuid = uuid4()
    far = 9 * 10**18
    written = {
        "c0": 2_000_000_000,
        "c1": far,
        "c2": Decimal("12.34"),
        "c3": Decimal("-0.5"),
        "c4": uuid.bytes,
        "c5": -far,
    }
    told = value_of(unframer, registry, schema, written)
    assert told.payload == {
        "c0": 2_000_000_000,
        "c1": far,
        "c2": "BNI=",
        "c3": "////+w==",
        "c4": str(uuid),
        "c5": -far,
    }
    assert [field.get("name") for field in told.schema["fields"]] == [
        "org.apache.kafka.connect.data.Date",
        "io.debezium.time.MicroTimestamp",
        "org.apache.kafka.connect.data.Decimal",
        "org.apache.kafka.connect.data.Decimal",
        "io.debezium.data.Uuid",
        "io.debezium.time.Timestamp",
    ]
    assert [field["parameters"]["scale"] for field in told.schema["fields"][2:4]] == ["2", "1"]


def test_unions_give_the_value_of_their_branch(unframer, registry):
    one = {"type": "record", "name": "One", "fields": [{"name": "raw", "type": "bytes"}]}
    two = {"type": "record", "name": "Two", "fields": [{"name": "raw", "type": "string"}]}
    letters = {"type": "enum", "name": "Letters", "symbols": ["A", "B"]}
    schema = {
        "type": "array",
        "items": [
            "null",
            "string",
            "long",
            "double",
            "bytes",
            "boolean",
            letters,
            one,
            two,
            {"type": "map", "values": "float"},
        ],
    }
    written = [
        None,
        "s",
        2**62,
        float("inf"),
        b"\x00",
        True,
        ("One", {"raw": b"a"}),
        ("Two", {"raw": "a"}),
        {"m": 0.1},
    ]
    told = value_of(unframer, registry, schema, written)
    assert told.payload == [None, "s", 2**62, "Infinity", "AA==", True, {"raw": "YQ=="}, {"raw": "a"}, {"m": 0.1}]


def test_a_record_that_holds_itself_is_read(unframer, registry):
    schema = {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "raw", "type": "bytes"}, {"name": "next", "type": ["null", "Node"]}],
    }
    told = value_of(unframer, registry, schema, {"raw": b"a", "next": {"raw": b"b", "next": None}})
    assert told.payload == {"raw": "YQ==", "next": {"raw": "Yg==", "next": None}}


@pytest.mark.parametrize(("schema", "value", "said"), [("string", "a", "a"), ("bytes", b"a", "YQ=="), ("long", 5, 5)])
def test_a_schema_of_one_primitive_is_read(unframer, registry, schema, value, said):
    number, _ = registry.register("k", json.dumps(schema))
    payload = value if schema == "bytes" else avro(schema, value)
    assert unframer.unframed(record(prefixed(number, payload)))[0].payload == said


def test_json_under_a_frame_keeps_to_what_every_reader_reads_alike(unframer, registry):
    number, _ = registry.register("v", {"type": "object"}, "JSON")
    for payload, kind in (
        (b'{"n":123456789012345678901}', "integer-range"),
        (b'{"n":NaN}', "undecodable"),
        (b"", "undecodable"),
    ):
        with pytest.raises(Poison) as error:
            unframer.unframed(record(value=prefixed(number, payload)))
        assert error.value.kind == kind


# --- Poison --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\xff" * 30, b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"])
def test_bytes_that_their_schema_does_not_describe_are_poison(unframer, registry, payload):
    number, _ = registry.register("v", record_of(["null", "string"], "string"))
    with pytest.raises(Poison, match=f"value is not what schema {number} of the registry describes") as error:
        unframer.unframed(record(value=prefixed(number, payload)))
    assert error.value.kind == "undecodable"
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("text", ["not json", '{"type": "record", "name": "R"}', '"kb.Unknown"', "7"])
def test_a_schema_that_cannot_be_read_is_poison(unframer, registry, text):
    number, _ = registry.register("v", text)
    with pytest.raises(Poison) as error:
        unframer.unframed(record(value=prefixed(number, b"\x00\x00")))
    assert error.value.kind == "registry-schema"


def test_a_schema_that_the_registry_does_not_have_is_doubted_for_two_seconds_then_stops(unframer, registry, clock):
    unknown = record(value=prefixed(99, b"\x00"))
    with pytest.raises(Outage, match="does not have schema 99 yet"):
        unframer.unframed(unknown)
    clock.seconds = 1.9
    with pytest.raises(Outage):
        unframer.unframed(unknown)
    clock.seconds = 2.0
    for _ in range(2):
        with pytest.raises(Fatal, match=r'point \[registry\] at the .* set on_unknown_schema = "dead-letter" there'):
            unframer.unframed(unknown)
    assert registry.asked == ["GET /schemas/ids/99"] * 3


def test_where_that_was_chosen_it_is_poison_then(lenient, registry, clock):
    unknown = record(value=prefixed(99, b"\x00"))
    for clock.seconds in (0.0, 1.9):
        with pytest.raises(Outage):
            lenient.unframed(unknown)
    clock.seconds = 2.0
    for _ in range(5):
        with pytest.raises(Poison, match="does not have; register it there again") as error:
            lenient.unframed(unknown)
    assert error.value.kind == "unknown-schema"
    assert registry.asked == ["GET /schemas/ids/99"] * 3


def test_a_schema_that_a_follower_learns_of_late_is_read(unframer, registry):
    late = record(prefixed(1, avro(KEY, {"id": 7})))
    with pytest.raises(Outage) as error:
        unframer.unframed(late)
    assert error.value.retry_after_s < 1
    registry.register("k", KEY)
    assert unframer.unframed(late)[0] == SAID_KEY


def test_an_unknown_schema_is_asked_for_again_after_a_while(lenient, registry, clock):
    unknown = record(prefixed(1, avro(KEY, {"id": 7})))
    for clock.seconds in (0.0, 2.0):
        with pytest.raises((Outage, Poison)):
            lenient.unframed(unknown)
    registry.register("k", KEY)
    clock.seconds = 301.0
    with pytest.raises(Poison):
        lenient.unframed(unknown)
    clock.seconds = 302.0
    assert lenient.unframed(unknown)[0] == SAID_KEY


def test_many_unknown_numbers_are_forgotten_before_they_fill_the_memory(unframer, registry, monkeypatch):
    monkeypatch.setattr("adapters.schema_registry.client._REMEMBERED", 3)
    for number in range(50, 60):
        with pytest.raises(Outage):
            unframer.unframed(record(prefixed(number, b"")))
    assert len(unframer._schemas._missing) <= 3
