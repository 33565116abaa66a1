"""From a change of a row to the chunk event of its document.

Pure: the same change under the same contract gives the same event in every process, which is what lets a redelivered
row name the same points. An event that would not fit the chunk topic is poison, decided by its encoded size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from schemas import chunk_codec
from schemas.chunk_event import Chunk, ChunkEvent, EventHeaders
from schemas.identity import DocId, Fingerprint, chunk_ids
from schemas.malformed import Malformed
from stream.change import Delete, Upsert
from stream.chunking import Passage, cut
from stream.contract import ChunkingContract
from stream.errors import Poison
from stream.partitioning import partition_of
from stream.ports import Outgoing, Partition, Tokenizer
from stream.text import embedded_text, fit_title, normalize, separator_tokens

_WHITE = tuple(sign for sign in map(chr, range(0x3001)) if sign.isspace())
"""Beyond them no character is white space."""
_WIDEST = 4
"""Bytes of one character in UTF-8, at most."""


@dataclass(frozen=True, slots=True)
class Cutter:
    """One chunking contract with its tokenizer: texts in, passages with their ids out."""

    contract: ChunkingContract
    tokenizer: Tokenizer
    _room: int = field(init=False)
    """Tokens of title and passage together, at most."""

    def __post_init__(self) -> None:
        limits = self.contract.max_tokens + self.contract.title_max_tokens
        object.__setattr__(self, "_room", limits + separator_tokens(self.tokenizer))

    def event(self, source: str, change: Upsert | Delete, lineage: str) -> ChunkEvent:
        """The whole revision."""
        if isinstance(change, Delete):
            return ChunkEvent(
                "delete",
                source,
                change.doc_id,
                change.version,
                lineage,
                tenant=change.tenant,
                source_ts_ms=change.source_ts_ms,
            )
        title = self.embedded_title(change.title)
        passages = self._passages(normalize(change.text), title)
        ids = chunk_ids(change.doc_id, (embedded_text(title, passage.text) for passage in passages))
        return ChunkEvent(
            "upsert",
            source,
            change.doc_id,
            change.version,
            lineage,
            title=change.title,
            fields=change.fields,
            tenant=change.tenant,
            source_ts_ms=change.source_ts_ms,
            chunks=tuple(
                Chunk(chunk_id, passage.span, passage.text) for chunk_id, passage in zip(ids, passages, strict=True)
            ),
        )

    def embedded_title(self, title: str | None) -> str | None:
        """The part of a title that is embedded with each passage."""
        return None if title is None else fit_title(title, self.tokenizer, self.contract.title_max_tokens)

    def _passages(self, text: str, title: str | None) -> tuple[Passage, ...]:
        """Passages that fit the encoder behind the title too: counted as they are embedded, and where one has more
        tokens than its parts are allowed, the text is cut again to so many fewer.
        """
        contract = self.contract
        passages = cut(text, contract, self.tokenizer)
        if title is None:
            return passages
        while (excess := self._most_tokens(title, passages) - self._room) > 0:
            if excess >= contract.max_tokens:
                raise Poison(
                    "unsplittable",
                    f"Behind the title {title!r} no passage is short enough for chunking.max_tokens = "
                    f"{self.contract.max_tokens}; raise it, or set chunking.title_max_tokens = 0.",
                )
            contract = replace(contract, max_tokens=contract.max_tokens - excess)
            passages = cut(text, contract, self.tokenizer)
        return passages

    def _most_tokens(self, title: str, passages: Sequence[Passage]) -> int:
        return max(self.tokenizer.counts([embedded_text(title, passage.text) for passage in passages]), default=0)


@dataclass(frozen=True, slots=True)
class ChunkTopic:
    """Where events go: the topic, its size, and the largest event it takes."""

    name: str
    partitions: int
    max_event_bytes: int

    def refuse_hopeless(self, change: Upsert | Delete) -> None:
        """Raises Poison for a text that makes no event small enough, however it is cut; asked before it is.

        Every character that is not white space lies in some passage, so an event is larger than all of them. Cutting
        50 MB takes minutes, in which the group would go on without this member, and the record would come again.
        """
        if isinstance(change, Delete) or len(change.text) * _WIDEST <= self.max_event_bytes:
            return
        blank = sum(change.text.count(sign) * len(sign.encode()) for sign in _WHITE)
        least = len(change.text.encode()) - blank
        if least > self.max_event_bytes:
            raise self._oversized(change.doc_id, f"has a text of {least} bytes")

    def outgoing(self, event: ChunkEvent, chunking: Fingerprint, traceparent: str | None) -> Outgoing:
        """The record of an event. Raises Poison where the event cannot be said or is too large."""
        try:
            value = chunk_codec.encode(event)
        except Malformed as error:
            raise Poison(error.kind, str(error)) from error
        if len(value) > self.max_event_bytes:
            raise self._oversized(event.doc_id, f"makes an event of {len(value)} bytes")
        headers = chunk_codec.encode_headers(
            EventHeaders(chunking, event.version, event.lineage, event.source_ts_ms, traceparent)
        )
        return Outgoing(
            Partition(self.name, partition_of(event.doc_id, self.partitions)),
            chunk_codec.encode_key(event.doc_id, chunking),
            value,
            headers,
        )

    def _oversized(self, document: DocId, what: str) -> Poison:
        return Poison(
            "oversized",
            f"Document {document} {what}, above chunks.max_event_bytes ({self.max_event_bytes}); split the document "
            "at its source, or raise the limit.",
        )
