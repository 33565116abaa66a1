"""What a deployment counts on, as plain values: the doctor compares them with what it finds.

Everything here follows from the configuration alone. What follows from the model too (groups, collection, header
fingerprints) is in :class:`Named`, since a model that cannot be read must not keep the doctor from the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.identity import Fingerprint
from stream.contract import Contract
from stream.source import Source


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic of the project's own. ``least_bytes``: the largest record that it has to take. ``at_least_once``: its
    writer may write a record again behind a newer one (Faust), so that compaction would keep the wrong one.
    """

    name: str
    partitions: int
    replication: int
    create: bool
    least_bytes: int
    at_least_once: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """One deployment's counting on Kafka."""

    servers: str
    group_protocol: str
    sources: tuple[Source, ...]
    chunks: WantedTopic
    letters: WantedTopic
    client_bytes: int
    """The largest record that our producers send."""
    transaction_timeout_ms: int
    instance: str
    chunker_client: str | None
    """The ``client.id`` of a chunker with this instance's name; None where all clients have one name."""


@dataclass(frozen=True, slots=True)
class Named:
    """What is named after the contract."""

    contract: Contract
    chunker_group: str
    lineage_group: str
    """Where the chunkers note what they began with: their own group, but under Faust."""
    embedder_group: str
    collection: str
    index: str

    @property
    def headers(self) -> Mapping[str, Fingerprint]:
        """Source → header fingerprint."""
        return self.contract.accepted
