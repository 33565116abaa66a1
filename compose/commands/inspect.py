"""``embedstream inspect DOC_ID``: the source's revision, the chunk event and the points, side by side.

One line a chunk: what the source's text gives today, what the chunk topic says, what is stored. Where all three
agree, the document is fresh; where they do not, the first column that differs says which part is behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from compose.commands.looking import last_change, last_event, live_collection, source_named
from compose.deployment import Deployment
from schemas.chunk_event import ChunkEvent, Json
from schemas.identity import ChunkId, DocId, document_point_id
from stream.change import Delete, Ignore, Upsert
from stream.errors import Poison
from stream.points import Point, State

_SNIPPET = 48


@dataclass(frozen=True, slots=True)
class Inspection:
    """One document in three places."""

    document: DocId
    source: Mapping[str, Json]
    event: Mapping[str, Json] | None
    points: Sequence[Point]
    cut: Sequence[tuple[ChunkId, str]]
    published: Sequence[tuple[ChunkId, str]]

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        return {
            "doc_id": self.document,
            "source": dict(self.source),
            "event": None if self.event is None else dict(self.event),
            "points": [{"id": point.id, "payload": dict(point.payload)} for point in self.points],
        }


def inspect(deployment: Deployment, document: DocId) -> Inspection:
    """Looks in all three places. Raises Misuse for an id of no source."""
    source = source_named(deployment, document)
    topics = deployment.topics()
    change = last_change(deployment, topics, source, document)
    event = last_event(deployment, topics, document)
    with live_collection(deployment) as live:
        stored = live.index.read([document]).get(document, ())
        points = live.index.points([point.id for point in stored])
    cut: Sequence[tuple[ChunkId, str]] = ()
    if isinstance(change, Upsert):
        now = deployment.cutter.event(source.name, change, "")
        cut = [(chunk.id, chunk.text) for chunk in now.chunks]
    published = [] if event is None else [(chunk.id, chunk.text) for chunk in event.chunks]
    return Inspection(document, _told(change), _summary(event), points, cut, published)


def show(found: Inspection, console: Console) -> None:
    """A table: one line a chunk, in the source's order, then what only the index has."""
    console.print(f"document  {found.document}")
    console.print(f"source    {_line(found.source)}")
    console.print(f"event     {'none' if found.event is None else _line(found.event)}")
    stored: dict[str, Mapping[str, Any]] = {point.id: point.payload for point in found.points}
    texts: dict[str, str] = dict([*found.published, *found.cut])
    cut, published = {chunk_id for chunk_id, _ in found.cut}, {chunk_id for chunk_id, _ in found.published}
    own = document_point_id(found.document)
    table = Table("chunk", "source", "event", "point", "version", "passage", box=None, pad_edge=False)
    for chunk_id in dict.fromkeys([*texts, *stored]):
        payload = stored.get(chunk_id)
        passage = " ".join(texts.get(chunk_id, "(the document itself)" if chunk_id == own else "").split())
        table.add_row(
            chunk_id[:8],
            "yes" if chunk_id in cut else "-",
            "yes" if chunk_id in published else "-",
            "-" if payload is None else str(payload.get("state", "?")),
            "-" if payload is None else str(payload.get("version", "?")),
            passage[:_SNIPPET],
        )
    console.print(table)
    live = sum(payload.get("state") == State.LIVE.value for payload in stored.values())
    console.print(f"{len(found.cut)} chunks at the source, {len(found.published)} in the event, {live} live points")


def _told(change: Upsert | Delete | Ignore | Poison | None) -> dict[str, Json]:
    match change:
        case Upsert():
            return {"kind": "upsert", "version": change.version, "title": change.title, "chars": len(change.text)}
        case Delete():
            return {"kind": "delete", "version": change.version}
        case Poison():
            return {"kind": "poison", "why": str(change)}
        case _:
            return {"kind": "unknown", "why": "the CDC topic holds no record of it"}


def _summary(event: ChunkEvent | None) -> dict[str, Json] | None:
    if event is None:
        return None
    return {
        "kind": event.kind,
        "version": event.version,
        "chunks": len(event.chunks),
        "lineage": event.lineage,
        "source_ts_ms": event.source_ts_ms,
    }


def _line(facts: Mapping[str, Json]) -> str:
    return "  ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
