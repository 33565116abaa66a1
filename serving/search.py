"""The search itself: a question in, passages out, each with the version and the age of what it was made from.

A question is one text or several, which are encoded in one call under the contract of the very collection that is
searched. Nothing of a text is cut off: one that is longer than the model's maximum is refused, because the hits would
answer another question. Ages are measured from the source's commit clock; a hit without a commit time (a bulk load)
has none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from serving.awaiting import WaitFor
from serving.grouping import nearest_documents
from serving.handle import IndexHandle
from stream.errors import Misuse
from stream.filter import Filter, both
from stream.payload import RESERVED
from stream.points import DenseVector, Hit


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of each text, the ``limit`` nearest passages, or documents where ``group_size`` is given."""

    texts: tuple[str, ...]
    limit: int = 10
    wanted: Filter | None = None
    """Holds of every hit."""
    least_score: float | None = None
    """Of every hit, a cosine."""
    group_size: int | None = None
    """Hits kept of each document."""
    several: bool = False
    """Whether the texts were asked as a list, and are answered as one, be it of one text."""
    wait_for: WaitFor | None = None
    """What has to be applied before the search. Whoever calls :func:`search` has waited for it."""

    def within(self, mandatory: Filter | None) -> "Question":
        """The same question among what a filter holds of: what a caller may see at all, and wait for."""
        wait = self.wait_for
        return replace(
            self,
            wanted=both(mandatory, self.wanted),
            wait_for=None if wait is None else replace(wait, among=both(mandatory, wait.among)),
        )


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """One hit. ``text`` is None where the index does not store texts."""

    id: str
    doc_id: str
    score: float
    title: str | None
    text: str | None
    span: tuple[int, int] | None
    position: int | None
    count: int | None
    version: int
    age_ms: int | None
    """Now − commit at the source, never negative."""
    tenant: str | None
    fields: Mapping[str, Json]

    def to_json(self) -> dict[str, Json]:
        """As the API answers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document by its best passages."""

    doc_id: str
    hits: tuple[FoundPassage, ...]

    def to_json(self) -> dict[str, Json]:
        """As the API answers."""
        return {"doc_id": self.doc_id, "hits": [hit.to_json() for hit in self.hits]}


@dataclass(frozen=True, slots=True)
class Result:
    """What was found for one text, best first: passages, or documents where they were asked for."""

    hits: tuple[FoundPassage, ...] = ()
    groups: tuple[FoundDocument, ...] | None = None

    def to_json(self) -> dict[str, Json]:
        """As the API answers."""
        if self.groups is None:
            return {"hits": [hit.to_json() for hit in self.hits]}
        return {"groups": [document.to_json() for document in self.groups]}


@dataclass(frozen=True, slots=True)
class Answer:
    """One result for each text, in order, and what they were searched in."""

    collection: str
    contract: Fingerprint
    results: tuple[Result, ...]
    several: bool = False

    def to_json(self) -> dict[str, Json]:
        """As the API answers: ``hits`` or ``groups`` to one text, ``results`` with such objects to a list."""
        told: dict[str, Json] = {"collection": self.collection, "contract": self.contract}
        results = [result.to_json() for result in self.results]
        return {**told, "results": list(results)} if self.several else {**told, **results[0]}


def search(handle: IndexHandle, question: Question, now_ms: int, deadline: float | None = None) -> Answer:
    """Encodes and searches. Raises Misuse for a text too long for the model, Late where ``deadline`` (monotonic
    seconds) passed before a turn on the device came, and what encoder and index raise.
    """
    most = handle.contract.encoding.max_tokens
    for number, tokens in enumerate(handle.encoder.count_tokens(question.texts)):
        if tokens > most:
            which = f"queries[{number}]" if question.several else "The query"
            raise Misuse(f"{which} has {tokens} tokens and the model reads {most}; shorten it.")
    vectors = handle.encoder.encode(question.texts, deadline)
    results = tuple(_found(handle, vector, question, now_ms) for vector in vectors)
    return Answer(handle.collection, handle.contract.fingerprint, results, question.several)


def _found(handle: IndexHandle, vector: DenseVector, question: Question, now_ms: int) -> Result:
    if question.group_size is None:
        hits = handle.index.search(vector, question.limit, question.wanted, least_score=question.least_score)
        return Result(tuple(found(hit, now_ms) for hit in hits))
    documents = nearest_documents(
        handle.index,
        vector,
        question.limit,
        question.group_size,
        question.wanted,
        least_score=question.least_score,
    )
    return Result(
        groups=tuple(
            FoundDocument(document, tuple(found(hit, now_ms) for hit in hits)) for document, hits in documents
        )
    )


def found(hit: Hit, now_ms: int) -> FoundPassage:
    """A hit as a user reads it."""
    payload: Mapping[str, Any] = hit.payload
    span = payload.get("span")
    committed_ms = payload.get("source_ts_ms")
    return FoundPassage(
        id=hit.id,
        doc_id=payload["doc_id"],
        score=round(float(hit.score), 6),
        title=payload.get("title"),
        text=payload.get("text"),
        span=None if span is None else (int(span[0]), int(span[1])),
        position=payload.get("position"),
        count=payload.get("count"),
        version=int(payload["version"]),
        age_ms=None if committed_ms is None else max(0, now_ms - int(committed_ms)),
        tenant=payload.get("tenant"),
        fields={name: value for name, value in payload.items() if name not in RESERVED},
    )
