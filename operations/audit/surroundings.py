"""What an audit works with: the chunk topic and its group, the collection, an encoder, and somebody to wait."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.identity import DocId, Fingerprint
from stream.intake import Admission
from stream.partitioning import partition_of
from stream.points import DenseVector
from stream.ports import Partition, Producer, Record, Topics, Unframer, VectorIndex
from stream.revision import ChunkTopic
from stream.source import Source


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Without a producer nothing is published; without an encoder no vector is looked at."""

    topics: Topics
    records: Callable[[Sequence[Partition], Mapping[Partition, int]], Iterable[Record]]
    """Committed records of partitions from these offsets, or from their first record, to their ends."""
    chunks: ChunkTopic
    group: str
    """Of the embedders that write the collection."""
    collection: str
    admission: Admission
    """What the collection accepts."""
    index: VectorIndex
    store_text: bool
    fit_title: Callable[[str | None], str | None]
    encode: Callable[[Sequence[str]], Sequence[DenseVector]] | None
    producer: Producer | None
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""
    sources: Sequence[Source]
    unframer: Unframer
    hold: int
    """Documents and chunks whose last state is held at once, but one partition of the topic at least."""

    def chunking_of(self, source: str) -> Fingerprint | None:
        """The header under which the collection accepts a source's events."""
        return next((header for header, name in self.admission.sources.items() if name == source), None)

    def place_of(self, document: DocId) -> Partition:
        """The document's partition of the chunk topic."""
        return Partition(self.chunks.name, partition_of(document, self.chunks.partitions))
