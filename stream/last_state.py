"""What the chunk topic says last of each document, small enough to be held for many.

Records are taken in the order of their partitions. Of each key the newest good revision counts, as compaction would
leave it; of a document's keys (its own, and those of revisions that were published again) the one with the highest
version. So the outcome is the same before and after compaction, and whatever was published again late. What an
embedder would drop unread (another chunking, another lineage) is dropped here by the same rule.

A record that no embedder could read leaves the revision before it in force. Where compaction has taken that one, the
document is *unknown*: nobody can tell from the topic what the index should hold of it, and nothing of it is damage.
So is a document of which there is no record, where the beginning of its partition is gone (retention, or deleted
records).

Law: for histories of good records the summary is that of the last revision by version (invariant 1's right side).
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from schemas import chunk_codec
from schemas.chunk_event import ChunkEvent
from schemas.identity import ChunkId, DocId, Version
from schemas.malformed import Malformed
from stream.errors import Poison
from stream.intake import Admission, Erased, Work
from stream.payload import live_payload
from stream.ports import Partition, Record

_WIDTH = 16
"""Bytes of an id, and of a digest."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One revision: where it lies in the topic, and id and payload digest of each chunk, 32 bytes a chunk."""

    version: Version
    source_ts_ms: int | None
    place: Partition
    offset: int
    ids: bytes = b""
    digests: bytes = b""

    @classmethod
    def of(cls, event: ChunkEvent, record: Record, *, store_text: bool) -> "Summary":
        payloads = (
            live_payload(event, position, chunk, store_text=store_text) for position, chunk in enumerate(event.chunks)
        )
        return cls(
            event.version,
            event.source_ts_ms,
            record.partition,
            record.offset,
            b"".join(uuid.UUID(chunk.id).bytes for chunk in event.chunks),
            b"".join(bytes.fromhex(str(payload["payload_digest"])) for payload in payloads),
        )

    def __len__(self) -> int:
        """Chunks."""
        return len(self.ids) // _WIDTH

    def position(self, chunk: ChunkId) -> int | None:
        """Where the chunk stands, counted from 0; None where it is none of this revision's."""
        wanted = uuid.UUID(chunk).bytes
        at = self.ids.find(wanted)
        while at >= 0 and at % _WIDTH:
            at = self.ids.find(wanted, at + 1)
        return at // _WIDTH if at >= 0 else None

    def chunk(self, position: int) -> ChunkId:
        return ChunkId(str(uuid.UUID(bytes=self.ids[position * _WIDTH : (position + 1) * _WIDTH])))

    def digest(self, position: int) -> str:
        """As a payload writes it."""
        return self.digests[position * _WIDTH : (position + 1) * _WIDTH].hex()


@dataclass(slots=True)
class LastState:
    """Of the records taken so far. ``store_text`` as the collection's writers have it."""

    admission: Admission
    store_text: bool
    lost: Callable[[DocId], bool] = lambda _: False
    """Whether the topic may have lost records of a document otherwise than by compaction."""
    held: int = 0
    """Documents and chunks that are held; a document takes some 600 bytes, a chunk 32."""
    _by_key: dict[DocId, dict[Version | None, Summary]] = field(default_factory=dict)
    _unreadable: dict[DocId, None] = field(default_factory=dict)
    _followed: dict[DocId, None] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """The next record of its partition."""
        key = self._key_of(record)
        if key is None:
            return
        try:
            intake = self.admission.of(record)
        except Poison:
            self._unreadable[key.doc_id] = None
            return
        match intake:
            case Work(event):
                self._put(key, Summary.of(event, record, store_text=self.store_text))
            case Erased():
                self._drop(key)
            case _:
                """Another chunking's, or another lineage's."""

    def told_of(self, record: Record) -> DocId | None:
        """The document that a record may say something of, by its key alone."""
        key = self._key_of(record)
        return None if key is None else key.doc_id

    def _key_of(self, record: Record) -> chunk_codec.ChunkKey | None:
        try:
            key = chunk_codec.decode_key(record.key)
        except Malformed:
            return None
        return key if key.chunking in self.admission.sources else None

    def get(self, document: DocId) -> Summary | None:
        """The last good revision; None where the topic has none."""
        keys = self._by_key.get(document)
        return None if not keys else max(keys.values(), key=lambda one: (one.version, one.offset))

    def unknown(self, document: DocId) -> bool:
        """Whether no good revision is left of a document of which the topic speaks, or may have spoken."""
        return not self._by_key.get(document) and (document in self._unreadable or self.lost(document))

    def follows(self, document: DocId) -> bool:
        """Whether it was handed over: what is said of it later belongs here, even where nothing was known."""
        return document in self._followed

    def unknown_documents(self) -> list[DocId]:
        return [document for document in self._unreadable if self.unknown(document)]

    def documents(self) -> Iterator[DocId]:
        """Those with a good revision, deletes among them."""
        return iter(self._by_key)

    def hand_over(self, documents: Mapping[DocId, object], other: "LastState") -> None:
        """What is known of these documents, to one that knows nothing of them."""
        for document in documents:
            other.learn(document, self._by_key.get(document, {}), unreadable=document in self._unreadable)

    def only(self, documents: Mapping[DocId, object]) -> "LastState":
        """The same of these documents alone."""
        kept = LastState(self.admission, self.store_text, self.lost)
        self.hand_over(documents, kept)
        return kept

    def learn(self, document: DocId, keys: Mapping[Version | None, Summary], *, unreadable: bool) -> None:
        """Of a document that was not known: its revisions by the version in their key. It is followed from now on."""
        self._followed[document] = None
        if keys:
            self._by_key[document] = dict(keys)
            self.held += 1 + sum(map(len, keys.values()))
        if unreadable:
            self._unreadable[document] = None

    def _put(self, key: chunk_codec.ChunkKey, found: Summary) -> None:
        keys = self._by_key.get(key.doc_id)
        if keys is None:
            keys = self._by_key[key.doc_id] = {}
            self.held += 1
        known = keys.get(key.version)
        if known is not None and known.version > found.version:
            return
        self.held += len(found) - (0 if known is None else len(known))
        keys[key.version] = found

    def _drop(self, key: chunk_codec.ChunkKey) -> None:
        keys = self._by_key.get(key.doc_id, {})
        known = keys.pop(key.version, None)
        if known is None:
            return
        self.held -= len(known)
        if not keys:
            del self._by_key[key.doc_id]
            self.held -= 1
