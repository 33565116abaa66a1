"""The index in memory: collections, metadata and aliases that live as long as their process.

It keeps every law of ``VectorIndex`` and ``IndexCatalog`` but durability, and passes the suite that Qdrant's adapters
pass, so a test or a simulation can use it in their place. Search is exact: one product with every vector.

``step`` is called before each single write and before each change of the catalog, outside every lock: a simulation
stops or crashes a writer there, and the condition is checked only after it, at the moment of the write.
:meth:`MemoryCatalog.seen_by` gives another process's view of the same collections, with a hook of its own.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import orjson

from adapters.admission import (
    absent,
    admit,
    admit_fields,
    admit_ids,
    admit_metadata,
    admit_name,
    admit_vector,
    exists,
    missing_fields,
    refuse_named,
)
from adapters.memory.table import PointTable
from schemas.chunk_event import Json
from schemas.identity import ChunkId, DocId
from stream.filter import Filter, holds
from stream.points import DenseVector, Hit, Point, StoredPoint, Write, removed_mark
from stream.ports import FieldType, Step, VectorSpec, no_step


class MemoryIndex:
    """One collection as ``VectorIndex``. Safe to be used by any number of threads."""

    def __init__(self, table: PointTable, step: Step = no_step) -> None:
        self._table = table
        self._step = step

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        with self._table.lock:
            return {
                document: [self._stored(point) for point in self._table.of_document(document)]
                for document in documents
            }

    def write(self, writes: Sequence[Write]) -> None:
        for write in admit(writes, self._table.vector):
            self._step(f"index.{type(write).__name__.lower()}")
            with self._table.lock:
                self._table.apply(write)

    def marks(self) -> Iterator[StoredPoint]:
        """See ``stream.ports.MarkBin``."""
        found = (removed_mark(point.id, point.payload) for point in self.scroll())
        return (mark for mark in found if mark is not None)

    def discard(self, marks: Sequence[StoredPoint]) -> None:
        for mark in marks:
            self._step("index.discard")
            with self._table.lock:
                self._table.discard(mark.id, mark.version)

    def search(
        self,
        vector: DenseVector,
        limit: int,
        wanted: Filter | None = None,
        *,
        least_score: float | None = None,
    ) -> Sequence[Hit]:
        query = admit_vector(vector, self._table.vector)
        hits: list[Hit] = []
        with self._table.lock:
            for point, score in self._table.vectors.nearest(query.values):
                if len(hits) >= limit or (least_score is not None and score < least_score):
                    break
                if wanted is None or holds(wanted, self._table.payload(point) or {}):
                    hits.append(Hit(point, score, self._table.copy(point)))
        return hits

    def scroll(self, *, with_vectors: bool = False) -> Iterator[Point]:
        with self._table.lock:
            ids = self._table.ids()
        for point in ids:
            yield from self.points([point], with_vectors=with_vectors)

    def points(self, ids: Sequence[ChunkId], *, with_vectors: bool = False) -> Sequence[Point]:
        admit_ids(ids)
        with self._table.lock:
            return [
                Point(point, self._table.copy(point), self._table.vectors.get(point) if with_vectors else None)
                for point in dict.fromkeys(ids)
                if self._table.payload(point) is not None
            ]

    def count(self, state: str | None = None) -> int:
        with self._table.lock:
            states = Counter(self._table.states())
        return states.total() if state is None else states[state]

    def flush(self) -> None:
        """Nothing outlives the process."""
        self._step("index.flush")

    def _stored(self, point: ChunkId) -> StoredPoint:
        return StoredPoint.of(point, self._table.copy(point))


@dataclass(slots=True)
class _Collection:
    table: PointTable
    metadata: bytes


@dataclass(slots=True)
class _Shelf:
    """What every view of one catalog shares."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    collections: dict[str, _Collection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


class MemoryCatalog:
    """``IndexCatalog`` in memory. ``close`` ends a view; the collections live as long as some view does."""

    def __init__(self, step: Step = no_step) -> None:
        self._step = step
        self._shelf = _Shelf()

    def seen_by(self, step: Step) -> "MemoryCatalog":
        """The same collections as another process sees them."""
        view = MemoryCatalog(step)
        view._shelf = self._shelf
        return view

    def collections(self) -> Sequence[str]:
        with self._shelf.lock:
            return sorted(self._shelf.collections)

    def create(
        self, name: str, vector: VectorSpec, fields: Mapping[str, FieldType], metadata: Mapping[str, Json]
    ) -> None:
        admit_name(name)
        admit_fields(fields)
        kept = admit_metadata(metadata)
        self._step("catalog.create")
        with self._shelf.lock:
            if name in self._shelf.collections or name in self._shelf.aliases:
                raise exists(name)
            self._shelf.collections[name] = _Collection(PointTable(vector, dict(fields)), kept)

    def ensure_fields(self, name: str, fields: Mapping[str, FieldType]) -> None:
        admit_fields(fields)
        self._step("catalog.ensure_fields")
        with self._shelf.lock:
            table = self._collection(name).table
            table.fields.update(missing_fields(name, table.fields, fields))

    def metadata(self, name: str) -> Mapping[str, Json]:
        with self._shelf.lock:
            return cast("dict[str, Json]", orjson.loads(self._collection(name).metadata))

    def replace_metadata(self, name: str, expected: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
        before, after = admit_metadata(expected), admit_metadata(wanted)
        self._step("catalog.replace_metadata")
        with self._shelf.lock:
            collection = self._collection(name)
            if collection.metadata != before:
                return False
            collection.metadata = after
            return True

    def aliases(self) -> Mapping[str, str]:
        with self._shelf.lock:
            return dict(self._shelf.aliases)

    def switch_alias(self, alias: str, expected: str | None, wanted: str | None) -> bool:
        admit_name(alias)
        self._step("catalog.switch_alias")
        with self._shelf.lock:
            if wanted is not None:
                self._collection(wanted)
            if alias in self._shelf.collections:
                raise exists(alias)
            if self._shelf.aliases.get(alias) != expected:
                return False
            if wanted is None:
                self._shelf.aliases.pop(alias, None)
            else:
                self._shelf.aliases[alias] = wanted
            return True

    def drop(self, name: str) -> None:
        self._step("catalog.drop")
        with self._shelf.lock:
            if name in self._shelf.collections:
                refuse_named(name, self._shelf.aliases)
                self._shelf.collections.pop(name).table.clear()

    def open(self, name: str) -> MemoryIndex:
        with self._shelf.lock:
            return MemoryIndex(self._collection(name).table, self._step)

    def bin(self, name: str) -> MemoryIndex:
        return self.open(name)

    def close(self) -> None:
        """Nothing is held outside the process."""

    def _collection(self, name: str) -> _Collection:
        try:
            return self._shelf.collections[name]
        except KeyError:
            raise absent(name, sorted(self._shelf.collections)) from None
