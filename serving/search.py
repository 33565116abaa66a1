"""The search itself: a question in, passages out, each with the version and the age of what it was made from.

A question is encoded under the contract of the very collection that is searched, and nothing of it is cut off: one
that is longer than the model's maximum is refused, because the hits would answer another question. Ages are measured
from the source's commit clock; a hit without a commit time (a bulk load) has none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from serving.handle import IndexHandle
from stream.errors import Misuse
from stream.payload import RESERVED
from stream.points import Hit
from stream.ports import Condition


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. All conditions hold of every hit; ``tenant`` is one more."""

    text: str
    limit: int = 10
    conditions: tuple[Condition, ...] = ()
    tenant: str | None = None


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
class Answer:
    """Hits, best first, and what they were searched in."""

    collection: str
    contract: Fingerprint
    hits: tuple[FoundPassage, ...]


def search(handle: IndexHandle, question: Question, now_ms: int) -> Answer:
    """Encodes and searches. Raises Misuse for a question too long for the model, and what encoder and index raise."""
    most = handle.contract.encoding.max_tokens
    (tokens,) = handle.encoder.count_tokens([question.text])
    if tokens > most:
        raise Misuse(f"The query has {tokens} tokens and the model reads {most}; shorten it.")
    (vector,) = handle.encoder.encode([question.text])
    conditions = question.conditions
    if question.tenant is not None:
        conditions = (*conditions, Condition("tenant", question.tenant))
    hits = handle.index.search(vector, question.limit, conditions)
    return Answer(handle.collection, handle.contract.fingerprint, tuple(found(hit, now_ms) for hit in hits))


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
