"""A registry's double, and the adapter that asks it."""

import pytest
from doubles.schema_registry import SchemaRegistryDouble

from adapters.schema_registry.client import RegistrySchemas
from adapters.schema_registry.unframer import RegistryUnframer


class HeldClock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def registry():
    double = SchemaRegistryDouble()
    yield double
    double.stop()


@pytest.fixture
def clock():
    return HeldClock()


@pytest.fixture
def open_unframer(registry, clock):
    opened = []

    def open_(on_unknown="stop", **given):
        schemas = RegistrySchemas({"url": registry.url, **given}, on_unknown, clock)
        opened.append(RegistryUnframer(schemas))
        return opened[-1]

    yield open_
    for unframer in opened:
        unframer.close()


@pytest.fixture
def unframer(open_unframer):
    return open_unframer()


@pytest.fixture
def lenient(open_unframer):
    """One for which a schema that the registry does not have makes a dead letter."""
    return open_unframer("dead-letter")
