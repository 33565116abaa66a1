"""Vectors that another collection of the same encoding has already.

A chunk's id is made of its document and of the very text that is embedded. So a live point of that id, in a
collection of the same encoding, holds the vector that the encoder would make, whatever chunking it was cut by; a new
chunking, or a rebuild under the next generation, embeds only what is new (invariant 6). Everything else of the point,
its version above all, is left where it is: it may count in another lineage.

The older collection is taken away when its upgrade is retired, while this process may still run: from then on nothing
is copied. A repair's ``recompute`` is never answered with a copy.
"""

from collections.abc import Sequence

import numpy as np

from schemas.identity import ChunkId
from stream.collection import from_json
from stream.contract import EncodingContract
from stream.delta import Plan, Stale
from stream.errors import Fatal
from stream.points import DenseVector, State
from stream.ports import IndexCatalog, VectorIndex


class Copies:
    """Of one collection, by its name. ``of`` may be called from one thread at a time."""

    def __init__(self, catalog: IndexCatalog, collection: str) -> None:
        self.collection = collection
        self._catalog = catalog
        self._index: VectorIndex | None = catalog.open(collection)

    def of(self, plans: Sequence[Plan | Stale]) -> dict[ChunkId, DenseVector]:
        """Vectors for those of the plans' missing chunks that are live there; one read for all. Raises Outage."""
        wanted = [
            chunk.id for plan in plans if isinstance(plan, Plan) and not plan.recomputes for chunk in plan.missing
        ]
        if not wanted or self._index is None:
            return {}
        try:
            points = self._index.points(wanted, with_vectors=True)
        except Fatal:
            if self.collection in self._catalog.collections():
                raise
            self._index = None
            return {}
        return {
            point.id: point.vector
            for point in points
            if point.payload.get("state") == State.LIVE
            and point.vector is not None
            and bool(np.isfinite(point.vector.values).all())
        }


def copies_from(catalog: IndexCatalog, collection: str | None, encoding: EncodingContract) -> Copies | None:
    """None where there is no such collection (any more), or its vectors were made in another way."""
    if collection is None or collection not in catalog.collections():
        return None
    theirs = from_json(catalog.metadata(collection)).contract.encoding
    return Copies(catalog, collection) if theirs.fingerprint == encoding.fingerprint else None
