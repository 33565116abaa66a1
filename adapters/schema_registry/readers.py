"""How the payloads under one schema are read: put together when the schema is first met, used for each record.

Avro and JSON Schema are read by the client library's own deserializers. They are given a view of the registry that
answers from what was fetched before, so that decoding a record never waits for the network, and two peculiarities of
theirs are stepped around: the Avro one takes a header's payload of five bytes or fewer (a key of one integer) for a
broken frame, so a header's frame is handed over in its prefixed form, whose bytes it reads alike; and it turns
logical types into dates and decimals, so the view's schemas have none (``schemas.avro_schema``).

A schema whose rules change values on reading, such as field encryption, is refused: read without them, ciphertext
would be embedded as if it were text. Protobuf is refused as well.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from confluent_kafka.schema_registry import (
    RegisteredSchema,
    RuleKind,
    RuleMode,
    Schema,
    prefix_schema_id_deserializer,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer

from adapters.schema_registry.client import Asked, RegistrySchemas
from schemas.avro_schema import AvroSchema, without_logical_types
from schemas.avro_value import conversion_of
from schemas.chunk_event import Json
from schemas.framing import Frame, Part, SchemaId
from schemas.json_schema import connect_schema
from schemas.malformed import Malformed
from schemas.strict_json import loads
from schemas.wrapped import Wrapped
from stream.errors import EmbedstreamError, Fatal

Reader = Callable[[Frame, Part], Wrapped]
"""Raises Malformed of kind ``undecodable`` where the schema does not describe the bytes."""

_LONGEST_SAID = 200


class Readers:
    """A reader for each schema of one registry."""

    def __init__(self, schemas: RegistrySchemas) -> None:
        self._schemas = schemas
        view = _View(schemas)
        framed = {
            "schema.id.deserializer": prefix_schema_id_deserializer,
            # Without a subject neither rules nor migrations are looked for.
            "subject.name.strategy": lambda *_: None,
        }
        self._avro = AvroDeserializer(view, return_record_name=True, conf=framed)
        self._json = JSONDeserializer(
            None,
            schema_registry_client=view,
            conf={**framed, "validate": False},
            json_decode=lambda data: loads(data, "The payload"),
        )
        self._made: dict[SchemaId, Reader] = {}

    def of(self, frame: Frame) -> Reader:
        """Raises Malformed for a schema that cannot be read, Poison for one that is unknown, Outage and Fatal."""
        reader = self._made.get(frame.schema)
        if reader is None:
            reader = self._made[frame.schema] = self._reader(frame)
        return reader

    def _reader(self, frame: Frame) -> Reader:
        schema = self._schemas.schema(frame.schema)
        self._refuse_rules(frame, schema)
        references = [_parsed(each, frame) for each in self._references(schema)]
        match schema.schema_type:
            case "AVRO":
                avro = AvroSchema(_parsed(schema, frame), references)
                convert, connect = conversion_of(avro), avro.connect()

                def read(frame: Frame, part: Part) -> Wrapped:
                    value = _decoded(self._avro, frame, part)
                    return Wrapped(value if convert is None else convert(value), connect)

                return read
            case "JSON":
                told = connect_schema(_parsed(schema, frame))
                return lambda frame, part: Wrapped(_decoded(self._json, frame, part), told)
        raise Fatal(
            f"{_capital(frame.name)} in the registry at {self._schemas.url} is of type {schema.schema_type}, which "
            "embedstream does not read; let the producer write Avro or JSON."
        )

    def _references(self, schema: Schema) -> Iterator[Schema]:
        """All schemas that a schema needs, the innermost first."""
        for reference in schema.references or ():
            if reference.subject is None or reference.version is None:
                raise Malformed("registry-schema", f"A reference of {reference.name!r} names no subject and version.")
            found = self._schemas.version(reference.subject, reference.version)
            yield from self._references(found)
            yield found

    def _refuse_rules(self, frame: Frame, schema: Schema) -> None:
        rules = schema.rule_set
        for rule in (*(rules.domain_rules or ()), *(rules.encoding_rules or ())) if rules is not None else ():
            if rule.kind == RuleKind.TRANSFORM and rule.mode in (RuleMode.READ, RuleMode.WRITEREAD):
                raise Fatal(
                    f"{_capital(frame.name)} in the registry at {self._schemas.url} has the rule {rule.name!r} "
                    f"({rule.type}), which changes values on reading and which embedstream does not carry out; read "
                    "a topic that is written without it."
                )


class _View:
    """The part of the library's client that its deserializers call, answered from what is here already."""

    def __init__(self, schemas: RegistrySchemas) -> None:
        self._schemas = schemas
        self._plain: dict[Asked, Schema] = {}

    def config(self) -> dict[str, Any]:
        return {}

    def get_schema(self, schema_id: int, _subject: str | None = None, _form: str | None = None) -> Schema:
        return self._kept(schema_id, lambda: self._schemas.schema(schema_id))

    def get_schema_by_guid(self, guid: str, _form: str | None = None) -> Schema:
        name = UUID(guid)
        return self._kept(name, lambda: self._schemas.schema(name))

    def get_version(self, subject: str, version: int, _deleted: object = None) -> RegisteredSchema:
        schema = self._kept((subject, version), lambda: self._schemas.version(subject, version))
        return RegisteredSchema(subject=subject, version=version, schema_id=None, guid=None, schema=schema)

    def _kept(self, asked: Asked, fetch: Callable[[], Schema]) -> Schema:
        plain = self._plain.get(asked)
        if plain is None:
            plain = self._plain[asked] = _plain(fetch())
        return plain


def _plain(schema: Schema) -> Schema:
    """An Avro schema under which values are read as they were written."""
    if schema.schema_type != "AVRO":
        return schema
    stripped = json.dumps(without_logical_types(json.loads(schema.schema_str or "")))
    return Schema(stripped, "AVRO", schema.references)


def _parsed(schema: Schema, frame: Frame) -> Json:
    try:
        parsed: Json = json.loads(schema.schema_str or "")
    except (ValueError, TypeError, RecursionError) as error:
        raise Malformed("registry-schema", f"{_capital(frame.name)} is not JSON: {error}.") from error
    return parsed


def _decoded(deserializer: Callable[[bytes], Any], frame: Frame, part: Part) -> Any:  # noqa: ANN401 - as it was read
    try:
        return deserializer(frame.prefix + frame.body)
    except (EmbedstreamError, Malformed, MemoryError):
        raise
    except Exception as error:
        # A decoder meets bytes of any kind, and has an error of its own for each way to fail on them.
        said = (str(error).strip().splitlines() or [""])[0][:_LONGEST_SAID].rstrip(".")
        raise Malformed(
            "undecodable",
            f"The record's {part} is not what {frame.name} of the registry describes "
            f"({type(error).__name__}{': ' if said else ''}{said}).",
        ) from error


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
