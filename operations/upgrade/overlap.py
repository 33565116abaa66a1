"""How alike two collections answer: the overlap of the ten best documents of sampled queries.

Another encoding answers otherwise on purpose, so this is a figure to be looked at, and a gate only where somebody
sets a floor. Hits are compared by document: the two may be cut otherwise.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stream.points import DenseVector, Point, State
from stream.ports import VectorIndex
from stream.sample import Sample

DOCUMENTS = 10
_FIRST_HITS, _MOST_HITS = 4 * DOCUMENTS, 32 * DOCUMENTS
_QUERY_CHARS = 160
Encode = Callable[[Sequence[str]], Sequence[DenseVector]]


@dataclass(frozen=True, slots=True)
class Searched:
    """A collection and what encodes queries for it."""

    index: VectorIndex
    encode: Encode


@dataclass(frozen=True, slots=True)
class Overlap:
    """``mean`` in [0, 1] over the queries; 1 where there was none."""

    queries: int
    mean: float


def overlap(here: Searched, there: Searched, queries: Sequence[str]) -> Overlap:
    """Of the documents that both find, as a share of those that either could have: ten, or as many as there are."""
    if not queries:
        return Overlap(0, 1.0)
    pairs = zip(_found(here, queries), _found(there, queries), strict=True)
    return Overlap(len(queries), sum(_shared(one, other) for one, other in pairs) / len(queries))


def sampled_queries(points: Iterable[Point], size: int, salt: bytes) -> list[str]:
    """Titles of sampled documents where they have one, else how a sampled passage begins."""
    sample: Sample[str] = Sample(size, salt)
    for point in points:
        if point.payload.get("state") != State.LIVE:
            continue
        title, text = point.payload.get("title"), point.payload.get("text")
        words = title if isinstance(title, str) and title.strip() else text
        if isinstance(words, str) and words.strip():
            sample.offer(point.id, " ".join(words.split())[:_QUERY_CHARS])
    return list(dict.fromkeys(sample.items()))


def _found(searched: Searched, queries: Sequence[str]) -> list[list[str]]:
    return [_documents(searched.index, vector) for vector in searched.encode(queries)]


def _documents(index: VectorIndex, vector: DenseVector) -> list[str]:
    """The best documents, at most ten; hits are asked for until there are so many, or no more."""
    limit = _FIRST_HITS
    while True:
        hits = index.search(vector, limit)
        found = list(dict.fromkeys(str(hit.payload.get("doc_id")) for hit in hits))
        if len(found) >= DOCUMENTS or len(hits) < limit or limit >= _MOST_HITS:
            return found[:DOCUMENTS]
        limit *= 2


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    most = max(len(one), len(other))
    return len(set(one) & set(other)) / most if most else 1.0
