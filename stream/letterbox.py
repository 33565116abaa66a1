"""Where poison goes: the dead letter of a record, as a record of the dead-letter topic.

The original key, value and headers are kept byte for byte, beside headers that say where the record stood, which
stage refused it, and why in one sentence. The partition follows the original key, so letters of one document stay in
order; a record without a key goes to partition 0.
"""

from dataclasses import dataclass

from schemas import dead_letter
from schemas.dead_letter import DeadLetter
from schemas.identity import Version
from stream.errors import Fatal, Poison
from stream.partitioning import partition_for
from stream.ports import Outgoing, Partition, Record


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The dead-letter topic, its size, and how many bytes of an original it takes: key, headers and value."""

    topic: str
    partitions: int
    max_bytes: int

    def letter(
        self, record: Record, stage: str, poison: Poison, version: Version | None = None, lineage: str | None = None
    ) -> Outgoing:
        """The letter of one record; ``version`` and ``lineage`` where they were known, for a later redrive."""
        letter = dead_letter.encode(
            DeadLetter(
                key=record.key,
                value=record.value,
                headers=record.headers,
                topic=record.partition.topic,
                partition=record.partition.number,
                offset=record.offset,
                stage=stage,
                error_class=poison.kind,
                message=str(poison),
                version=version,
                lineage=lineage,
            ),
            max(0, self.max_bytes - _length(record)),
        )
        number = 0 if record.key is None else partition_for(record.key, self.partitions)
        return Outgoing(Partition(self.topic, number), letter.key, letter.value, letter.headers)


def undeliverable(poison: Poison) -> Fatal:
    """What it means that a topic refuses a chunk event or a dead letter for good: sizes were checked against its
    limits before, so it is not the record that is wrong, and giving it up would lose it.
    """
    return Fatal(
        f"{poison} A topic refuses a chunk event or a dead letter; raise the topic's max.message.bytes and "
        "kafka.message.max.bytes, or lower chunks.max_event_bytes."
    )


def _length(record: Record) -> int:
    """Of what is kept whatever its size: key and headers, in bytes."""
    return len(record.key or b"") + sum(len(name.encode()) + len(value or b"") for name, value in record.headers)
