"""What erasing works with: the bus, every collection of the index, and somebody to wait.

A collection that its embedder is reading is that embedder's to write; erasing waits until it has read the delete. One
that nobody reads (an upgrade's old half) has nobody to write the delete but the erasing itself. Which of the two it
is, is told by the members of its group.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.identity import DocId, Version
from stream.kept_letter import KeptLetter
from stream.letter_selection import Selection
from stream.ports import Partition, Producer, Record, Topics, Unframer, VectorIndex
from stream.revision import ChunkTopic
from stream.source import Source


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection of the index. ``lineages``: source → lineage of its versions."""

    name: str
    lineages: Mapping[str, str]
    index: VectorIndex
    group: str
    """Of the embedders that write it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Without a producer nothing is written anywhere, and it is told what would be."""

    topics: Topics
    records: Callable[[Sequence[Partition], Mapping[Partition, int]], Iterable[Record]]
    """Partitions from these offsets, or from their first record, to their ends."""
    letters: Callable[[Selection], Iterable[KeptLetter]]
    notes: Callable[[], Mapping[tuple[DocId, str], Version]]
    """Document and lineage → the version up to which it was erased before."""
    letter_topic: str
    collections: Sequence[Collection]
    sources: Mapping[str, Source]
    """By name."""
    unframer: Unframer
    lineages: Mapping[str, str]
    """Source name → lineage now."""
    chunks: ChunkTopic
    chunker_group: str
    members: Callable[[str], int]
    """How many members a group has."""
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""
    producer: Producer | None
    now_ms: Callable[[], int]
