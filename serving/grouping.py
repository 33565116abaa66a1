"""The nearest documents instead of the nearest passages, each with its best ones.

An index knows points, so documents are found by asking for points until there are enough. What keeps this honest is
what the next question leaves out: documents that have their share of hits already. Of a question for documents × size
points either fewer come, and then there are no more, or one more document at least gets its whole share. So the
number of questions is bounded by the number of documents asked for, however many passages one of them has, and a
document is left out only where another one is nearer (of an approximate search this is as exact as its hits are).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.identity import ChunkId
from stream.filter import Filter, NoneOf, OneOf, both
from stream.points import DenseVector, Hit
from stream.ports import VectorIndex


def nearest_documents(
    index: VectorIndex,
    vector: DenseVector,
    documents: int,
    size: int,
    wanted: Filter | None = None,
    *,
    least_score: float | None = None,
) -> list[tuple[str, Sequence[Hit]]]:
    """At most so many documents, by their best hit, each with at most ``size`` hits, best first."""
    search = _Search(index, vector, size, wanted, least_score)
    more = True
    while more and len(search.found) < documents:
        full = tuple(document for document, hits in search.found.items() if len(hits) >= size)
        more = search.take(documents, Filter(must=(NoneOf("doc_id", full),)) if full else None)
    ranked = sorted(search.found, key=lambda document: -search.found[document][0].score)[:documents]
    more = True
    while more and (lacking := tuple(document for document in ranked if search.lacks(document))):
        more = search.take(len(lacking), Filter(must=(OneOf("doc_id", lacking),)))
    return [(document, search.found[document][:size]) for document in ranked]


@dataclass(slots=True)
class _Search:
    """One vector's hits so far, by document."""

    index: VectorIndex
    vector: DenseVector
    size: int
    wanted: Filter | None
    least_score: float | None
    found: dict[str, list[Hit]] = field(default_factory=dict)
    seen: set[ChunkId] = field(default_factory=set)

    def take(self, documents: int, among: Filter | None) -> bool:
        """Adds the best points among these; whether there may be more of them."""
        asked = documents * self.size
        hits = self.index.search(self.vector, asked, both(self.wanted, among), least_score=self.least_score)
        for hit in hits:
            if hit.id not in self.seen:
                self.seen.add(hit.id)
                self.found.setdefault(str(hit.payload["doc_id"]), []).append(hit)
        for mine in self.found.values():
            mine.sort(key=lambda hit: -hit.score)
        return len(hits) == asked

    def lacks(self, document: str) -> bool:
        """Whether the document has fewer hits than its share, and more passages than hits."""
        hits = self.found[document]
        passages = hits[0].payload.get("count")
        return len(hits) < self.size and not (isinstance(passages, int) and len(hits) >= passages)
