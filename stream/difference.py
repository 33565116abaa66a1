"""How a document of the index differs from its last revision in the topic, point by point and by name.

    missing     a chunk of the revision is not live: not there, a mark, or under another document's name
    orphaned    live, and no chunk of the revision; or of a document that is in no revision
    duplicated  live, and the same passage in the same place as a chunk of the revision, under another id
    stale       live and expected, at an older version than the revision's
    ahead       newer than the newest revision: the topic has lost one, or the version is damaged
    changed     live and expected, and its payload differs: the fields are named
    mark        the *deleted* mark of a document without text is lost or of another version, or one stands on a
                document with text
    vector      the vector is not the one that the contract makes of the text
    gone        the document's row is no longer in the source, as a snapshot of it tells
    foreign     a payload that no planner can read

``ahead`` cannot be repaired at the revision's version, for a planner finds it stale, and a higher version belongs to
another event; ``foreign`` belongs to no document. Everything else can be: the planner of the whole revision with
``recompute`` puts every chunk anew and removes whatever else is live (``stream.delta``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.chunk_event import ChunkEvent, Json
from schemas.identity import ChunkId, DocId, Version, document_point_id
from stream.payload import live_payload
from stream.points import Payload, Point, State
from stream.survey import Foreign, stored_of


class Kind(StrEnum):
    """As above."""

    MISSING = "missing"
    ORPHANED = "orphaned"
    DUPLICATED = "duplicated"
    STALE = "stale"
    AHEAD = "ahead"
    CHANGED = "changed"
    MARK = "mark"
    VECTOR = "vector"
    GONE = "gone"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Difference:
    """One point that is not as it should be; ``detail`` is a clause for a person."""

    kind: Kind
    doc_id: DocId
    id: ChunkId
    version: Version
    """The stored one; that of the revision where nothing is stored."""
    detail: str = ""


def differences(event: ChunkEvent, points: Sequence[Point], *, store_text: bool) -> list[Difference]:
    """``points`` are those stored under the document's name, and those stored under an id of the revision."""
    return [*_chunks(event, points, store_text=store_text), *_others(event, points)]


def orphans(document: DocId, points: Sequence[Point]) -> list[Difference]:
    """Of a document that is in no revision: everything live."""
    return [
        Difference(Kind.ORPHANED, document, stored.id, stored.version, "its document is in no revision")
        for stored in map(stored_of, points)
        if not isinstance(stored, Foreign) and stored.doc_id == document and stored.state is State.LIVE
    ]


def _chunks(event: ChunkEvent, points: Sequence[Point], *, store_text: bool) -> Iterator[Difference]:
    found = {point.id: point.payload for point in points}
    for position, chunk in enumerate(event.chunks):
        payload = found.get(chunk.id)
        if payload is None:
            yield Difference(Kind.MISSING, event.doc_id, chunk.id, event.version, "there is no such point")
            continue
        wanted = live_payload(event, position, chunk, store_text=store_text)
        version = payload.get("version")
        if type(version) is not int:
            yield Difference(Kind.CHANGED, event.doc_id, chunk.id, event.version, "version")
        elif version > event.version:
            yield Difference(Kind.AHEAD, event.doc_id, chunk.id, Version(version), f"the topic has {event.version}")
        elif payload.get("doc_id") == event.doc_id and payload.get("state") in (State.REMOVED, State.DELETED):
            yield Difference(Kind.MISSING, event.doc_id, chunk.id, Version(version), "a mark stands in its place")
        elif changed := _changed(wanted, payload):
            yield Difference(Kind.CHANGED, event.doc_id, chunk.id, Version(version), ", ".join(changed))
        elif version < event.version:
            yield Difference(Kind.STALE, event.doc_id, chunk.id, Version(version), f"the topic has {event.version}")


def _changed(wanted: Payload, payload: Payload) -> list[str]:
    """Names of fields that differ. Of an older version its clock may."""
    older = payload.get("version") != wanted["version"]
    free = {"version"} | ({"source_ts_ms"} if older else set())
    names = (wanted.keys() | payload.keys()) - free
    return sorted(name for name in names if wanted.get(name) != payload.get(name))


def _others(event: ChunkEvent, points: Sequence[Point]) -> Iterator[Difference]:
    """What is stored under the document's name and is no chunk of the revision."""
    own = document_point_id(event.doc_id)
    expected = {chunk.id for chunk in event.chunks}
    passages = {(position, chunk.span) for position, chunk in enumerate(event.chunks)}
    standing: Version | None = None
    for point in points:
        stored = stored_of(point)
        if isinstance(stored, Foreign) or stored.doc_id != event.doc_id or stored.id in expected:
            continue
        if stored.id == own and stored.state is State.DELETED:
            standing = stored.version
        if stored.version > event.version:
            yield Difference(Kind.AHEAD, event.doc_id, stored.id, stored.version, f"the topic has {event.version}")
        elif stored.state is State.LIVE:
            copied = (point.payload.get("position"), _span(point.payload)) in passages
            kind = Kind.DUPLICATED if copied else Kind.ORPHANED
            yield Difference(kind, event.doc_id, stored.id, stored.version, "it is no chunk of the document")
        elif stored.state is State.DELETED and (event.chunks or stored.id != own):
            why = "it says that the document is deleted"
            yield Difference(Kind.MARK, event.doc_id, stored.id, stored.version, why)
    if not event.chunks and (standing is None or standing < event.version):
        why = "the deleted mark is lost" if standing is None else f"the topic has {event.version}"
        yield Difference(Kind.MARK, event.doc_id, own, standing or event.version, why)


def _span(payload: Mapping[str, Json]) -> object:
    span = payload.get("span")
    return tuple(span) if isinstance(span, list) else None
