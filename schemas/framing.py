"""The frame that a schema registry's serializers put around a key or a value, and how one is recognised.

Two forms are in use. The classic one is a prefix: byte 0, the schema's number in four bytes (big-endian), then the
payload. The newer one is a header, ``__key_schema_id`` or ``__value_schema_id``, which holds byte 1 and the sixteen
bytes of the schema's GUID (or the five bytes of the classic prefix), and leaves the payload alone. The header is
looked at first. Key and value are framed independently of each other.

Nothing has to be configured to tell a framed part from JSON: no JSON text begins with byte 0, and the headers are
reserved. Law: a part is framed, is not, or is Malformed (kind ``registry-frame``), by its bytes and headers alone.
Source: ``confluent_kafka.schema_registry``, ``dual_schema_id_deserializer``.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from schemas.chunk_event import Headers
from schemas.malformed import Malformed

Part = Literal["key", "value"]
SchemaId = int | UUID
"""The number of a schema in its registry, or its GUID."""

HEADERS: dict[Part, str] = {"key": "__key_schema_id", "value": "__value_schema_id"}
_BY_NUMBER, _BY_GUID = 0, 1
_NUMBER_BYTES, _GUID_BYTES = 5, 17
"""The first byte included."""


@dataclass(frozen=True, slots=True)
class Frame:
    """``prefix`` is the schema's name in bytes, wherever it stood; ``body`` the payload behind it."""

    schema: SchemaId
    prefix: bytes
    body: bytes

    @property
    def name(self) -> str:
        """The schema, for a sentence."""
        return f"schema {self.schema}" if isinstance(self.schema, int) else f"the schema of GUID {self.schema}"


def frame_of(data: bytes, part: Part, headers: Headers) -> Frame | None:
    """The frame around one part of a record, or None. Raises Malformed for a header that names no schema."""
    named = next((value for name, value in headers if name == HEADERS[part] and value is not None), None)
    if named is not None:
        return Frame(_schema_id(named, part), named, data)
    if data[:1] != b"\x00" or len(data) < _NUMBER_BYTES:
        return None
    prefix = data[:_NUMBER_BYTES]
    return Frame(_schema_id(prefix, part), prefix, data[_NUMBER_BYTES:])


def _schema_id(named: bytes, part: Part) -> SchemaId:
    if len(named) == _NUMBER_BYTES and named[0] == _BY_NUMBER:
        return int.from_bytes(named[1:], "big")
    if len(named) == _GUID_BYTES and named[0] == _BY_GUID:
        return UUID(bytes=named[1:])
    raise Malformed(
        "registry-frame",
        f"The record's header {HEADERS[part]} holds {len(named)} bytes that name no schema; a registry's serializer "
        "writes byte 1 and a GUID of 16 bytes.",
    )
