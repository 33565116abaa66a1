"""Reads the dead-letter topic: every letter with its source and document, and the original of one that was cut short.

A record of the topic that is no letter is passed over: whatever else somebody wrote there is no reason to keep the
letters from an operator. Notes of what was erased (``schemas.erasure_note``) lie there too, and are no letters. A key
that no registry can open names no document; a registry that is away is an Outage, since a selection by document would
leave letters out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from schemas import erasure_note
from schemas.dead_letter import Truncated
from schemas.identity import DocId, Version
from schemas.malformed import Malformed
from schemas.wrapped import Said
from stream.errors import Fatal, Poison
from stream.kept_letter import CHUNKER, KeptLetter, document_of, source_named_by
from stream.letter_selection import Selection
from stream.ports import Partition, Record, Unframer
from stream.source import Source


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters of one deployment."""

    records: Callable[[], Iterable[Record]]
    """Every record of the dead-letter topic."""
    sources: Mapping[str, Source]
    """CDC topic → source."""
    unframer: Unframer

    def selected(self, selection: Selection) -> Iterator[KeptLetter]:
        """Partition by partition, in the order in which they were written."""
        for record in self.records():
            try:
                kept = KeptLetter.read(record)
            except Malformed:
                continue
            document = document_of(kept.letter, self.sources, self._key(kept))
            kept = kept.named(source_named_by(kept.letter, self.sources, document), document)
            if selection.takes(kept):
                yield kept

    def erased(self) -> dict[tuple[DocId, str], Version]:
        """Document and lineage → the version up to which its revisions were erased."""
        found: dict[tuple[DocId, str], Version] = {}
        for record in self.records():
            try:
                note = erasure_note.decode(record.key, record.value, record.headers)
            except Malformed:
                continue
            named = note.document, note.lineage
            found[named] = max(note.version, found.get(named, note.version))
        return found

    def _key(self, kept: KeptLetter) -> Said | None:
        if kept.letter.stage != CHUNKER or kept.letter.topic not in self.sources:
            return None
        try:
            key, _ = self.unframer.unframed(replace(kept.record, value=None))
        except (Poison, Fatal):
            return None
        return key


Fetch = Callable[[Partition, int], Record | None]
"""The record at an offset of a partition, or None where it is gone."""


def whole(kept: KeptLetter, fetch: Fetch) -> KeptLetter | None:
    """The letter with its value, from where the original lies if the letter was too small; None where it is gone.

    Known again by its length and digest: a topic that was made anew may hold something else at that offset.
    """
    truncated = kept.letter.truncated
    if truncated is None:
        return kept
    found = fetch(kept.record.partition, kept.letter.offset)
    if found is None or found.value is None or Truncated.of(found.value) != truncated:
        return None
    return replace(kept, letter=replace(kept.letter, value=found.value, truncated=None))
