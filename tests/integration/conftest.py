"""Streams for the integration tests; whatever a test started ends with it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from deployed_stream import Stream


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
