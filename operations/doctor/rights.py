"""What the user of the configuration has to be allowed, and what of it is missing.

The rights are those of all roles together: a chunker reads the CDC topics and writes the chunk topic and the letters
under a transactional id, an embedder reads the chunk topic and writes letters, and each is a member of its group.
Where every role has a user of its own, the doctor is run with each of the configurations; ``roles`` says for whom.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from operations.doctor.finding import Finding, advice, fatal, ok
from operations.doctor.wanted import Wanted
from stream.cluster import Rights

Role = Literal["chunker", "embedder", "query"]
ROLES: frozenset[Role] = frozenset({"chunker", "embedder", "query"})


@dataclass(frozen=True, slots=True)
class Need:
    """Operations on one topic, in Kafka's words, and what for."""

    topic: str
    operations: Rights
    purpose: str


def needs(wanted: Wanted, roles: frozenset[Role]) -> Iterator[Need]:
    """What the roles do with topics. The query service asks no broker for anything."""
    if "chunker" in roles:
        for source in wanted.sources:
            yield Need(source.topic, frozenset({"read"}), f"the chunker reads source {source.name!r} there")
            if source.heartbeat is not None:
                yield Need(
                    source.heartbeat, frozenset({"read"}), "the chunker reads the connector's heartbeats there"
                )
        yield Need(wanted.chunks.name, frozenset({"write"}), "the chunker publishes there")
    if "embedder" in roles:
        yield Need(wanted.chunks.name, frozenset({"read"}), "the embedder reads there")
    if roles & {"chunker", "embedder"}:
        yield Need(wanted.letters.name, frozenset({"write"}), "dead letters are written there")


def check_topic(need: Need, has: Rights | None) -> Iterator[Finding]:
    """``has`` is None where the topic does not exist."""
    missing = sorted(need.operations - has) if has is not None else []
    if missing:
        yield _lacking(f"topic {need.topic}", missing, need.purpose, f"topic {need.topic}")


def check_settings(topics: Mapping[str, Rights | None]) -> Iterator[Finding]:
    """Without DescribeConfigs the limits of a topic are not known, and the broker's defaults are assumed."""
    hidden = sorted(name for name, has in topics.items() if has and "describe_configs" not in has)
    if hidden:
        yield advice(
            "rights",
            f"this user may not read the settings of {', '.join(hidden)}, so a limit there is met only by being hit",
            "grant DescribeConfigs on them",
        )


def check_group(group: str, has: Rights, purpose: str) -> Iterator[Finding]:
    """Read is what joining, committing and reading offsets needs."""
    missing = sorted({"read"} - has)
    if missing:
        prefix = group.rsplit(".", 2)[0]
        yield _lacking(f"group {group}", missing, purpose, f"groups with the prefix {prefix}")


def all_granted(roles: frozenset[Role]) -> Finding:
    """What is said where nothing was missing."""
    return ok("rights", f"this user may do what {', '.join(sorted(roles - {'query'}))} needs")


def _lacking(about: str, missing: list[str], purpose: str, resource: str) -> Finding:
    words = ", ".join(operation.replace("_", " ").title().replace(" ", "") for operation in missing)
    return fatal(about, f"this user has no right to {words} ({purpose})", f"grant {words} on {resource} with an ACL")
