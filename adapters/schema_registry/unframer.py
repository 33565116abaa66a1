"""``stream.ports.Unframer`` on a schema registry: keys and values out of their frames.

Importing the client library takes seconds, so this module is imported only where a registry is configured.
"""

import time
from collections.abc import Callable

from adapters.schema_registry.client import RegistrySchemas
from adapters.schema_registry.properties import Given
from adapters.schema_registry.readers import Readers
from schemas.framing import Frame, Part
from schemas.wrapped import Said, Wrapped
from stream.framed import OnUnknownSchema, opened
from stream.ports import Record, Step, no_step


class RegistryUnframer:
    """Raises Misuse where the registry's client cannot be made; nothing is asked of the registry before a record."""

    def __init__(
        self,
        given: Given,
        on_unknown: OnUnknownSchema = "stop",
        now: Callable[[], float] = time.monotonic,
        step: Step = no_step,
    ) -> None:
        self._schemas = RegistrySchemas(given, on_unknown, now, step)
        self._readers = Readers(self._schemas)

    def unframed(self, record: Record) -> tuple[Said | None, Said | None]:
        """Key and value. Raises Poison, Outage and Fatal."""
        return opened(record, self._read)

    def close(self) -> None:
        """Closes the connections."""
        self._schemas.close()

    def _read(self, frame: Frame, part: Part) -> Wrapped:
        return self._readers.of(frame)(frame, part)
