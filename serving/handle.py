"""What a search is made of: a collection, the contract in its metadata, and an encoder that keeps that contract.

Invariant 4 (no mix) on the query path: :func:`open_handle` compares the contract of the collection with that of the
encoder and makes the collection's probes again, and refuses with both sides shown. A handle is immutable, so a
request that took one searches the collection that its query was encoded for, whatever happens to the alias meanwhile.

:class:`LiveIndex` follows the alias. It asks for it at every request, and makes a handle, probes and all, once for
each collection, before the alias points there where it is told of one; nobody is answered from the old collection
after that, and nobody at all where no encoder at hand keeps the new one's contract.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from serving.batcher import QueryBatcher
from stream import probes
from stream.collection import CollectionRecord, check_encoding, from_json
from stream.contract import Contract, EncodingContract
from stream.errors import Fatal, Outage
from stream.points import DenseVector
from stream.ports import Encoder, IndexCatalog, VectorIndex
from stream.query_batch import Batching

_CREATED_LATER_S = 2.0


@dataclass(frozen=True, slots=True)
class QueryEncoder:
    """An encoder, and the line in front of it in which queries of several requests come together."""

    encoder: Encoder
    batcher: QueryBatcher

    @property
    def contract(self) -> EncodingContract:
        """The encoder's."""
        return self.encoder.contract

    @property
    def waiting(self) -> int:
        """Texts in line."""
        return self.batcher.waiting

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """What the model would see of each query, prompt and special tokens included. Waits for nobody."""
        return self.encoder.count_tokens("query", texts)

    def encode(self, texts: Sequence[str], deadline: float | None = None) -> Sequence[DenseVector]:
        """One vector a query, in order. Raises Late where ``deadline`` (monotonic seconds) passed before its turn."""
        return self.batcher.encode(texts, deadline)


@dataclass(frozen=True, slots=True)
class IndexHandle:
    """The immutable pair of a request. Made by :func:`open_handle` alone, which has checked it."""

    collection: str
    record: CollectionRecord
    encoder: QueryEncoder
    index: VectorIndex
    worst_probe: float
    """The least cosine of a probe made again; 1 where the collection has none."""

    @property
    def contract(self) -> Contract:
        """The collection's."""
        return self.record.contract


def open_handle(catalog: IndexCatalog, collection: str, encoders: Sequence[QueryEncoder]) -> IndexHandle:
    """Opens the collection for the encoder that keeps its contract.

    Raises Fatal, with both sides shown, where none does, and where one only claims to (its probes differ).
    """
    record = from_json(catalog.metadata(collection))
    wanted = record.contract.encoding.fingerprint
    chosen = next((encoder for encoder in encoders if encoder.contract.fingerprint == wanted), None)
    if chosen is None:
        check_encoding(encoders[0].contract, record.contract)
        raise Fatal(f"No encoder of this process keeps the contract of collection {collection}.")
    worst = probes.check(record.probes, chosen.encoder, collection)
    return IndexHandle(collection, record, chosen, catalog.open(collection), worst)


class LiveIndex:
    """The index that users search, by its name. May be shared between threads."""

    def __init__(
        self, catalog: IndexCatalog, name: str, encoders: Sequence[Encoder], batching: Batching | None = None
    ) -> None:
        """``encoders``: usually one; two while an index is moved to another model by one process. ``batching`` is
        how each of them takes queries.
        """
        if not encoders:
            raise Fatal("A query service needs an encoder.")
        self.name = name
        self._catalog = catalog
        self._encoders = tuple(QueryEncoder(encoder, QueryBatcher(encoder, batching)) for encoder in encoders)
        self._lock = threading.Lock()
        self._handles: dict[str, IndexHandle] = {}

    @property
    def prepared(self) -> tuple[str, ...]:
        """Collections that could be searched at once, were the alias to mean them."""
        return tuple(sorted(self._handles))

    @property
    def waiting(self) -> int:
        """Texts of queries in line, of all encoders."""
        return sum(encoder.waiting for encoder in self._encoders)

    def prepare(self, collection: str) -> None:
        """Opens a collection before the alias means it, so that no search waits for that. Raises Fatal where no
        encoder of this process keeps its contract, and where it does not exist.
        """
        self._open(collection)

    def keep(self, collections: Collection[str]) -> None:
        """Forgets every other one: what is made again under the name of one that was dropped is opened anew, where
        a look fell in between. A generation's name is used again only by an upgrade that was retired and begun anew.
        """
        with self._lock:
            self._handles = {name: handle for name, handle in self._handles.items() if name in collections}

    def current(self) -> IndexHandle:
        """The handle for one request.

        Raises Outage while the alias does not exist (the embedder makes it) or the index is away, and Fatal where the
        alias points to a collection that no encoder of this process may search.
        """
        collection = self._catalog.aliases().get(self.name)
        if collection is None:
            raise Outage(f"Index {self.name} does not exist yet: the embedder makes it.", _CREATED_LATER_S)
        return self._open(collection)

    def _open(self, collection: str) -> IndexHandle:
        handle = self._handles.get(collection)
        if handle is not None:
            return handle
        with self._lock:
            handle = self._handles.get(collection)
            if handle is None:
                handle = open_handle(self._catalog, collection, self._encoders)
                self._handles = {**self._handles, collection: handle}
            return handle
