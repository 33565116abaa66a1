"""The three stages of the embedder, each a function from a batch to the next form of it: plan → encode → apply.

*Plan* reads once what is stored of the batch's documents and lets ``stream.delta`` decide. *Encode* makes each
distinct text's vector once. *Apply* writes each revision's changes in order, under their conditions. None of them
knows a thread; ``consumers.pipeline`` runs them side by side, so that while one batch is on the device the next is
looked up and the last is written.

A revision that can never work leaves its batch as a dead letter; the others go on. Which one it is, is found by
bisection where the error names a whole batch. A plan that has grown too old is thrown away and made again, so no
write outlives the grace after which marks may be purged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from consumers.copying import Copies
from consumers.workload import Revision
from schemas.identity import ChunkId
from stream.delta import Plan, Stale, plan_revision
from stream.errors import Poison
from stream.points import DenseVector, Write
from stream.ports import Clock, DeviceFull, Encoder, VectorIndex
from stream.text import embedded_text


@dataclass(frozen=True, slots=True)
class Planned:
    """One revision and what it changes; ``at`` is the monotonic time just before the index was read."""

    revision: Revision
    plan: Plan | Stale
    title: str | None
    at: float
    copied: Mapping[ChunkId, DenseVector] = field(default_factory=dict)
    """Vectors of missing chunks that need no encoder."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One revision with all its vectors."""

    planned: Planned
    vectors: Mapping[ChunkId, DenseVector]


@dataclass(frozen=True, slots=True)
class Refused:
    """One revision that can never work."""

    revision: Revision
    poison: Poison


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch that was written. ``expired`` is to be planned again."""

    done: tuple[Encoded, ...]
    refused: tuple[Refused, ...]
    expired: tuple[Revision, ...]
    writes: int


class ShrinkingEncoder:
    """An encoder that is asked for less once the device had no memory for more, and remembers."""

    def __init__(self, encoder: Encoder, shrink: Callable[[], object]) -> None:
        """``shrink`` halves the encoder's budget; it raises Fatal where one text alone does not fit."""
        self._encoder = encoder
        self._shrink = shrink

    def encode(self, texts: Sequence[str]) -> Sequence[DenseVector]:
        """One vector a passage. Raises Fatal where the device has no memory for one text alone."""
        while True:
            try:
                return self._encoder.encode("passage", texts)
            except DeviceFull:
                self._shrink()


def plan_batch(
    index: VectorIndex,
    batch: Sequence[Revision],
    fit_title: Callable[[str | None], str | None],
    clock: Clock,
    *,
    store_text: bool,
    collection: str,
    copies: Copies | None = None,
) -> list[Planned]:
    """One read of the index for all documents of the batch (each there once). Raises Outage."""
    at = clock.monotonic()
    stored = index.read([revision.event.doc_id for revision in batch])
    plans = [
        plan_revision(
            revision.event, stored.get(revision.event.doc_id, ()), store_text=store_text, collection=collection
        )
        for revision in batch
    ]
    vectors = {} if copies is None else copies.of(plans)
    return [
        Planned(revision, plan, fit_title(revision.event.title), at, _of(plan, vectors))
        for revision, plan in zip(batch, plans, strict=True)
    ]


def encode_batch(encoder: ShrinkingEncoder, batch: Sequence[Planned]) -> tuple[list[Encoded], list[Refused]]:
    """Each distinct text is encoded once. A vector that is not finite is Poison."""
    texts: dict[str, DenseVector | Poison | None] = {}
    for planned in batch:
        texts.update(dict.fromkeys(_texts(planned)))
    distinct = list(texts)
    texts.update(zip(distinct, _encode(encoder, distinct), strict=True))
    encoded: list[Encoded] = []
    refused: list[Refused] = []
    for planned in batch:
        vectors = dict(planned.copied)
        poison: Poison | None = None
        for chunk_id, text in _wanted(planned):
            made = texts[text]
            if isinstance(made, DenseVector):
                vectors[chunk_id] = made
            else:
                poison = made
        if poison is None:
            encoded.append(Encoded(planned, vectors))
        else:
            refused.append(Refused(planned.revision, poison))
    return encoded, refused


def apply_batch(index: VectorIndex, batch: Sequence[Encoded], clock: Clock, max_age_s: float) -> Applied:
    """Writes what is young enough. Raises Outage with nothing lost: the same call may be made again."""
    now = clock.monotonic()
    expired = tuple(
        encoded.planned.revision
        for encoded in batch
        if isinstance(encoded.planned.plan, Plan) and now - encoded.planned.at > max_age_s
    )
    gone = {id(revision) for revision in expired}
    due = [encoded for encoded in batch if id(encoded.planned.revision) not in gone]
    refused = _write(index, due)
    out = {id(item.revision) for item in refused}
    return Applied(
        done=tuple(encoded for encoded in due if id(encoded.planned.revision) not in out),
        refused=tuple(refused),
        expired=expired,
        writes=sum(len(_writes(encoded)) for encoded in due),
    )


def _write(index: VectorIndex, batch: Sequence[Encoded]) -> list[Refused]:
    """Bisection: a batch that the index refuses for good is halved until the refused revision stands alone."""
    writes = [write for encoded in batch for write in _writes(encoded)]
    if not writes:
        return []
    try:
        index.write(writes)
    except Poison as poison:
        if len(batch) == 1:
            return [Refused(batch[0].planned.revision, poison)]
        middle = len(batch) // 2
        return [*_write(index, batch[:middle]), *_write(index, batch[middle:])]
    return []


def _encode(encoder: ShrinkingEncoder, texts: Sequence[str]) -> list[DenseVector | Poison]:
    """Bisection, as for :func:`_write`."""
    if not texts:
        return []
    try:
        return [_finite(vector) for vector in encoder.encode(texts)]
    except Poison as poison:
        if len(texts) == 1:
            return [poison]
        middle = len(texts) // 2
        return [*_encode(encoder, texts[:middle]), *_encode(encoder, texts[middle:])]


def _finite(vector: DenseVector) -> DenseVector | Poison:
    if np.isfinite(vector.values).all():
        return vector
    return Poison("vector", "The model made a vector with NaN or infinity of this document's text.")


def _writes(encoded: Encoded) -> list[Write]:
    plan = encoded.planned.plan
    return plan.writes(encoded.vectors) if isinstance(plan, Plan) else []


def _wanted(planned: Planned) -> list[tuple[ChunkId, str]]:
    if isinstance(planned.plan, Stale):
        return []
    return [
        (chunk.id, embedded_text(planned.title, chunk.passage))
        for chunk in planned.plan.missing
        if chunk.id not in planned.copied
    ]


def _of(plan: Plan | Stale, vectors: Mapping[ChunkId, DenseVector]) -> dict[ChunkId, DenseVector]:
    missing = () if isinstance(plan, Stale) else plan.missing
    return {chunk.id: vectors[chunk.id] for chunk in missing if chunk.id in vectors}


def _texts(planned: Planned) -> list[str]:
    return [text for _, text in _wanted(planned)]
