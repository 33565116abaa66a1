"""The ports: all that the core asks of the outside world, and the laws that every adapter obeys.

Each docstring states laws, not habits; ``tests/adapters`` holds one suite a port and runs it on every adapter. Errors
are those of ``stream.errors``: an adapter raises Outage for what passes, Poison for a record that the other side
refuses for good, and Fatal for what a person has to mend. A library's own exception never leaves an adapter.

``Step`` is called with the name of every outside effect just before it happens; the simulation stops or crashes a
process there.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from schemas.chunk_event import Headers, Json
from schemas.identity import ChunkId, DocId
from schemas.wrapped import Said
from stream.contract import EncodingContract
from stream.filter import Filter
from stream.points import DenseVector, Hit, Point, StoredPoint, Write

Step = Callable[[str], None]


def no_step(_name: str) -> None:
    """The hook of a process that nobody simulates."""


class Clock(Protocol):
    """Time, so that a test can hold it."""

    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970 (UTC)."""

    def monotonic(self) -> float:
        """Seconds that never go back; where its clocks can, also those that the machine sleeps: a plan ages then."""


# --- The bus -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read: bytes, never interpreted."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written. The partition is chosen by the core, never by a client library."""

    partition: Partition
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought. ``ends`` gives, for partitions read to their end, the position there: it lies behind
    transaction markers, which take offsets that no record has.
    """

    records: tuple[Record, ...] = ()
    ends: Mapping[Partition, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """A group's committed offset and what was written beside it."""

    offset: int
    metadata: str = ""


