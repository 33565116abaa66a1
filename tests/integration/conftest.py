"""Streams for the integration tests; whatever a test started ends with it.

This tier runs twice, on the servers of the native stack and on those of compose.yaml in containers (``origin``).
Where there is no Docker engine, or no image of a service, the second half is skipped on a laptop and fails under
``CI``. A test that is about the one kind of server alone asks for it:
``@pytest.mark.parametrize("origin", ["native"], indirect=True)``.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from containers import ContainerStack
from deployed_stream import Stream
from guarded_broker import GuardedBroker

from stream.errors import Fatal


def _unavailable(error: Fatal) -> None:
    if os.environ.get("CI"):
        pytest.fail(str(error))
    pytest.skip(str(error))


@pytest.fixture(scope="session", params=["native", "containers"])
def origin(request: pytest.FixtureRequest) -> str:
    """Where the servers of this run come from."""
    return str(request.param)


@pytest.fixture(scope="session")
def container_stack() -> Iterator[ContainerStack]:
    """The services of compose.yaml in containers; nothing runs yet."""
    try:
        stack = ContainerStack()
    except Fatal as error:
        _unavailable(error)
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def kafka(origin: str, request: pytest.FixtureRequest) -> str:
    """``host:port`` of a real broker of this origin, the same for the whole session."""
    if origin == "native":
        return str(request.getfixturevalue("native_kafka"))
    try:
        return request.getfixturevalue("container_stack").kafka()
    except Fatal as error:
        _unavailable(error)


@pytest.fixture(scope="session")
def cdc_stack(origin: str, request: pytest.FixtureRequest) -> Any:
    """The addresses of the whole stack of this origin."""
    if origin == "native":
        return request.getfixturevalue("native_cdc_stack")
    try:
        return request.getfixturevalue("container_stack").cdc()
    except Fatal as error:
        _unavailable(error)


@pytest.fixture
def new_stream(kafka: str) -> Iterator[Callable[..., Stream]]:
    """``new_stream(sources, table={…})``: a deployment with topics, groups and an index of its own."""
    made: list[Stream] = []

    def make(*arguments: Any, **tables: Any) -> Stream:
        made.append(Stream(kafka, *arguments, **tables))
        return made[-1]

    yield make
    for stream in made:
        stream.close()


@pytest.fixture(scope="session")
def guarded() -> Iterator[GuardedBroker]:
    """A broker with TLS, passwords, client certificates and rights; each test adds users of its own."""
    try:
        broker = GuardedBroker()
    except Fatal as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield broker
    broker.close()


@pytest.fixture
def guarded_stream(guarded: GuardedBroker) -> Iterator[Callable[..., Stream]]:
    """As ``new_stream``, on the guarded broker; ``kafka={…}`` names the door."""
    made: list[Stream] = []

    def make(*arguments: Any, **tables: Any) -> Stream:
        made.append(Stream(guarded.plain, *arguments, **tables))
        return made[-1]

    yield make
    for stream in made:
        stream.close()
