"""The chunk event's way onto the wire and back: value, headers and key.

Typed by hand, strict about types and unknown names, and in agreement with ``chunk_event.schema.json``: Malformed of
kind ``schema`` is raised exactly where the schema says no. What a schema cannot say is of kind ``inconsistent``: a
document that is not its source's, two chunks of one id, a span that ends before it starts, headers that contradict
their value.

Laws: ``decode(encode(event)) == event`` for every event that :func:`encode` accepts, which are those that
:func:`decode` would; headers and key likewise; no bytes make a decoder raise anything but Malformed. A trace decides
nothing about data, so a ``traceparent`` that is none is dropped, on both ways, and never an error.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from schemas.chunk_event import (
    CHUNKING_HEADER,
    LINEAGE_HEADER,
    SOURCE_TS_HEADER,
    TRACEPARENT_HEADER,
    VERSION_HEADER,
    Chunk,
    ChunkEvent,
    EventHeaders,
    Headers,
    Json,
)
from schemas.identity import ChunkId, DocId, Fingerprint, Version, source_of
from schemas.malformed import Malformed
from schemas.strict_json import INT64_MAX, INT64_MIN, dumps, kind_of, loads

SCHEMA = 1
"""Raised when a reader of the old message would misread the new one."""
MAX_VERSION = 2**53 - 1
"""An index compares versions as doubles."""

_OPTIONAL = {"recompute", "attempt"}
_KNOWN = {"schema"} | {item.name for item in fields(ChunkEvent)}
_REQUIRED = _KNOWN - _OPTIONAL
_CHUNK = {item.name for item in fields(Chunk)}

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FINGERPRINT = re.compile(r"[a-z2-7]{26}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DECIMAL = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


# --- The value -----------------------------------------------------------------------------------------------------


def encode(event: ChunkEvent) -> bytes:
    """The record's value, UTF-8 JSON. Raises Malformed where :func:`decode` would refuse the result."""
    document: dict[str, Json] = {
        "schema": SCHEMA,
        "kind": event.kind,
        "source": event.source,
        "doc_id": event.doc_id,
        "version": event.version,
        "lineage": event.lineage,
        "title": event.title,
        "fields": dict(event.fields),
        "tenant": event.tenant,
        "source_ts_ms": event.source_ts_ms,
        "chunks": [{"id": chunk.id, "span": list(chunk.span), "text": chunk.text} for chunk in event.chunks],
    }
    if event.recompute is not None:
        document["recompute"] = event.recompute
    if event.attempt is not None:
        document["attempt"] = event.attempt
    _event_of(document)
    return dumps(document, "The chunk event")


def decode(value: bytes) -> ChunkEvent:
    """The event. Raises Malformed: ``undecodable``, ``integer-range``, ``schema`` or ``inconsistent``."""
    return _event_of(loads(value, "The chunk event"))


def _event_of(document: Any) -> ChunkEvent:  # noqa: ANN401 - whatever JSON said
    if not isinstance(document, dict):
        raise _violation(f"it is {kind_of(document)}, not an object")
    _names(document, _REQUIRED, _KNOWN, "it")
    if type(document["schema"]) is not int or document["schema"] != SCHEMA:
        raise _violation(f"schema is not {SCHEMA}; a newer message needs newer readers, upgrade them first")
    if document["kind"] not in ("upsert", "delete"):
        raise _violation("kind is neither 'upsert' nor 'delete'")
    event = ChunkEvent(
        kind=document["kind"],
        source=_text(document, "source", _SOURCE),
        doc_id=DocId(_text(document, "doc_id")),
        version=Version(_integer(document["version"], "version", 0, MAX_VERSION)),
        lineage=_text(document, "lineage"),
        title=_text_or_null(document, "title"),
        fields=_fields(document["fields"]),
        tenant=_text_or_null(document, "tenant"),
        source_ts_ms=None
        if document["source_ts_ms"] is None
        else _integer(document["source_ts_ms"], "source_ts_ms", INT64_MIN, INT64_MAX),
        chunks=_chunks(document["chunks"]),
        recompute=_text(document, "recompute") if "recompute" in document else None,
        attempt=_integer(document["attempt"], "attempt", 1, INT64_MAX) if "attempt" in document else None,
    )
    if event.kind == "delete" and (event.chunks or event.fields or event.title is not None):
        raise _violation("a delete carries no chunks, no fields and no title")
    _refuse_inconsistency(event)
    return event