class Assignment(Protocol):
    """What a consumer tells its owner; called from within ``Consumer.poll`` and nowhere else."""

    def on_assigned(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        """New partitions; ``committed`` holds those with a commit. Reading starts there, or at the earliest."""

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """They leave when this returns: drain and commit here."""

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """They are gone already: commit nothing."""


class Reader(Protocol):
    """What the chunker needs of a member of a consumer group, which keeps the laws of :class:`Consumer`."""

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """Waits for a first record at most ``timeout_s``, then returns at once with what is there."""

    def rewind(self, offsets: Mapping[Partition, int | None]) -> None:
        """Read again from these offsets; None: from the partition's earliest record."""


class Consumer(Reader, Protocol):
    """A member of a consumer group that reads committed records only.

    Laws: records of a partition come in offset order, each at least once from the committed offset on; a partition
    without a commit is read from its earliest record; a committed offset that the topic no longer has is Fatal, never
    a jump; a paused partition brings nothing while polling goes on; after ``commit`` returns, a successor starts
    there and is told its metadata; ``commit`` of a partition that is not assigned any more raises nothing and commits
    nothing, nor does one of a member that the group went on without; a commit may lie below the one before it.
    """

    def pause(self, partitions: Sequence[Partition]) -> None: ...

    def resume(self, partitions: Sequence[Partition]) -> None: ...

    def commit(self, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """Returns the partitions whose offsets were committed."""

    def close(self) -> None:
        """Revokes (draining through ``on_revoked``), then leaves the group."""


class Producer(Protocol):
    """Writes records outside a transaction. Law: when ``send`` returns, every record is acknowledged by all in-sync
    replicas, or Outage, Poison (a record too large) or Fatal was raised.
    """

    def send(self, records: Sequence[Outgoing]) -> None: ...

    def close(self) -> None: ...


class TransactionalProducer(Protocol):
    """Consume–transform–produce under one transactional id.

    Laws: readers see all records of a transaction and its offsets, or none; opening a second producer with the id
    ends the first one's open transaction, and the first's next call raises Fatal.
    """

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[Partition, Committed]) -> None:
        """One transaction. Raises Outage after an abort: nothing of it is visible, and the same call may be made
        again once the consumer was rewound.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """``id`` is new each time a topic of that name is created."""

    id: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class Topics(Protocol):
    """What an administrator sees of the bus."""

    def describe(self, names: Sequence[str], *, settings: bool = False) -> Mapping[str, TopicInfo]:
        """Topics that do not exist are left out. ``config`` is filled only where ``settings`` is asked for."""

    def create(self, name: str, partitions: int, replication: int, config: Mapping[str, str]) -> None:
        """Nothing happens where it exists."""

    def ends(self, topic: str) -> Mapping[Partition, int]:
        """Offset behind the last committed record (and its marker), for each partition."""

    def log_ends(self, topic: str) -> Mapping[Partition, int]:
        """Offset behind the last record, those of open transactions too.

        Law: where a group's offset is seen that was committed in a transaction, that transaction's records lie below
        the log's ends, though they may not lie below ``ends`` yet: each partition gets its marker by itself.
        """

    def low_watermarks(self, topic: str) -> Mapping[Partition, int]: ...

    def committed(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """Partitions without a commit are left out."""


class Groups(Protocol):
    """Consumer groups as an operator sees them."""

    def members(self, group: str) -> int:
        """How many there are now; 0 for a group that does not exist. Where this user may not know, somebody is there:
        it is 1.
        """

    def delete(self, group: str) -> bool:
        """Takes a group away with its offsets and their metadata; whether it is gone.

        Laws: a group with members stays as it is, and the answer is False; one that does not exist is gone.
        """


class Unframer(Protocol):
    """Takes keys and values out of the frames of a schema registry.

    Laws: a part that is not framed comes back as it is; a framed one says what Kafka Connect's JSON converter would
    have written for the same value, with its schema; the registry is asked once a schema, never once a record;
    a registry that is away is an Outage and decides nothing; Poison (bytes that their schema does not describe, a
    schema that the registry does not have) follows from the record.
    """

    def unframed(self, record: Record) -> tuple[Said | None, Said | None]:
        """Key and value. Raises Poison, Outage and Fatal."""

    def close(self) -> None: ...


class Bus(Protocol):
    """Opens what one process needs of the bus."""

    def consumer(self, group: str, topics: Sequence[str], assignment: Assignment) -> Consumer:
        """A new member of the group; what it is assigned it hears in ``poll``."""

    def producer(self) -> Producer: ...

    def transactional_producer(
        self, transactional_id: str, consumer: Consumer, *, timeout_ms: int = 10_000
    ) -> TransactionalProducer:
        """Offsets are those of ``consumer``, one of this bus. A transaction ends after ``timeout_ms`` at the latest,
        its producer alive or not.
        """

    def topics(self) -> Topics: ...


# --- The index -----------------------------------------------------------------------------------------------------

FieldType = Literal["keyword", "integer", "float", "boolean", "datetime"]


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """The collection's one vector, named after its encoding; compared by cosine."""

    name: str
    dimensions: int


class VectorIndex(Protocol):
    """One collection.

    Laws: every write is carried out only under its own condition (see ``stream.points``), checked at the moment of
    that write, and no other write comes between condition and effect; a refused write raises nothing; the writes of
    one call happen in order; when ``write`` returns, searches and reads of any client see them; they survive SIGKILL
    of the process then, and loss of power after ``flush``; marks are never found by ``search``; writing the same
    twice changes nothing.
    """

    def read(self, documents: Sequence[DocId]) -> Mapping[DocId, Sequence[StoredPoint]]:
        """Every point of these documents, marks included; one round trip for all."""

    def write(self, writes: Sequence[Write]) -> None: ...

    def search(
        self,
        vector: DenseVector,
        limit: int,
        wanted: Filter | None = None,
        *,
        least_score: float | None = None,
    ) -> Sequence[Hit]:
        """The nearest live points that ``wanted`` holds of (see ``stream.filter``), best first, ``limit`` at most.

        Law: it finds no point that ``stream.filter.holds`` is not true of, and, as long as the engine's search is
        exact, misses none whose fields are of the declared types. No score is below ``least_score``, and nothing else
        is left out for it.
        """

    def scroll(self, *, with_vectors: bool = False) -> Iterator[Point]:
        """Every point, marks included, in order of id."""

    def points(self, ids: Sequence[ChunkId], *, with_vectors: bool = False) -> Sequence[Point]:
        """Those that exist, in the order asked."""

    def count(self, state: str | None = None) -> int: ...

    def flush(self) -> None: ...


class MarkBin(Protocol):
    """A collection whose removed marks can be taken away for good (see ``stream.purge``).

    Laws: a point is deleted only where it is stored, *removed*, and of the very version that its mark names, checked
    at the moment of the delete, and no write comes between; every other point stays as it is; what is deleted is gone
    as durably as a write is stored; a point whose payload somebody else damaged is no mark.
    """

    def marks(self) -> Iterator[StoredPoint]:
        """The removed ones, in order of id. What is written meanwhile may be among them or not."""

    def discard(self, marks: Sequence[StoredPoint]) -> None: ...


class IndexCatalog(Protocol):
    """Collections, their metadata and aliases.

    Laws: ``create`` of an existing name raises Fatal; metadata and aliases change by compare-and-set, and a lost race
    returns False, changing nothing; all three are durable when the call returns.
    """

    def collections(self) -> Sequence[str]: ...

    def create(
        self, name: str, vector: VectorSpec, fields: Mapping[str, FieldType], metadata: Mapping[str, Json]
    ) -> None:
        """``doc_id``, ``tenant``, ``state`` and ``fields`` are indexed before the first write; ``version`` is not."""

    def ensure_fields(self, name: str, fields: Mapping[str, FieldType]) -> None:
        """Fields declared since the collection was made are indexed too, over the points stored by then.

        Nothing happens to a field that is indexed as its type already, and none is taken away, so the call may be
        repeated and raced. Raises Fatal, naming field and both types, where one is indexed as another type (and
        then indexes none of them), or where the collection does not exist. Durable when it returns.
        """

    def metadata(self, name: str) -> Mapping[str, Json]:
        """Raises Fatal where the collection does not exist."""

    def replace_metadata(self, name: str, expected: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool: ...

    def aliases(self) -> Mapping[str, str]:
        """Alias → collection."""

    def switch_alias(self, alias: str, expected: str | None, wanted: str | None) -> bool: ...

    def drop(self, name: str) -> None:
        """Takes a collection away with all that is in it; nothing happens where there is none.

        Laws: raises Fatal while an alias means it, and changes nothing then; durable when it returns; what was opened
        of it before finds nothing any more, or raises Fatal.
        """

    def open(self, name: str) -> VectorIndex: ...

    def bin(self, name: str) -> MarkBin:
        """The same collection, for a purge alone."""

    def close(self) -> None: ...


# --- The encoder ---------------------------------------------------------------------------------------------------

TextKind = Literal["passage", "query"]


class DeviceFull(Exception):
    """The device had no memory for this batch; a smaller one may fit."""


class Encoder(Protocol):
    """A model on a device.

    Laws: each text's vector depends on that text and the contract alone, to cosine 0.999, whatever else is in the
    batch; ``count_tokens`` counts what the model sees, special tokens and prompt included, before truncation; a
    vector has ``contract.dimensions`` values; any number of threads may call it at once.
    """

    @property
    def contract(self) -> EncodingContract: ...

    def count_tokens(self, kind: TextKind, texts: Sequence[str]) -> Sequence[int]: ...

    def encode(self, kind: TextKind, texts: Sequence[str]) -> Sequence[DenseVector]:
        """One vector a text, in order, in batches of at most the encoder's own token budget. Raises DeviceFull."""


class Tokenizer(Protocol):
    """The encoder's own tokenizer without a model behind it.

    Laws: same ids as the encoder's, with its stored truncation and padding switched off; ``spans`` gives, for each
    token of the text, [start, end) in code points, without special tokens, in order of start.
    """

    digest: str

    def spans(self, text: str) -> Sequence[tuple[int, int]]: ...

    def count(self, text: str) -> int:
        """Tokens of the text alone, special tokens not counted."""

    def counts(self, texts: Sequence[str]) -> Sequence[int]:
        """``count`` of each text: each is tokenized alone, all of them in one call."""

    def special_tokens(self) -> int:
        """How many special tokens one text gets."""
