"""The bus as somebody sees it who looks whether a deployment can run: brokers, rights, groups, the newest records.

A port beside ``stream.ports.Topics``, for looking only: it changes nothing that the stream reads. Rights are those of
the user that asks, in the words of Kafka's ACLs and in lower case (``read``, ``write``, ``describe_configs``). Where
no authorizer asks for rights, everybody has them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream.ports import Partition, Record

Rights = frozenset[str]


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """``release`` is the newest of Kafka whose protocol it is seen to speak, (major, minor); None: not known."""

    id: str
    brokers: tuple[str, ...]
    """``host:port`` of each."""
    release: tuple[int, int] | None
    rights: Rights = frozenset()
    """To the cluster itself."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of one broker; empty where this user may not read them."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a consumer group."""

    client: str
    """Its ``client.id``."""
    host: str
    partitions: frozenset[Partition] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A group that nobody has used yet has no members."""

    members: tuple[Member, ...] = ()
    rights: Rights = frozenset()


class Cluster(Protocol):
    """Laws: nothing that is asked here changes what a consumer or producer of the stream sees; Outage where nobody
    answers, Fatal where the user is not let in.
    """

    def describe(self) -> ClusterInfo: ...

    def topic_rights(self, topic: str) -> Rights | None:
        """None where the topic does not exist; empty where the user may not even know whether it does."""

    def group(self, name: str) -> GroupInfo:
        """Without rights and members where the user may not describe it."""

    def check_transactions(self, prefix: str) -> None:
        """Opens a transactional id that begins with ``prefix`` and is nobody's, and closes it. Raises Fatal where
        this user may not.
        """

    def newest(self, topic: str, each: int) -> Sequence[Record]:
        """The last ``each`` committed records of every partition, older ones first."""