def _refuse_inconsistency(event: ChunkEvent) -> None:
    if source_of(event.doc_id) != event.source or len(event.doc_id) <= len(event.source):
        raise Malformed("inconsistent", f"A chunk event of source {event.source!r} names a document of another one.")
    if len({chunk.id for chunk in event.chunks}) < len(event.chunks):
        raise Malformed("inconsistent", "Two chunks of one chunk event have the same id.")
    if any(chunk.span[0] > chunk.span[1] for chunk in event.chunks):
        raise Malformed("inconsistent", "The span of a chunk ends before it starts.")


def _chunks(value: Any) -> tuple[Chunk, ...]:  # noqa: ANN401 - whatever JSON said
    if not isinstance(value, list):
        raise _violation(f"chunks is {kind_of(value)}, not an array")
    return tuple(_chunk(item) for item in value)


def _chunk(item: Any) -> Chunk:  # noqa: ANN401 - whatever JSON said
    if not isinstance(item, dict):
        raise _violation(f"a chunk is {kind_of(item)}, not an object")
    _names(item, _CHUNK, _CHUNK, "a chunk")
    span = item["span"]
    if not isinstance(span, list) or len(span) != 2:
        raise _violation("a chunk's span is not an array of two integers")
    start, end = (_integer(place, "a place of a span", 0, INT64_MAX) for place in span)
    if type(item["text"]) is not str:
        raise _violation(f"a chunk's text is {kind_of(item['text'])}, not a string")
    return Chunk(ChunkId(_text(item, "id", _UUID)), (start, end), item["text"])


def _fields(value: Any) -> dict[str, Json]:  # noqa: ANN401 - whatever JSON said
    if not isinstance(value, dict):
        raise _violation(f"fields is {kind_of(value)}, not an object")
    for name, content in value.items():
        shown = str(name)[:60]
        for item in content if isinstance(content, list) else (content,):
            if type(item) not in (str, bool, int, float):
                raise _violation(f"field {shown!r} holds {kind_of(item)}; a field is a scalar or an array of scalars")
            if type(item) is float and not math.isfinite(item):
                raise Malformed("not-json", f"Field {shown!r} of the chunk event is not a finite number.")
            if type(item) is int and not INT64_MIN <= item <= INT64_MAX:
                raise Malformed("integer-range", f"Field {shown!r} of the chunk event is an integer beyond 64 bits.")
    return value


def _names(document: Mapping[str, object], required: set[str], known: set[str], what: str) -> None:
    if missing := required - document.keys():
        raise _violation(f"{what} lacks {min(missing)!r}")
    if unknown := document.keys() - known:
        raise _violation(f"{what} has a name that is not known, {min(unknown)[:60]!r}")


