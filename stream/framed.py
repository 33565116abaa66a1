"""Keys and values in a schema registry's frames: who opens them, and what a frame means where nobody can.

A pipeline that reads framed topics has a registry to ask (``stream.ports.Unframer``). One without stops at the first
framed record: the whole topic is framed then, as a rule, and turning it into dead letters record by record would
empty the index over a missing line of the configuration. Where framed records are the exception that never can be
read, ``on_framed = "dead-letter"`` says so.

Law: what a frame is follows from the record's bytes and headers alone (``schemas.framing``); a part that is not
framed passes untouched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from schemas.framing import Frame, Part, frame_of
from schemas.malformed import Malformed
from schemas.wrapped import Said, Wrapped
from stream.errors import Fatal, Poison
from stream.ports import Record

OnFramed = Literal["stop", "dead-letter"]
OnUnknownSchema = Literal["stop", "dead-letter"]


def opened(record: Record, read: Callable[[Frame, Part], Wrapped]) -> tuple[Said | None, Said | None]:
    """Key and value of a record, each opened by ``read`` if it is framed. Raises Poison and what ``read`` raises."""
    return _part(record, record.key, "key", read), _part(record, record.value, "value", read)


def _part(record: Record, data: bytes | None, part: Part, read: Callable[[Frame, Part], Wrapped]) -> Said | None:
    if data is None:
        return None
    try:
        frame = frame_of(data, part, record.headers)
        return data if frame is None else read(frame, part)
    except Malformed as error:
        raise Poison(error.kind, str(error)) from error


@dataclass(frozen=True, slots=True)
class NoRegistry:
    """Implements ``stream.ports.Unframer`` where no registry is configured."""

    on_framed: OnFramed = "stop"

    def unframed(self, record: Record) -> tuple[Said | None, Said | None]:
        """Raises Fatal for a framed record, or Poison of kind ``registry-framed`` where that was chosen."""

        def refuse(frame: Frame, part: Part) -> Wrapped:
            happened = (
                f"The {part} of a record of topic {record.partition.topic!r} is framed by a schema registry "
                f"({frame.name}), and none is configured"
            )
            if self.on_framed == "dead-letter":
                raise Poison("registry-framed", f'{happened}; set "url" in [registry] to read such records.')
            raise Fatal(
                f'{happened}; set "url" in [registry], or, if the topic should hold no such records, '
                'on_framed = "dead-letter" there.'
            )

        return opened(record, refuse)

    def close(self) -> None:
        """There is nothing to close."""
