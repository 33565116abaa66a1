"""Debezium's envelopes as another program would write them, and what an index must hold after a history of them.

``expected`` is the oracle: it takes the records of the CDC topics as they lie there and keeps, of each document, the
last revision that can be read, by the pure core and nothing else. No process, topic or index has a part in it.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from compose.deployment import Deployment
from schemas.identity import DocId, Version, document_point_id
from stream.change import Delete, Ignore, Upsert, read_change
from stream.errors import Poison
from stream.points import Payload
from stream.ports import Record, Unframer
from stream.revision import ChunkTopic


def envelope(op: str, after: Any = None, before: Any = None, ts_ms: int = 1_700_000_000_000) -> dict[str, Any]:
    """Without the schema wrapper: ``c u r`` with a row, ``d`` with none."""
    return {
        "before": before,
        "after": after,
        "source": {"version": "3.2.0.Final", "connector": "postgresql", "ts_ms": ts_ms, "snapshot": "false"},
        "op": op,
        "ts_ms": ts_ms + 3,
        "transaction": None,
    }


def row(id_: Any, body: Any, title: Any = None, section: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": id_, "title": title, "body": body, "section": section, "pages": None, **more}


def sentences(count: int, about: str) -> str:
    """A text of that many sentences, all different, each its own chunk or nearly so."""
    return " ".join(f"Sentence {n} speaks of {about} and of number {n} among many words." for n in range(count))


@dataclass(frozen=True)
class Expected:
    """Live points (id → what decides them), and for each deleted document the id of its mark and its versions: a
    delete and the tombstone behind it say the same, so the mark may carry either's.
    """

    live: Mapping[str, Mapping[str, Any]]
    deleted: Mapping[str, range]


def expected(deployment: Deployment, records: Iterable[Record]) -> Expected:
    """``records`` in the order of each partition."""
    live: dict[str, dict[str, Any]] = {}
    deleted: dict[str, range] = {}
    for document, (source, change, since) in _newest(deployment, records).items():
        event = deployment.cutter.event(source, change, "any")
        for place, chunk in enumerate(event.chunks):
            live[chunk.id] = {
                **event.fields,
                "doc_id": document,
                "version": change.version,
                "position": place,
                "count": len(event.chunks),
                "span": list(chunk.span),
                "text": chunk.text,
                **({} if event.title is None else {"title": event.title}),
            }
        if not event.chunks:
            deleted[document_point_id(document)] = range(since, change.version + 1)
    return Expected(live, deleted)


def _newest(deployment: Deployment, records: Iterable[Record]) -> dict[DocId, tuple[str, Upsert | Delete, Version]]:
    """Document → its source, its last good revision, and the first version of the deletes that end its history."""
    sources = {source.topic: source for source in deployment.settings.sources}
    limit = ChunkTopic("any", 1, deployment.settings.chunks.max_event_bytes)
    newest: dict[DocId, tuple[str, Upsert | Delete, Version]] = {}
    with closing(deployment.unframer()) as unframer:
        said = [(record, _unframed(unframer, record)) for record in records]
    for record, parts in said:
        source = sources[record.partition.topic]
        version = Version(record.offset + 1)
        try:
            if isinstance(parts, Poison):
                continue
            change = read_change(source, *parts, record.headers, version, record.timestamp_ms)
            if isinstance(change, Ignore):
                continue
            fingerprint = deployment.contract.accepted[source.name]
            limit.outgoing(deployment.cutter.event(source.name, change, "any"), fingerprint, None)
        except Poison:
            continue
        known = newest.get(change.doc_id)
        again = known is not None and isinstance(known[1], Delete) and isinstance(change, Delete)
        newest[change.doc_id] = source.name, change, known[2] if known is not None and again else version
    return newest


def _unframed(unframer: Unframer, record: Record) -> Any:
    try:
        return unframer.unframed(record)
    except Poison as poison:
        return poison


def live_of(points: Mapping[str, Payload]) -> dict[str, dict[str, Any]]:
    """The live points of an index as ``expected`` gives them."""
    technical = {"source", "source_ts_ms", "state", "payload_digest"}
    return {
        id_: {name: value for name, value in payload.items() if name not in technical}
        for id_, payload in points.items()
        if payload["state"] == "live"
    }


def assert_holds(points: Mapping[str, Payload], deployment: Deployment, records: Iterable[Record]) -> None:
    """``points`` is all that the index has, marks included; it is what the history of the records comes to."""
    wanted = expected(deployment, records)
    assert live_of(points) == wanted.live
    marks = {id_: int(str(one["version"])) for id_, one in points.items() if one["state"] == "deleted"}
    assert marks.keys() == wanted.deleted.keys()
    for id_, version in marks.items():
        assert version in wanted.deleted[id_], f"{points[id_]} is of none of the versions {wanted.deleted[id_]}"
