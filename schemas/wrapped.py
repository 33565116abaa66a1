"""A key or a value that has left its bytes: what it says, and the schema that came with it.

Kafka Connect's JSON converter writes both into the record, as ``{"schema", "payload"}``; a schema registry keeps the
schema, and the record names it. Either way a decoder sees one thing, so that what the schema tells of a column (its
type, the meaning of its number) is read in one place, and a framed history gives the row events of the unframed one.

Law: ``payload`` holds what the JSON converter would have written for the same value: integers inside 64 bits, bytes
as base64, decimals as the base64 of their unscaled bytes, NaN and the infinities as those words.
"""

from dataclasses import dataclass

from schemas.chunk_event import Json


@dataclass(frozen=True, slots=True)
class Wrapped:
    """``schema`` is in Kafka Connect's own JSON form (``{"type": "struct", "fields": […]}``), or None if unknown."""

    payload: Json
    schema: Json = None


Said = bytes | Wrapped
"""A record's key or value: its bytes as they lie in the topic, or what a registry's frame held."""
