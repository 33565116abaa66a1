"""Decides whether a document is gone from its source, and how that is known.

The chunk topic tells first: the last state of the document's keys. Where it knows nothing of the present lineage, the
CDC topic's last record of the row tells, and the note that an earlier erasing left beside the dead letters. A dead
letter that is newer than every delete that is known of says that the document was changed again: it would come in
with a redrive. What none of them can tell is refused, with what would make it known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from operations.erase.last_rows import LastRow, last_rows
from operations.erase.surroundings import Surroundings
from schemas.identity import DocId, Version, source_of
from stream.erasure import Trail
from stream.letter_selection import Selection
from stream.ports import Partition


class Refused(Exception):
    """Why a document is left as it is."""


@dataclass(frozen=True, slots=True)
class Letters:
    """Of one document: how many, and the newest version of its present lineage with the letter's address."""

    count: int = 0
    newest: int = -1
    address: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """``version``: up to which its revisions are not to come back, None where no delete is known.
    ``certain``: whether a delete was seen, or the chunk topic still holds all that it ever held.
    """

    known_by: str
    version: Version | None
    certain: bool = True


class Goneness:
    """Of the documents of one run."""

    def __init__(self, around: Surroundings, found: Mapping[DocId, Trail]) -> None:
        self._around = around
        self.letters = _letters(around, list(found))
        unknown = [document for document, trail in found.items() if trail.newest is None]
        self._rows = dict(_rows(around, unknown)) if unknown else {}
        self._notes = around.notes() if unknown else {}
        lows = around.topics.low_watermarks(around.chunks.name) if unknown else {}
        self._whole = not any(lows.values())

    def of(self, trail: Trail) -> Gone:
        """Raises Refused where it lives, or may."""
        newest, letters = trail.newest, self.letters[trail.document]
        if newest is None:
            return self._without_event(trail, letters)
        where = f"{self._around.chunks.name} [{trail.place.number if trail.place else 0}] @{trail.offset}"
        if trail.lives:
            raise Refused(
                f"{trail.document} lives in its source: its last state is an upsert at version {newest.version} "
                f"({where}); delete its row first."
            )
        if letters.newest > newest.version:
            raise Refused(
                f"{trail.document} was changed again behind its delete: the dead letter {letters.address} is of "
                f"version {letters.newest}, and the delete of {newest.version}; delete its row first."
            )
        return Gone(f"its last state is a delete at version {newest.version} ({where})", newest.version)

    def _without_event(self, trail: Trail, letters: Letters) -> Gone:
        document, row = trail.document, self._rows.get(trail.document)
        if row is not None and not row.deleted:
            raise Refused(
                f"{document} lives in its source: {self._around.chunks.name} knows nothing of it, but the last "
                f"record of its row is no delete ({row.where}); delete its row first."
            )
        noted = self._notes.get((document, trail.lineage))
        known = [version for version in (noted, None if row is None else row.version) if version is not None]
        version = max(known, default=None)
        if letters.newest > (-1 if version is None else version):
            raise Refused(
                f"{document} may live in its source: the dead letter {letters.address} is of version "
                f"{letters.newest}, and no newer delete is known; delete its row, or insert and delete it once more "
                "if it is gone already."
            )
        if row is not None:
            return Gone(f"the last record of its row is a delete ({row.where})", version)
        if noted is not None:
            return Gone(f"it was erased before, up to version {noted}", version)
        said = "neither the chunk topic nor its CDC topic knows it in the present lineage of its source"
        return Gone(said, None, certain=self._whole)


def _letters(around: Surroundings, documents: Sequence[DocId]) -> dict[DocId, Letters]:
    found = dict.fromkeys(documents, Letters())
    for kept in around.letters(Selection(documents=frozenset(documents))):
        if kept.document is None:
            continue
        before = found[kept.document]
        after = replace(before, count=before.count + 1)
        present = kept.letter.lineage == around.lineages.get(source_of(kept.document))
        if present and kept.letter.version is not None and kept.letter.version > before.newest:
            after = replace(after, newest=kept.letter.version, address=kept.address)
        found[kept.document] = after
    return found


def _rows(around: Surroundings, documents: Sequence[DocId]) -> Iterable[tuple[DocId, LastRow]]:
    by_source: dict[str, set[DocId]] = {}
    for document in documents:
        by_source.setdefault(source_of(document), set()).add(document)
    for name, wanted in by_source.items():
        source = around.sources[name]
        info = around.topics.describe([source.topic]).get(source.topic)
        if info is None:
            continue
        places = [Partition(source.topic, number) for number in range(info.partitions)]
        yield from last_rows(source, around.records(places, {}), frozenset(wanted), around.unframer).items()
