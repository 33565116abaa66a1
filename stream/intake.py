"""What a record of the chunk topic is to an embedder: work, or something to let pass.

The headers decide first. A record of another chunking, or of another lineage than the collection's, is dropped before
its value is parsed: another group serves it, or its versions cannot be compared. A null value says that the document
was erased from the topic; its points were erased beside it. Where it names the delete that it stands for
(``stream.erasure``), it is that delete: a reader may find it in place of the delete, after compaction. Whatever else
cannot be read is poison.

Where a partition is read again for a source that joined (see ``stream.claim``), what was done before is passed over
by its header too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas import chunk_codec
from schemas.chunk_event import ChunkEvent, EventHeaders
from schemas.identity import Fingerprint
from schemas.malformed import Malformed
from stream.claim import NOTHING, Claim
from stream.erasure import deleted_by
from stream.errors import Poison
from stream.ports import Record


@dataclass(frozen=True, slots=True)
class Mismatched:
    """Another chunking's event, unread."""

    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class OtherLineage:
    """An event from before its topic was made anew, unread."""

    source: str
    lineage: str


@dataclass(frozen=True, slots=True)
class Erased:
    """A null value."""


@dataclass(frozen=True, slots=True)
class Work:
    """A revision to apply."""

    event: ChunkEvent
    headers: EventHeaders


@dataclass(frozen=True, slots=True)
class Repeated:
    """A record that a member of the group was done with before the partition was read again, unread."""


Intake = Work | Mismatched | OtherLineage | Erased | Repeated


@dataclass(frozen=True, slots=True)
class Admission:
    """What a collection accepts: header fingerprint → source, and source → lineage."""

    sources: Mapping[Fingerprint, str]
    lineages: Mapping[str, str]

    def of(self, record: Record, claim: Claim = NOTHING) -> Intake:
        """Raises Poison where the record is neither of these. ``claim`` tells what of its partition is done."""
        if record.value is None:
            return self._null(record, claim)
        try:
            headers = chunk_codec.decode_headers(record.headers)
        except Malformed as error:
            if record.offset < claim.read_to:
                return Repeated()
            raise Poison(error.kind, str(error)) from error
        if claim.covers(headers.chunking, record.offset):
            return Repeated()
        return self._under(headers, record, record.value)

    def _null(self, record: Record, claim: Claim) -> Intake:
        """A delete at its own version, or nothing to do; never poison."""
        try:
            key = chunk_codec.decode_key(record.key)
            delete = deleted_by(record, key)
            if delete is None or self.sources.get(key.chunking) != delete.source:
                return Erased()
            if claim.covers(key.chunking, record.offset):
                return Repeated()
            if self.lineages.get(delete.source) != delete.lineage:
                return OtherLineage(delete.source, delete.lineage)
            return Work(delete, chunk_codec.decode_headers(record.headers))
        except Malformed:
            return Erased()

    def _under(self, headers: EventHeaders, record: Record, value: bytes) -> Intake:
        try:
            source = self.sources.get(headers.chunking)
            if source is None:
                return Mismatched(headers.chunking)
            if self.lineages.get(source) != headers.lineage:
                return OtherLineage(source, headers.lineage)
            key = chunk_codec.decode_key(record.key)
            event = chunk_codec.decode(value)
            chunk_codec.require_agreement(headers, event)
        except Malformed as error:
            raise Poison(error.kind, str(error)) from error
        if event.source != source or key.doc_id != event.doc_id:
            raise Poison(
                "inconsistent",
                f"The chunk event's key and headers name {key.doc_id!r} of {source!r}, its value {event.doc_id!r} of "
                f"{event.source!r}.",
            )
        return Work(event, headers)
