"""Kafka Connect's Avro and JSON Schema converters, as small as tests need them, and the serializers behind them.

A value starts as the JSON converter would write it, ``{"schema", "payload"}`` (``source_forms.wrapped``), and is
written as the other two converters would: their schemas follow ``AvroData`` and ``JsonSchemaData`` (optional fields,
``connect.name``, logical types, named records defined once), and the bytes and frames are made by confluent_kafka's
own serializers, against any registry.
"""

import base64
import json
import math
from typing import Any

from confluent_kafka.schema_registry import (
    SchemaRegistryClient,
    header_schema_id_serializer,
    prefix_schema_id_serializer,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

_AVRO = {
    "boolean": "boolean",
    "int8": "int",
    "int16": "int",
    "int32": "int",
    "int64": "long",
    "float32": "float",
    "float64": "double",
    "string": "string",
    "bytes": "bytes",
}
_LOGICAL = {
    "org.apache.kafka.connect.data.Decimal": "decimal",
    "org.apache.kafka.connect.data.Date": "date",
    "org.apache.kafka.connect.data.Time": "time-millis",
    "org.apache.kafka.connect.data.Timestamp": "timestamp-millis",
}
_JSON = {
    "boolean": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "int64": "integer",
    "float32": "number",
    "float64": "number",
    "string": "string",
    "bytes": "string",
}
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


# --- Avro ----------------------------------------------------------------------------------------------------------


def avro_schema(schema: dict[str, Any], named: set[str] | None = None) -> Any:
    named = set() if named is None else named
    kind = schema["type"]
    if kind == "struct":
        avro = _avro_record(schema, named)
    elif kind == "array":
        avro = {"type": "array", "items": avro_schema(schema["items"], named)}
    elif kind == "map":
        avro = {"type": "map", "values": avro_schema(schema["values"], named)}
    else:
        avro = _avro_primitive(schema)
    return ["null", avro] if schema.get("optional") else avro


def _avro_record(schema: dict[str, Any], named: set[str]) -> Any:
    name = schema.get("name", "io.confluent.connect.avro.ConnectDefault")
    if name in named:
        return name
    named.add(name)
    namespace, _, simple = name.rpartition(".")
    fields = [
        {
            "name": field["field"],
            "type": avro_schema(field, named),
            **({"default": None} if field.get("optional") else {}),
        }
        for field in schema["fields"]
    ]
    return {"type": "record", "name": simple, "namespace": namespace, "fields": fields, "connect.name": name}


def _avro_primitive(schema: dict[str, Any]) -> Any:
    avro: dict[str, Any] = {"type": _AVRO[schema["type"]]}
    if schema["type"] in ("int8", "int16"):
        avro["connect.type"] = schema["type"]
    if "name" in schema:
        avro |= {"connect.version": schema.get("version", 1), "connect.name": schema["name"]}
        if schema["name"] in _LOGICAL:
            avro["logicalType"] = _LOGICAL[schema["name"]]
    if "parameters" in schema:
        avro["connect.parameters"] = schema["parameters"]
        if avro.get("logicalType") == "decimal":
            avro |= {"scale": int(schema["parameters"]["scale"]), "precision": 64}
    return avro if len(avro) > 1 else avro["type"]


def avro_datum(schema: dict[str, Any], payload: Any) -> Any:
    """What the Avro writer takes, of what the JSON converter wrote."""
    match schema["type"]:
        case _ if payload is None:
            pass
        case "struct":
            return {field["field"]: avro_datum(field, payload.get(field["field"])) for field in schema["fields"]}
        case "array":
            return [avro_datum(schema["items"], item) for item in payload]
        case "map":
            return {name: avro_datum(schema["values"], value) for name, value in payload.items()}
        case "bytes":
            return base64.b64decode(payload)
        case "float32" | "float64" if isinstance(payload, str):
            return _WORDS[payload]
    return payload


# --- JSON Schema ---------------------------------------------------------------------------------------------------


def json_schema(schema: dict[str, Any]) -> Any:
    kind = schema["type"]
    if kind == "struct":
        fields = enumerate(schema["fields"])
        told: dict[str, Any] = {
            "type": "object",
            "properties": {field["field"]: _indexed(json_schema(field), place) for place, field in fields},
        }
    elif kind == "array":
        told = {"type": "array", "items": json_schema(schema["items"])}
    elif kind == "map":
        told = {
            "type": "object",
            "connect.type": "map",
            "additionalProperties": json_schema(schema["values"]),
        }
    else:
        told = {"type": _JSON[kind]}
        if kind not in ("boolean", "string"):
            told["connect.type"] = kind
    if "name" in schema:
        told |= {"title": schema["name"], "connect.version": schema.get("version", 1)}
    if "parameters" in schema:
        told["connect.parameters"] = schema["parameters"]
    return {"oneOf": [{"type": "null"}, told]} if schema.get("optional") else told


def _indexed(told: dict[str, Any], place: int) -> dict[str, Any]:
    return {**told, "connect.index": place}


# --- Frames --------------------------------------------------------------------------------------------------------


class FramedWriter:
    """Writes keys and values in frames. ``kind`` is ``avro`` or ``json``, ``form`` ``prefix`` or ``header``."""

    def __init__(self, url: str, kind: str, form: str) -> None:
        self._client = SchemaRegistryClient({"url": url})
        self._kind = kind
        self._conf = {
            "subject.name.strategy": topic_subject_name_strategy,
            "schema.id.serializer": {
                "prefix": prefix_schema_id_serializer,
                "header": header_schema_id_serializer,
            }[form],
        }
        self._serializers: dict[str, Any] = {}

    def record(self, topic: str, key: Any, value: Any) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
        """Key, value and headers; each of the two a ``{"schema", "payload"}`` or None."""
        headers: list[tuple[str, bytes]] = []
        return (
            self._part(topic, MessageField.KEY, key, headers),
            self._part(topic, MessageField.VALUE, value, headers),
            headers,
        )

    def close(self) -> None:
        self._client.close()

    def _part(self, topic: str, field: str, said: Any, headers: list[tuple[str, bytes]]) -> bytes | None:
        if said is None:
            return None
        schema, payload = said["schema"], said["payload"]
        datum = avro_datum(schema, payload) if self._kind == "avro" else payload
        written: bytes | None = self._serializer(schema)(datum, SerializationContext(topic, field, headers))
        return written

    def _serializer(self, schema: dict[str, Any]) -> Any:
        known = json.dumps(schema, sort_keys=True)
        if known not in self._serializers:
            if self._kind == "avro":
                made: Any = AvroSerializer(self._client, json.dumps(avro_schema(schema)), conf=self._conf)
            else:
                told = {"$schema": "http://json-schema.org/draft-07/schema#", **json_schema(schema)}
                made = JSONSerializer(json.dumps(told), self._client, conf=self._conf)
            self._serializers[known] = made
        return self._serializers[known]
