"""Everything that the Qdrant adapter is run against: local mode, the doubles, and a real server where one is named.

``EMBEDSTREAM_TEST_QDRANT_URL`` names a server over REST (``http://127.0.0.1:6333``), and
``EMBEDSTREAM_TEST_QDRANT_GRPC_URL`` the same one over gRPC where it does not listen on 6334. It has to be empty:
tests make collections and delete them. ``EMBEDSTREAM_TEST_QDRANT_IMAGE`` names an image instead, for Docker to run.
"""

import contextlib
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.qdrant_double import QdrantDouble
from doubles.qdrant_grpc_double import QdrantGrpcDouble
from qdrant_client import QdrantClient

from adapters.qdrant.catalog import QdrantCatalog
from adapters.qdrant.connection import Connection, connect
from adapters.qdrant.opening import open_server
from adapters.qdrant.options import GRPC_PORT, REST_PORT, Layout, Pace, ServerOptions, parse_address

Opening = Callable[[Path], Iterator[QdrantCatalog]]

SMALL = Pace(timeout_s=20, batch_points=64, requests_in_flight=3)


class OneAtATime:
    """Local mode as a client that threads may share: it is not made for them."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client
        self._turn = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def alone(*arguments: Any, **named: Any) -> Any:
            with self._turn:
                return method(*arguments, **named)

        return alone

    def create_payload_index(self, *_arguments: Any, **_named: Any) -> None:
        """Local mode has none, and warns each time."""


def options(url: str, **more: Any) -> ServerOptions:
    return ServerOptions(address=parse_address(url), **{"pace": SMALL, **more})


def local_mode(folder: Path | None = None) -> Iterator[QdrantCatalog]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = QdrantClient(":memory:") if folder is None else QdrantClient(path=str(folder / "local"))
    catalog = QdrantCatalog(Connection(OneAtATime(client), "local mode", SMALL), Layout())  # type: ignore[arg-type]
    try:
        yield catalog
    finally:
        catalog.close()


def in_memory(_folder: Path) -> Iterator[QdrantCatalog]:
    yield from local_mode()


def over_rest(_folder: Path) -> Iterator[QdrantCatalog]:
    with serving(QdrantDouble()) as double:
        yield from opened(double.url)


def over_grpc(_folder: Path) -> Iterator[QdrantCatalog]:
    with serving(QdrantGrpcDouble()) as double:
        yield from opened(double.url)


def opened(url: str) -> Iterator[QdrantCatalog]:
    catalog = open_server(options(url))
    try:
        yield catalog
    finally:
        catalog.close()


@contextlib.contextmanager
def serving(double: Any) -> Iterator[Any]:
    try:
        yield double
    finally:
        double.close()


# --- a real server


def real_server_named() -> bool:
    """Whether this run is to meet one."""
    return bool(os.environ.get("EMBEDSTREAM_TEST_QDRANT_URL") or os.environ.get("EMBEDSTREAM_TEST_QDRANT_IMAGE"))


def real_over_rest(_folder: Path) -> Iterator[QdrantCatalog]:
    yield from emptied(real_addresses()[0])


def real_over_grpc(_folder: Path) -> Iterator[QdrantCatalog]:
    yield from emptied(real_addresses()[1])


@functools.cache
def real_addresses() -> tuple[str, str]:
    """REST and gRPC."""
    given = os.environ.get("EMBEDSTREAM_TEST_QDRANT_URL")
    if given:
        host = parse_address(given).host
        return given, os.environ.get("EMBEDSTREAM_TEST_QDRANT_GRPC_URL", f"grpc://{host}:{GRPC_PORT}")
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import HttpWaitStrategy

    container = DockerContainer(os.environ["EMBEDSTREAM_TEST_QDRANT_IMAGE"])
    container.with_exposed_ports(REST_PORT, GRPC_PORT).waiting_for(HttpWaitStrategy(REST_PORT, "/readyz"))
    container.start()
    host = container.get_container_host_ip()
    return (
        f"http://{host}:{container.get_exposed_port(REST_PORT)}",
        f"grpc://{host}:{container.get_exposed_port(GRPC_PORT)}",
    )


def emptied(url: str) -> Iterator[QdrantCatalog]:
    """A server without collections, before and after."""
    connection = connect(options(url))
    catalog = QdrantCatalog(connection, Layout())
    if catalog.collections():
        pytest.fail(f"{url} holds collections; the tests need a server of their own, which they empty")
    try:
        yield catalog
    finally:
        for name in catalog.collections():
            connection.call("cleaning up", lambda client, name=name: client.delete_collection(name))
        catalog.close()
