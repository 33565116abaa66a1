"""The last word of a CDC topic on documents of which the chunk topic knows nothing.

A row may be there all the same: its only revision became a dead letter, or its delete and what stood for it went
from the chunk topic by time and the row came back as one that cannot be read. So the topic itself is asked: the last
record of the document's key is a delete, or it is not. A record whose value cannot be read is none, since it may be
an insert; a key that cannot be read is of nobody, as everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from schemas.identity import DocId, Version
from schemas.row_event import RowDeleted, Tombstone
from stream.change import document_told
from stream.errors import Poison
from stream.ports import Record, Unframer
from stream.source import Source


@dataclass(frozen=True, slots=True)
class LastRow:
    """The last record of a document's key in its CDC topic; ``version`` is what a chunker makes of its offset."""

    deleted: bool
    version: Version
    where: str
    at_ms: int


def last_rows(
    source: Source, records: Iterable[Record], wanted: frozenset[DocId], unframer: Unframer
) -> dict[DocId, LastRow]:
    """Of those that the topic still knows. Raises Outage where a registry is away, and Fatal."""
    found: dict[DocId, LastRow] = {}
    for record in records:
        document = _named(source, record, unframer)
        if document not in wanted or document is None:
            continue
        before = found.get(document)
        # A key may have moved to another partition when the topic grew.
        if before is None or record.timestamp_ms >= before.at_ms:
            where = f"{record.partition.topic} [{record.partition.number}] @{record.offset}"
            deleted = _deletes(source, record, unframer)
            found[document] = LastRow(deleted, Version(record.offset + 1), where, record.timestamp_ms)
    return found


def _named(source: Source, record: Record, unframer: Unframer) -> DocId | None:
    try:
        key, _ = unframer.unframed(replace(record, value=None))
        told = document_told(source, key, None, ())
    except Poison:
        return None
    return None if told is None else told[0]


def _deletes(source: Source, record: Record, unframer: Unframer) -> bool:
    try:
        key, value = unframer.unframed(record)
        told = document_told(source, key, value, record.headers)
    except Poison:
        return False
    return told is not None and isinstance(told[1], (RowDeleted, Tombstone))
