"""What an audit found and did: for people, and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from schemas.chunk_event import Json
from schemas.identity import DocId, Version
from stream.difference import Difference


@dataclass(slots=True)
class Repair:
    """What was published again. ``left``: document → the sentence that says why it was not."""

    published: dict[DocId, Version] = field(default_factory=dict)
    left: dict[DocId, str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """Of one audit. ``differences`` are those that stand at its end, ``repaired`` those that it mended."""

    collection: str
    documents: int = 0
    """With a good revision in the topic, deletes among them."""
    chunks: int = 0
    """Of these revisions."""
    points: int = 0
    """Of the collection, marks among them."""
    live: int = 0
    vectors: int = 0
    """That were made again and compared."""
    passes: int = 0
    """How often the collection was read."""
    differences: list[Difference] = field(default_factory=list)
    repaired: list[Difference] = field(default_factory=list)
    unknown: list[DocId] = field(default_factory=list)
    """Documents of which the topic has no good record any more, whatever it once had."""
    unsettled: list[DocId] = field(default_factory=list)
    """Documents that changed during every look at them."""
    notes: list[str] = field(default_factory=list)
    repair: Repair | None = None

    @property
    def equal(self) -> bool:
        """Nothing differs, as far as can be told."""
        return not self.differences

    @property
    def kinds(self) -> Mapping[str, int]:
        """Kind → how many differ by it."""
        return Counter(one.kind.value for one in self.differences)

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        told: dict[str, Json] = {
            "collection": self.collection,
            "equal": self.equal,
            "documents": self.documents,
            "chunks": self.chunks,
            "points": self.points,
            "live": self.live,
            "vectors": self.vectors,
            "passes": self.passes,
            "kinds": dict(self.kinds),
            "differences": [_json(one) for one in self.differences],
            "repaired": [_json(one) for one in self.repaired],
            "unknown": list(self.unknown),
            "unsettled": list(self.unsettled),
            "notes": list(self.notes),
        }
        if self.repair is not None:
            told["published"] = {str(document): version for document, version in self.repair.published.items()}
            told["left"] = {str(document): why for document, why in self.repair.left.items()}
        return told

    def lines(self) -> Iterator[str]:
        """A line a difference, and the sums."""
        for one in self.repaired:
            yield f"repaired    {_line(one)}"
        for one in self.differences:
            yield f"{one.kind.value:<11} {_line(one)}"
        for document, why in (self.repair.left if self.repair is not None else {}).items():
            yield f"left        {document}: {why}"
        yield from (f"unknown     {document}: the topic has lost its last good revision" for document in self.unknown)
        yield from (f"unsettled   {document}: it changed during every look at it" for document in self.unsettled)
        yield from self.notes
        yield (
            f"{self.collection}: {self.documents:,} documents, {self.chunks:,} chunks in the topic, {self.live:,} "
            f"live points, {self.vectors:,} vectors made again"
        )
        found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.kinds.items()))
        mended = f", {len(self.repaired):,} repaired" if self.repaired else ""
        yield f"equal{mended}" if self.equal else f"{found}{mended}"


def _json(one: Difference) -> dict[str, Json]:
    return {
        "kind": one.kind.value,
        "doc_id": one.doc_id,
        "id": one.id,
        "version": one.version,
        "detail": one.detail,
    }


def _line(one: Difference) -> str:
    return f"{one.doc_id or '(no document)'} v{one.version} {one.id} {one.detail}"
