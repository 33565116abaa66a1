"""Every index adapter as ``catalog``: a law is written once and holds for all of them.

A further adapter is one more function here, registered under its name.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from index_world import FIELDS, SPEC
from qdrant_world import in_memory, over_grpc, over_rest, real_over_grpc, real_over_rest, real_server_named

from adapters.edge.catalog import EdgeCatalog
from adapters.edge.client import SocketCatalog
from adapters.memory.index import MemoryCatalog
from stream.ports import IndexCatalog, VectorIndex

Opening = Callable[[Path], Iterator[IndexCatalog]]


def memory(_folder: Path) -> Iterator[IndexCatalog]:
    yield MemoryCatalog()


def edge(folder: Path) -> Iterator[IndexCatalog]:
    catalog = EdgeCatalog(folder / "index")
    try:
        yield catalog
    finally:
        catalog.close()


def edge_through_its_socket(folder: Path) -> Iterator[IndexCatalog]:
    owner = EdgeCatalog(folder / "index")
    try:
        owner.serve()
        client = SocketCatalog(folder / "index")
        try:
            yield client
        finally:
            client.close()
    finally:
        owner.close()


ADAPTERS: dict[str, Opening] = {
    "memory": memory,
    "edge": edge,
    "edge-socket": edge_through_its_socket,
    "qdrant-local": in_memory,
    "qdrant-rest-double": over_rest,
    "qdrant-grpc-double": over_grpc,
}
if real_server_named():
    ADAPTERS |= {"qdrant-rest": real_over_rest, "qdrant-grpc": real_over_grpc}


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder in memory where the machine has one: making a collection syncs a hundred files, and no test
    here cuts the power. A killed process leaves the same files on either.
    """
    memory_disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="embedstream-", dir=memory_disk if os.access(memory_disk, os.W_OK) else None
    ) as made:
        yield Path(made)


@pytest.fixture(params=sorted(ADAPTERS))
def catalog(request: pytest.FixtureRequest, folder: Path) -> Iterator[IndexCatalog]:
    with contextmanager(ADAPTERS[request.param])(folder) as opened:
        yield opened


@pytest.fixture
def index(catalog: IndexCatalog) -> VectorIndex:
    """An empty collection of four dimensions."""
    catalog.create("docs__abc__g1", SPEC, FIELDS, {"made_by": "a test"})
    return catalog.open("docs__abc__g1")
