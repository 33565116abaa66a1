"""``stream.ports.Unframer`` on a schema registry: keys and values out of their frames.

Importing the client library takes seconds, so this module is imported only where a registry is configured.
"""

from adapters.schema_registry.client import RegistrySchemas
from adapters.schema_registry.readers import Readers
from schemas.framing import Frame, Part
from schemas.wrapped import Said, Wrapped
from stream.framed import opened
from stream.ports import Record


class RegistryUnframer:
    """``schemas`` are this unframer's to close; nothing is asked of the registry before a record."""

    def __init__(self, schemas: RegistrySchemas) -> None:
        self._schemas = schemas
        self._readers = Readers(schemas)

    def unframed(self, record: Record) -> tuple[Said | None, Said | None]:
        """Key and value. Raises Poison, Outage and Fatal."""
        return opened(record, self._read)

    def close(self) -> None:
        """Closes the connections."""
        self._schemas.close()

    def _read(self, frame: Frame, part: Part) -> Wrapped:
        return self._readers.of(frame)(frame, part)
