"""Points of the index as values: what is stored, what is read back, and the writes that change them.

A point is in one of three states. *Live* points carry vectors and are found by search. A *removed* point is a chunk
that its document no longer has, a *deleted* point is a document that is no more: both stay, without vectors, to
refuse a late write of an older version. A missing point could not refuse anything, so nothing is deleted on the way.

Every write names its version and is carried out only where the stored version is not newer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId, Version

Payload = Mapping[str, Json]


class State(StrEnum):
    """A keyword, not a flag: Edge matches no Boolean payload."""

    LIVE = "live"
    REMOVED = "removed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class DenseVector:
    """A vector of one kind: float32, shape (dimensions,). Sparse and late-interaction kinds will stand beside it."""

    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """What planning needs to know of a stored point. ``payload_digest`` is empty for marks."""

    id: ChunkId
    doc_id: DocId
    version: Version
    state: State
    payload_digest: str = ""

    @classmethod
    def of(cls, point: ChunkId, payload: Payload) -> "StoredPoint":
        """What the payload says. A point that somebody else damaged stops nobody: a version that is no integer counts
        as older than any, a state that is none as live. An audit finds it.
        """
        version, state = payload.get("version"), payload.get("state")
        return cls(
            point,
            DocId(str(payload["doc_id"])),
            Version(version if isinstance(version, int) else -1),
            State(state) if isinstance(state, str) and state in set(State) else State.LIVE,
            str(payload.get("payload_digest") or ""),
        )


def removed_mark(point: ChunkId, payload: Payload) -> StoredPoint | None:
    """The mark of a removed chunk; None for any other point, and for one that somebody else damaged."""
    whole = isinstance(payload.get("doc_id"), str) and type(payload.get("version")) is int
    return StoredPoint.of(point, payload) if whole and payload.get("state") == State.REMOVED else None


@dataclass(frozen=True, slots=True)
class Put:
    """Insert or replace a live point: vector and whole payload.

    Condition: the stored point is absent, or its version ≤ ``version``.
    """

    id: ChunkId
    version: Version
    vector: DenseVector
    payload: Payload


@dataclass(frozen=True, slots=True)
class Mark:
    """Replace a point by a mark: no vector, and a payload of doc_id, version, state and tenant alone.

    Condition: as for :class:`Put`. ``state`` is REMOVED or DELETED.
    """

    id: ChunkId
    doc_id: DocId
    version: Version
    state: State
    tenant: str | None = None

    @property
    def payload(self) -> dict[str, Json]:
        """These four and nothing else."""
        whole: dict[str, Json] = {"doc_id": self.doc_id, "version": self.version, "state": self.state.value}
        return whole if self.tenant is None else {**whole, "tenant": self.tenant}


@dataclass(frozen=True, slots=True)
class Touch:
    """Merge ``payload`` into points that stay as they are (version and times). Their vectors are not touched.

    A field that is None is taken away; in other writes too, None is not stored.

    Condition, for each id: stored, live, and its version ≤ ``version``.
    """

    ids: tuple[ChunkId, ...]
    version: Version
    payload: Payload


@dataclass(frozen=True, slots=True)
class Repaint:
    """Replace the whole payload of one live point, leaving its vector. Condition: as for :class:`Touch`."""

    id: ChunkId
    version: Version
    payload: Payload


Write = Put | Mark | Touch | Repaint


@dataclass(frozen=True, slots=True)
class Point:
    """A point as ``dump`` prints it: ``vector`` is None unless asked for, and for marks."""

    id: ChunkId
    payload: Payload
    vector: DenseVector | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result; ``score`` is the cosine similarity in [-1, 1]."""

    id: ChunkId
    score: float
    payload: Payload
