"""The topics: settings under which events would be lost, refused or never compacted.

What a setting means for the stream is decided here, once for the topics that embedstream makes and for those that a
database's connector makes. A setting that could not be read is absent from a topic's ``config`` and says nothing.
"""

from collections.abc import Iterator

from operations.doctor.finding import Finding, advice, fatal, ok, unchecked
from operations.doctor.wanted import WantedTopic
from stream.ports import TopicInfo
from stream.source import Source

_DAY_MS = 24 * 3600 * 1000
_WEEK_MS = 7 * _DAY_MS
_FOREVER = -1


def check_chunk_topic(wanted: WantedTopic, found: TopicInfo | None, brokers: int) -> Iterator[Finding]:
    """It alone can rebuild an index, so nothing may leave it but what compaction replaces."""
    about = f"topic {wanted.name}"
    if found is None:
        yield _missing(about, wanted, "chunks.create")
        return
    if not found.config:
        yield unchecked(about, "this user may not read its settings (DescribeConfigs)")
    findings = list(_about_what_is_kept(about, wanted, found))
    yield from findings
    serious = bool(findings)
    lag = _number(found, "min.compaction.lag.ms")
    if lag is not None and lag < _DAY_MS and not wanted.at_least_once:
        yield advice(
            about,
            f"its min.compaction.lag.ms is {lag}: an event may be compacted away before a slow reader has seen it",
            f"set min.compaction.lag.ms to {_DAY_MS} (24 h)",
        )
    takes = _number(found, "max.message.bytes")
    if takes is not None and takes < wanted.least_bytes:
        serious = True
        yield fatal(
            about,
            f"it takes records of {takes} bytes, and an event may have {wanted.least_bytes}",
            "raise its max.message.bytes, or lower chunks.max_event_bytes",
        )
    if found.partitions != wanted.partitions:
        yield advice(
            about,
            f"it has {_partitions(found.partitions)}, and chunks.partitions is {wanted.partitions}",
            f"write {found.partitions} in the configuration; adding partitions needs the next index.generation",
        )
    if brokers > 1 and wanted.replication == 1 and wanted.create:
        yield advice(
            about,
            f"chunks.replication is 1 on a cluster of {brokers} brokers",
            "keep more than one copy: kafka-reassign-partitions for this topic, chunks.replication for the next",
        )
    if not serious and found.config:
        kept = "kept whole" if wanted.at_least_once else "compacted"
        yield ok(about, f"{kept}, {_partitions(found.partitions)}")


def _about_what_is_kept(about: str, wanted: WantedTopic, found: TopicInfo) -> Iterator[Finding]:
    policies = _policies(found)
    if wanted.at_least_once:
        if "compact" in policies:
            yield fatal(
                about,
                "it is compacted, and a chunker under Faust may write an older event behind a newer one, which would "
                "be the one that is kept",
                "set its cleanup.policy to delete with retention.ms = -1, or name another chunks.topic",
            )
        elif policies and not _keeps_all(found):
            yield fatal(
                about,
                f"its events are deleted after {_duration(found, 'retention.ms')}, and the index can no longer be "
                "rebuilt from it",
                "set retention.ms = -1 on it",
            )
    elif policies == {"delete"} and _keeps_all(found):
        yield advice(about, "it is not compacted: it grows with every change, for ever", "set cleanup.policy=compact")
    elif policies and policies != {"compact"}:
        kept = _duration(found, "retention.ms")
        yield fatal(
            about,
            f"its cleanup.policy is {','.join(sorted(policies))}: chunk events are deleted after {kept}, and the "
            "index can no longer be rebuilt from it",
            "set cleanup.policy=compact on it",
        )