def _text(document: Mapping[str, Any], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = document[name]
    if type(value) is not str:
        raise _violation(f"{name} is {kind_of(value)}, not a string")
    if not value or (pattern and not pattern.fullmatch(value)):
        raise _violation(f"{name} has not the form that it must have")
    return value


def _text_or_null(document: Mapping[str, Any], name: str) -> str | None:
    value = document[name]
    if value is not None and type(value) is not str:
        raise _violation(f"{name} is {kind_of(value)}, neither a string nor null")
    return value


def _integer(value: object, name: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _violation(f"{name} is not an integer from {least} to {most}")
    return value


def _violation(what: str) -> Malformed:
    return Malformed("schema", f"The chunk event does not follow its schema: {what}.")


# --- The headers ---------------------------------------------------------------------------------------------------


def encode_headers(headers: EventHeaders) -> Headers:
    """The headers in a fixed order. Raises Malformed where :func:`decode_headers` would refuse the result."""
    try:
        encoded: list[tuple[str, bytes | None]] = [
            (CHUNKING_HEADER, headers.chunking.encode()),
            (VERSION_HEADER, str(headers.version).encode()),
            (LINEAGE_HEADER, headers.lineage.encode()),
        ]
    except UnicodeEncodeError:
        raise Malformed("header", "A header of the chunk event holds a lone surrogate.") from None
    if headers.source_ts_ms is not None:
        encoded.append((SOURCE_TS_HEADER, str(headers.source_ts_ms).encode()))
    if headers.traceparent is not None:
        trace = headers.traceparent.encode("utf-8", "replace")
        if _TRACEPARENT.fullmatch(trace):
            encoded.append((TRACEPARENT_HEADER, trace))
    decode_headers(tuple(encoded))
    return tuple(encoded)


def decode_headers(headers: Headers) -> EventHeaders:
    """What the headers say; others are let through. Raises Malformed of kind ``header`` where one that decides about
    the event is missing, malformed or there twice.
    """
    chunking = _only(headers, CHUNKING_HEADER)
    version = _decimal(_only(headers, VERSION_HEADER), VERSION_HEADER, 0, MAX_VERSION)
    lineage = _only(headers, LINEAGE_HEADER)
    if chunking is None or not _FINGERPRINT.fullmatch(chunking.decode("latin-1")):
        raise _header(CHUNKING_HEADER, "is missing or not a fingerprint")
    if version is None:
        raise _header(VERSION_HEADER, "is missing")
    if not lineage:
        raise _header(LINEAGE_HEADER, "is missing or empty")
    try:
        readable_lineage = lineage.decode()
    except UnicodeDecodeError:
        raise _header(LINEAGE_HEADER, "is not UTF-8") from None
    return EventHeaders(
        chunking=Fingerprint(chunking.decode()),
        version=Version(version),
        lineage=readable_lineage,
        source_ts_ms=_decimal(_only(headers, SOURCE_TS_HEADER), SOURCE_TS_HEADER, INT64_MIN, INT64_MAX),
        traceparent=traceparent_of(headers),
    )


def traceparent_of(headers: Headers) -> str | None:
    """The first well-formed W3C trace of any record, a CDC record's too; None where there is none."""
    for name, value in headers:
        if name == TRACEPARENT_HEADER and value is not None and _TRACEPARENT.fullmatch(value):
            return value.decode()
    return None


def require_agreement(headers: EventHeaders, event: ChunkEvent) -> None:
    """Raises Malformed of kind ``inconsistent`` where a header says another version or lineage than the value."""
    if headers.version != event.version or headers.lineage != event.lineage:
        raise Malformed(
            "inconsistent",
            f"The headers name version {headers.version} of lineage {headers.lineage!r}, the value version "
            f"{event.version} of lineage {event.lineage!r}.",
        )


def _only(headers: Headers, wanted: str) -> bytes | None:
    found = [value for name, value in headers if name == wanted]
    if len(found) > 1:
        raise _header(wanted, "is there more than once")
    return found[0] if found else None


def _decimal(value: bytes | None, name: str, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not _DECIMAL.fullmatch(value) or not least <= int(value) <= most:
        raise _header(name, f"is not a decimal from {least} to {most}")
    return int(value)


def _header(name: str, what: str) -> Malformed:
    return Malformed("header", f"The header {name!r} of the chunk event {what}.")


# --- The key -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChunkKey:
    """``version`` is set on a revision that is published again (redrive, repair): a key of its own."""

    doc_id: DocId
    chunking: Fingerprint
    version: Version | None = None


def encode_key(doc_id: DocId, chunking: Fingerprint, version: Version | None = None) -> bytes:
    """``[doc_id, chunking]``, or ``[doc_id, chunking, version]``. Raises Malformed as :func:`decode_key` does."""
    parts: list[Json] = [doc_id, chunking] if version is None else [doc_id, chunking, version]
    _key_of(parts)
    return dumps(parts, "The chunk event's key")


def decode_key(key: bytes | None) -> ChunkKey:
    """Raises Malformed: ``missing-key``, ``undecodable``, ``integer-range`` or ``key``."""
    if key is None:
        raise Malformed("missing-key", "The chunk event has no key.")
    return _key_of(loads(key, "The chunk event's key"))


def _key_of(parts: Any) -> ChunkKey:  # noqa: ANN401 - whatever JSON said
    if (
        isinstance(parts, list)
        and len(parts) in (2, 3)
        and all(type(part) is str and part for part in parts[:2])
        and _FINGERPRINT.fullmatch(parts[1])
        and (len(parts) == 2 or (type(parts[2]) is int and 0 <= parts[2] <= MAX_VERSION))
    ):
        return ChunkKey(*parts)
    raise Malformed("key", "The chunk event's key is not [doc_id, chunking] or [doc_id, chunking, version].")
