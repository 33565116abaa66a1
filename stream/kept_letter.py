"""A dead letter as it lies in its topic: where, since when, and of which document it tells.

The document is read from the record's key, as the stage that gave the record up would have read it: an embedder's
letter has a chunk event's key, a chunker's the key of a row. A key that cannot be read names nobody, and the letter
can be shown all the same. Nothing of the value is looked at here but its length, so that letters can be listed
without telling what they hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from schemas import chunk_codec, dead_letter
from schemas.chunk_event import ATTEMPT_HEADER
from schemas.dead_letter import DeadLetter
from schemas.identity import DocId, Version, source_of
from schemas.malformed import Malformed
from schemas.wrapped import Said
from stream.change import Ignore, read_change
from stream.errors import Fatal, Poison
from stream.ports import Partition, Record
from stream.source import Source

CHUNKER = "chunker"
EMBEDDER = "embedder"


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """``place`` and ``offset`` are those of the letter; ``at_ms`` is when it was written, milliseconds since 1970."""

    place: Partition
    offset: int
    at_ms: int
    letter: DeadLetter
    source: str | None = None
    document: DocId | None = None

    @classmethod
    def read(cls, record: Record) -> Self:
        """Without source and document (:meth:`named`). Raises Malformed where the record is no letter."""
        letter = dead_letter.decode(record.key, record.value, record.headers)
        return cls(record.partition, record.offset, record.timestamp_ms, letter)

    def named(self, source: str | None, document: DocId | None) -> Self:
        """With these."""
        return replace(self, source=source, document=document)

    def without_value(self) -> Self:
        """For a list: the value's length and digest stand for it."""
        return replace(self, letter=self.letter.cut(-1))

    @property
    def address(self) -> str:
        """``partition:offset`` of the letter, by which a command is told of it."""
        return f"{self.place.number}:{self.offset}"

    @property
    def origin(self) -> str:
        """``topic:partition:offset`` of the record that could not be worked with."""
        return f"{self.letter.topic}:{self.letter.partition}:{self.letter.offset}"

    @property
    def record(self) -> Record:
        """The original record; its value is None where the letter was too small for it."""
        letter = self.letter
        return Record(
            Partition(letter.topic, letter.partition), letter.offset, letter.key, letter.value, letter.headers
        )

    @property
    def length(self) -> int:
        """Bytes of the original value."""
        if self.letter.truncated is not None:
            return self.letter.truncated.length
        return len(self.letter.value or b"")

    @property
    def attempt(self) -> int:
        """How often the revision had been published again when it failed this time, as its header says."""
        for name, value in reversed(self.letter.headers):
            if name == ATTEMPT_HEADER and value is not None and value.isdigit() and len(value) < 10:
                return int(value)
        return 0


def document_of(letter: DeadLetter, sources: Mapping[str, Source], key: Said | None) -> DocId | None:
    """The document that a letter's key names; None where it names none. ``sources``: CDC topic → source, ``key``: out
    of its frame, where it came in one.
    """
    if letter.stage == EMBEDDER:
        try:
            return chunk_codec.decode_key(letter.key).doc_id
        except Malformed:
            return None
    source = sources.get(letter.topic)
    if source is None or key is None:
        return None
    try:
        deleted = read_change(source, key, None, (), Version(letter.offset + 1), 0)
    except (Poison, Fatal):
        return None
    return None if isinstance(deleted, Ignore) else deleted.doc_id


def source_named_by(letter: DeadLetter, sources: Mapping[str, Source], document: DocId | None) -> str | None:
    """The name of the letter's source: of its document, or of the topic that it was read from."""
    if document is not None:
        return source_of(document)
    source = sources.get(letter.topic)
    return None if source is None else source.name