def check_source_topic(source: Source, found: TopicInfo | None) -> Iterator[Finding]:
    """What leaves it before a chunker has read it is lost to the index."""
    about = f"topic {source.topic}"
    if found is None:
        yield fatal(
            about,
            f"it does not exist, and source {source.name!r} reads it",
            "start the connector that creates it, or correct source.topic",
        )
        return
    policies = _policies(found)
    if not found.config:
        yield unchecked(about, "this user may not read its settings (DescribeConfigs)")
    retention = _number(found, "retention.ms")
    if "delete" in policies and retention is not None and retention != _FOREVER and retention < _WEEK_MS:
        yield advice(
            about,
            f"its records are deleted after {_duration(found, 'retention.ms')}: a chunker that stood still "
            "for longer would have lost changes, and another chunking cannot be built from it",
            "set cleanup.policy=compact, or raise retention.ms",
        )
    kept_bytes = _number(found, "retention.bytes")
    if "delete" in policies and kept_bytes is not None and kept_bytes != _FOREVER:
        yield advice(
            about,
            f"its partitions keep {kept_bytes} bytes: a burst may push changes out before a chunker has read them",
            "set retention.bytes=-1",
        )
    tombstones = _number(found, "delete.retention.ms")
    if policies == {"compact"} and tombstones is not None and tombstones < _DAY_MS:
        yield advice(
            about,
            f"its deletes are compacted away after {_duration(found, 'delete.retention.ms')}: a chunker that stood "
            "still for longer would leave deleted documents in the index",
            f"set delete.retention.ms to {_DAY_MS} (24 h) or more",
        )
    if found.partitions == 1:
        yield ok(about, "one partition: one chunker reads it, a second would wait")
    else:
        yield ok(about, _partitions(found.partitions))


def check_letter_topic(wanted: WantedTopic, found: TopicInfo | None) -> Iterator[Finding]:
    """It keeps what cannot be read, byte for byte; a letter that it refuses stops the process."""
    about = f"topic {wanted.name}"
    if found is None:
        yield _missing(about, wanted, "dead_letters.create")
        return
    if not found.config:
        yield unchecked(about, "this user may not read its settings (DescribeConfigs)")
    serious = False
    if "compact" in _policies(found):
        serious = True
        yield fatal(
            about,
            "it is compacted: it refuses a letter without a key, which stops the process, and forgets all but the "
            "last letter of a key",
            "set cleanup.policy=delete on it",
        )
    retention = _number(found, "retention.ms")
    if retention is not None and retention != _FOREVER and retention < _WEEK_MS and not serious:
        yield advice(
            about,
            f"letters are deleted after {_duration(found, 'retention.ms')}, perhaps before anybody has looked",
            "raise its retention.ms (30 days is what embedstream sets)",
        )
    takes = _number(found, "max.message.bytes")
    if takes is not None and takes < wanted.least_bytes:
        yield advice(
            about,
            f"it takes records of {takes} bytes: of a larger one only its address and digest are kept",
            f"raise its max.message.bytes to {wanted.least_bytes}",
        )
    if not serious and found.config:
        yield ok(about, f"a letter is kept for {_duration(found, 'retention.ms')}")


def check_producer_limit(wanted: WantedTopic, client_bytes: int) -> Iterator[Finding]:
    """What our own client refuses never reaches the broker."""
    if client_bytes < wanted.least_bytes:
        yield fatal(
            "kafka.message.max.bytes",
            f"it is {client_bytes}, and a chunk event may have {wanted.least_bytes} bytes with what stands around it",
            "raise it, or lower chunks.max_event_bytes",
        )


def _missing(about: str, wanted: WantedTopic, key: str) -> Finding:
    if wanted.create:
        return ok(about, f"it does not exist yet and will be made, {_partitions(wanted.partitions)}")
    return fatal(about, f"it does not exist, and {key} is false", f"create it, or set {key} = true")


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"


def _policies(found: TopicInfo) -> set[str]:
    return {policy.strip() for policy in found.config.get("cleanup.policy", "").split(",")} - {""}


def _keeps_all(found: TopicInfo) -> bool:
    return _number(found, "retention.ms") == _FOREVER and _number(found, "retention.bytes") in (None, _FOREVER)


def _number(found: TopicInfo, key: str) -> int | None:
    value = found.config.get(key)
    return int(value) if value is not None and value.removeprefix("-").isdigit() else None


def _duration(found: TopicInfo, key: str) -> str:
    value = _number(found, key)
    if value is None:
        return "an unknown time"
    if value == _FOREVER:
        return "ever"
    for unit, length in (("days", _DAY_MS), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000)):
        if value >= 2 * length:
            return f"{value // length} {unit}"
    return f"{value} ms"
