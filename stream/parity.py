"""Whether two collections hold the same documents at the same versions: the older pair's and the next one's.

Both are fed from the same CDC topics, so a document with text has the same version in both whatever it was cut by,
and one without is live in neither. Where both are cut alike its live chunks have the same ids, too. What is held of a
document is a few numbers, so many fit into memory at once; where not all do, they are compared in *portions*, by a
digest of their names.

A document that is in flight differs for a moment. So what differs is only a *suspect*; it is looked at again once
both embedders have passed ends that were noted after the first look. One that has moved meanwhile, on either side, is
a suspect again, and one that moves during every look is *unsettled*: of it nothing is said.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from schemas.identity import DocId, Version
from stream.points import Payload, Point, State, StoredPoint

_NEVER = Version(-1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one collection says of one document. ``chunks`` is the exclusive or of its live points' ids."""

    version: Version = _NEVER
    live: int = 0
    chunks: int = 0
    deleted: bool = False
    """Its own mark says that the document is no more."""

    def with_point(self, point: StoredPoint) -> Self:
        """Once more point of the document is known; their order does not matter."""
        live = point.state is State.LIVE
        return type(self)(
            max(self.version, point.version),
            self.live + live,
            self.chunks ^ (uuid.UUID(point.id).int if live else 0),
            self.deleted or point.state is State.DELETED,
        )

    def equals(self, other: "Standing", *, cut_alike: bool) -> bool:
        """Whether both say the same of the document. Counts and ids are compared only where both are cut alike.

        Of one that is in neither their versions say nothing: a delete and the tombstone behind it are two records and
        one delete, and a chunker that reads them together publishes the later version alone.
        """
        if not self.live and not other.live:
            return True
        same = self.version == other.version and bool(self.live) == bool(other.live)
        return same and (not cut_alike or (self.live, self.chunks) == (other.live, other.chunks))


ABSENT = Standing()


@dataclass(frozen=True, slots=True)
class Portion:
    """One of ``of`` portions of all documents, by name."""

    number: int = 0
    of: int = 1

    def has(self, document: str) -> bool:
        """Each document is in exactly one portion."""
        if self.of == 1:
            return True
        digest = hashlib.blake2b(document.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.of == self.number


def portions(documents: int, most: int) -> list[Portion]:
    """As many as it takes that none has many more than ``most``."""
    count = max(1, -(-documents // most))
    return [Portion(number, count) for number in range(count)]


def standings(points: Iterable[Point], portion: Portion) -> dict[DocId, Standing]:
    """Document → what these points say of it, of the documents of the portion. Points of no document are left out."""
    found: dict[DocId, Standing] = {}
    for point in points:
        if _of_a_document(point.payload) and portion.has(str(point.payload["doc_id"])):
            stored = StoredPoint.of(point.id, point.payload)
            found[stored.doc_id] = found.get(stored.doc_id, ABSENT).with_point(stored)
    return found


def standing_of(stored: Iterable[StoredPoint]) -> Standing:
    """What the points of one document say of it."""
    found = ABSENT
    for point in stored:
        found = found.with_point(point)
    return found


def suspects(before: Mapping[DocId, Standing], after: Mapping[DocId, Standing], *, cut_alike: bool) -> list[DocId]:
    """Documents of which the two do not say the same, in order of name."""
    return sorted(
        document
        for document in {*before, *after}
        if not before.get(document, ABSENT).equals(after.get(document, ABSENT), cut_alike=cut_alike)
    )


def _of_a_document(payload: Payload) -> bool:
    return isinstance(payload.get("doc_id"), str)
