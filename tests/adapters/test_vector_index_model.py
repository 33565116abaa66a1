"""Random histories of writes against a model of twenty lines, on every adapter.

The model is the docstrings of ``stream.points`` written down; Hypothesis looks for the history on which an adapter
disagrees. Writes of one call are also split and joined at random: how they are packed into calls must not matter.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_world import chunk, mark, put, repaint, touch, vector

from schemas.identity import ChunkId, DocId
from stream.filter import equals
from stream.points import DenseVector, Mark, Payload, Put, Repaint, State, StoredPoint, Touch, Write
from stream.ports import VectorIndex

DIRECTIONS = [vector(*row) for row in np.eye(4, dtype=np.float32)]
_histories = itertools.count()


@dataclass
class ModelPoint:
    payload: Payload
    vector: DenseVector | None


class Model:
    """What the docstrings say."""

    def __init__(self) -> None:
        self.points: dict[ChunkId, ModelPoint] = {}

    def apply(self, write: Write) -> None:
        if isinstance(write, Touch):
            for point in write.ids:
                if self._is_live_and_not_newer(point, write.version):
                    merged = {**self.points[point].payload, **write.payload}
                    self.points[point].payload = {k: v for k, v in merged.items() if v is not None}
        elif isinstance(write, Repaint):
            if self._is_live_and_not_newer(write.id, write.version):
                self.points[write.id].payload = write.payload
        elif write.id not in self.points or self.points[write.id].payload["version"] <= write.version:
            if isinstance(write, Put):
                self.points[write.id] = ModelPoint(write.payload, write.vector)
            else:
                self.points[write.id] = ModelPoint(
                    {"doc_id": write.doc_id, "version": write.version, "state": write.state}, None
                )

    def _is_live_and_not_newer(self, point: ChunkId, version: int) -> bool:
        stored = self.points.get(point)
        return stored is not None and stored.vector is not None and stored.payload["version"] <= version


names = st.integers(0, 5)
versions = st.integers(0, 6)
fields = st.dictionaries(st.sampled_from(["section", "pages", "source_ts_ms"]), st.integers(0, 3), max_size=2)
steps = st.one_of(
    st.tuples(st.just("put"), names, versions, st.integers(0, 3), fields),
    st.tuples(st.just("mark"), names, versions, st.sampled_from([State.REMOVED, State.DELETED])),
    st.tuples(st.just("touch"), st.lists(names, min_size=1, max_size=4), versions, fields),
    st.tuples(st.just("repaint"), names, versions, fields),
)
calls = st.lists(st.lists(steps, max_size=8), max_size=8)


def as_write(step: tuple, doc: str) -> Put | Mark | Touch | Repaint:
    """Ids and document belong to one history alone, so that all histories fit into one collection."""
    match step:
        case ("put", name, version, direction, fields):
            return put((doc, name), version, DIRECTIONS[direction], doc, tenant=doc, **fields)
        case ("mark", name, version, state):
            return mark((doc, name), version, doc, state)
        case ("touch", names, version, fields):
            return touch([(doc, name) for name in names], version, **fields)
        case ("repaint", name, version, fields):
            return repaint((doc, name), version, doc, tenant=doc, **fields)
    raise AssertionError(step)


def test_an_index_does_what_the_model_says_on_every_history(index: VectorIndex, request: pytest.FixtureRequest):
    """Fewer where each step is a request, and where a search looks at every point of every history."""
    examples = 30 if "qdrant" in request.node.callspec.params["catalog"] else 120

    @settings(max_examples=examples, deadline=None)
    @given(history=calls)
    def agrees(history: list[list[tuple]]) -> None:
        doc = f"history/{next(_histories)}"
        model = Model()
        for call in history:
            writes = [as_write(step, doc) for step in call]
            index.write(writes)
            for write in writes:
                model.apply(write)
            agree(index, model, doc)

    agrees()


def agree(index: VectorIndex, model: Model, doc: str) -> None:
    ids = [chunk((doc, name)) for name in range(6)]
    stored = {point.id: point for point in index.points(ids, with_vectors=True)}

    assert {point: found.payload for point, found in stored.items()} == {
        point: dict(expected.payload) for point, expected in model.points.items()
    }
    for point, expected in model.points.items():
        vector = stored[point].vector
        assert (vector is None) == (expected.vector is None)
        if vector is not None:
            assert vector.values == pytest.approx(expected.vector.values)

    read = index.read([DocId(doc)])[DocId(doc)]
    assert sorted(read, key=lambda point: point.id) == [
        StoredPoint.of(point, model.points[point].payload) for point in sorted(model.points)
    ]

    for direction in DIRECTIONS:
        hits = index.search(direction, 10, equals("doc_id", doc))
        live = {point for point, expected in model.points.items() if expected.vector is not None}
        assert {hit.id for hit in hits} == live
        aligned = {point for point in live if np.array_equal(model.points[point].vector.values, direction.values)}
        assert {hit.id for hit in hits if hit.score > 0.99} == aligned
