"""What erasing a document comes to: whether it may be erased, and what is nulled in the chunk topic.

The last state of a document's keys says whether it lives: an upsert, or a delete. One that lives is not erased: its
source would bring it back, and nulling its keys would take it from every index that is built later. One that is
deleted has *every* key nulled where it stands, in every chunking and partition, those of revisions that were
published again first: compaction may stop anywhere between two nulls, and a replay that met an old revision without
the delete behind it would bring the document back. For the same reason a null carries, in its headers, the version of
the delete that it stands for: a reader that finds the null in place of the delete deletes at that version
(``stream.intake``), and that is all that a null can ever do. Its key names the document; nothing else of it is left.

Laws: an erased document is in no index that is fed by the topic, wherever its reader stands when the topic is
compacted, until a newer revision of it comes; a newer revision is not lost to a null that was written behind it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from schemas import chunk_codec
from schemas.chunk_codec import ChunkKey
from schemas.chunk_event import ERASED_HEADER, ChunkEvent, EventHeaders, Headers
from schemas.identity import DocId, Fingerprint, Version, source_of
from schemas.malformed import Malformed
from stream.ports import Outgoing, Partition, Record
from stream.republication import republished
from stream.revision import ChunkTopic

ERASED = b"true"


@dataclass(frozen=True, slots=True)
class Last:
    """The last record of a key. ``version`` is None where it is of another lineage, or says nothing."""

    null: bool
    erased: bool
    """Whether it is a null that erasing wrote."""
    version: Version | None


@dataclass(slots=True)
class Trail:
    """What the chunk topic says of one document, in all its chunkings."""

    document: DocId
    lineage: str
    """Of its source now; of events from before its topics were made anew only the keys count."""
    newest: ChunkEvent | None = None
    """The newest revision, or the delete that a null stands for."""
    place: Partition | None = None
    offset: int = -1
    """Of the newest revision's last record."""
    keys: dict[tuple[Partition, bytes], Last] = field(default_factory=dict)
    """By key as written, in the partition where it stands: the topic may have had fewer partitions once."""
    revisions: dict[Fingerprint, ChunkEvent] = field(default_factory=dict)
    """The newest of each chunking."""

    def follow(self, record: Record, key: ChunkKey) -> None:
        """Takes one of the document's records, in the order of its partition; one may come twice."""
        assert record.key is not None  # noqa: S101 - the key was read from it
        event = deleted_by(record, key) if record.value is None else _event(record.value)
        if event is not None and (event.lineage != self.lineage or event.doc_id != self.document):
            event = None
        erased = record.value is None and (ERASED_HEADER, ERASED) in record.headers
        version = None if event is None else event.version
        self.keys[record.partition, record.key] = Last(record.value is None, erased, version)
        if event is None:
            return
        known = self.revisions.get(key.chunking)
        if known is None or event.version >= known.version:
            self.revisions[key.chunking] = event
        if self.newest is None or event.version >= self.newest.version:
            self.newest, self.place, self.offset = event, record.partition, record.offset

    @property
    def lives(self) -> bool:
        """Whether the document's last state is that it is there, with or without text."""
        return self.newest is not None and self.newest.kind == "upsert"


def trails(documents: Iterable[DocId], records: Iterable[Record], lineages: Mapping[str, str]) -> dict[DocId, Trail]:
    """One a document. ``records``: of all partitions of the chunk topic; ``lineages``: source → lineage now."""
    found = {document: Trail(document, lineages.get(source_of(document), "")) for document in documents}
    follow(found, records)
    return found


def follow(found: Mapping[DocId, Trail], records: Iterable[Record]) -> None:
    """Takes what the topic held beyond."""
    for record in records:
        try:
            key = chunk_codec.decode_key(record.key)
        except Malformed:
            continue
        if key.doc_id in found:
            found[key.doc_id].follow(record, key)


def nulls(trail: Trail) -> list[Outgoing]:
    """The records that null every key that is not null yet, to be written in this order. Of a document that the
    present lineage does not know there is no delete to stand for.
    """
    return _nulls(trail.newest, [where for where, last in trail.keys.items() if not last.null])


def late_nulls(trail: Trail, delete: ChunkEvent) -> list[Outgoing]:
    """The same for what was written while keys were nulled and is not newer than the delete: an old revision that was
    published again meanwhile.
    """
    late = [
        where
        for where, last in trail.keys.items()
        if not last.null and last.version is not None and last.version <= delete.version
    ]
    return _nulls(delete, late)


def lost(trail: Trail, topic: ChunkTopic) -> list[Outgoing]:
    """Newest revisions behind which erasing wrote a null: compaction would keep the null alone. Each is to be
    published again, under a key of its own.
    """
    again = []
    for chunking, event in sorted(trail.revisions.items()):
        if event.kind != "upsert":
            continue
        kept = nulled = False
        for (_, written), last in trail.keys.items():
            key = chunk_codec.decode_key(written)
            if key.chunking == chunking:
                kept |= not last.null and last.version == event.version
                nulled |= last.erased and key.version is None
        if nulled and not kept:
            again.append(republished(topic, replace(event, recompute=None), chunking))
    return again


def deleted_by(record: Record, key: ChunkKey) -> ChunkEvent | None:
    """The delete that a null stands for; None where it stands for nothing but the end of its key."""
    if record.value is not None or (ERASED_HEADER, ERASED) not in record.headers:
        return None
    try:
        headers = chunk_codec.decode_headers(record.headers)
    except Malformed:
        return None
    if headers.chunking != key.chunking:
        return None
    source = source_of(key.doc_id)
    return ChunkEvent(
        "delete", source, key.doc_id, headers.version, headers.lineage, source_ts_ms=headers.source_ts_ms
    )


def _event(value: bytes) -> ChunkEvent | None:
    try:
        return chunk_codec.decode(value)
    except Malformed:
        return None


def _nulls(delete: ChunkEvent | None, keys: Iterable[tuple[Partition, bytes]]) -> list[Outgoing]:
    """Keys of revisions that were published again before the document's own, each group sorted."""
    made = []
    for place, key in sorted(keys, key=lambda where: (_is_own(where[1]), where[1], where[0])):
        headers: Headers = ()
        if delete is not None:
            chunking = chunk_codec.decode_key(key).chunking
            headers = chunk_codec.encode_headers(
                EventHeaders(chunking, delete.version, delete.lineage, delete.source_ts_ms)
            )
        made.append(Outgoing(place, key, None, (*headers, (ERASED_HEADER, ERASED))))
    return made


def _is_own(key: bytes) -> bool:
    """Whether it is the document's own key in a chunking, and not that of a revision published again."""
    return chunk_codec.decode_key(key).version is None
