"""``embedstream audit``: what of the index differs from the chunk topic, and its repair.

The collection is the one that this configuration writes, whether users search it already or not. It may be audited
while the stream runs. The model is loaded only where vectors are looked at, and has to make the collection's probes
before its word counts.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from adapters.kafka.producer import KafkaProducer
from adapters.kafka.reader import read_partitions
from compose.commands.dead_letters import printable
from compose.commands.looking import own_collection
from compose.deployment import Deployment
from compose.waiting import wait_until
from consumers.opening import OpenCollection
from consumers.stages import ShrinkingEncoder
from operations.audit.auditing import Audit, Scope
from operations.audit.report import Report
from operations.audit.surroundings import Surroundings
from stream import probes
from stream.errors import Fatal, Misuse
from stream.points import DenseVector
from stream.ports import Partition, Record, Topics
from stream.revision import ChunkTopic
from stream.sample import size_to_find

SAMPLE = size_to_find(0.01, 0.95)
"""Finds one damaged vector in a hundred with a probability of 95 %."""
HOLD = 1_000_000
"""40 to 650 MB, as documents are large or small (measured; see docs/audit.md)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options."""

    repair: bool = False
    all_vectors: bool = False
    sample: int = SAMPLE
    after_snapshot: bool = False
    since: str | None = None
    wait_s: float = 60.0
    hold: int = HOLD
    sources: frozenset[str] | None = None


def audited(deployment: Deployment, asked: Asked) -> Report:
    """Looks, and repairs where that is asked for. Raises Fatal, Misuse and Outage."""
    since_ms = instant_ms(asked)
    _refuse_strangers(deployment, asked)
    with ExitStack() as opened:
        topics = deployment.topics()
        _, collection = opened.enter_context(own_collection(deployment, topics))
        producer = None
        if asked.repair:
            producer = KafkaProducer(deployment.settings.kafka.properties)
            opened.callback(producer.close)
        unframer = deployment.unframer()
        opened.callback(unframer.close)
        looks_at_vectors = asked.all_vectors or asked.sample > 0
        around = Surroundings(
            topics=topics,
            records=records_of(deployment),
            chunks=_chunk_topic(deployment, topics),
            group=deployment.embedder_group,
            collection=collection.name,
            admission=collection.admission,
            index=collection.index,
            store_text=deployment.settings.index.store_text,
            fit_title=deployment.cutter.embedded_title,
            encode=_encode(deployment, collection) if looks_at_vectors else None,
            producer=producer,
            patience=lambda condition: wait_until(condition, time.monotonic() + asked.wait_s),
            sources=deployment.settings.sources,
            unframer=unframer,
            hold=asked.hold,
        )
        scope = Scope(
            sample=asked.sample,
            all_vectors=asked.all_vectors,
            after_snapshot=asked.after_snapshot,
            since_ms=since_ms,
            sources=asked.sources,
            salt=secrets.token_bytes(16),
        )
        return Audit(around, scope).run()


def show(report: Report, console: Console) -> None:
    """A line a difference, then the sums. A document's name comes from a row: it writes no line of its own."""
    for line in report.lines():
        console.print(printable(line).replace("\n", "\\n"), markup=False, emoji=False, soft_wrap=True)


def records_of(
    deployment: Deployment,
) -> Callable[[Sequence[Partition], Mapping[Partition, int]], Iterable[Record]]:
    """Reads partitions of this deployment's broker."""
    given = deployment.settings.kafka.properties
    return lambda places, starts: read_partitions(given, places, starts)


def _chunk_topic(deployment: Deployment, topics: Topics) -> ChunkTopic:
    """An event that is as large as may be is larger by the collection's name when it is published again; the topic
    takes that, for it has room for key and headers beside (``Deployment.largest_record_bytes``).
    """
    chunks = deployment.settings.chunks
    info = topics.describe([chunks.topic]).get(chunks.topic)
    if info is None:
        raise Fatal(f"The chunk topic {chunks.topic} does not exist; start the chunker, or correct chunks.topic.")
    return ChunkTopic(chunks.topic, info.partitions, chunks.max_event_bytes + len(deployment.collection) + 64)


def _encode(deployment: Deployment, collection: OpenCollection) -> Callable[[Sequence[str]], Sequence[DenseVector]]:
    profiles = deployment.profiles
    probes.check(collection.record.probes, profiles.bulk, collection.name)
    return ShrinkingEncoder(profiles.bulk, profiles.shrink).encode


def instant_ms(asked: Asked) -> int | None:
    """``--since`` in milliseconds since 1970. Raises Misuse where it is none, has no zone, or is still to come."""
    if asked.since is None:
        return None
    if not asked.after_snapshot:
        raise Misuse("`audit --since` says when the snapshot was started; give it with --after-snapshot.")
    try:
        moment = datetime.fromisoformat(asked.since)
    except ValueError:
        raise Misuse(f"`audit --since` takes an instant as 2026-11-23T10:00:00Z, not {asked.since!r}.") from None
    if moment.tzinfo is None:
        raise Misuse(
            f"`audit --since {asked.since}` does not say its time zone, and an instant that is too late passes rows "
            "for gone; write it as 2026-11-23T10:00:00Z."
        )
    if moment.timestamp() > time.time():
        raise Misuse(f"`audit --since {asked.since}` has not come yet; say when the snapshot was started.")
    return int(moment.timestamp() * 1000)


def _refuse_strangers(deployment: Deployment, asked: Asked) -> None:
    if asked.sources is None:
        return
    if not asked.after_snapshot:
        raise Misuse("`audit --source` says of which source a snapshot was taken; give it with --after-snapshot.")
    known = {source.name for source in deployment.settings.sources}
    if unknown := sorted(asked.sources - known):
        raise Misuse(f"{unknown[0]!r} is no source of this configuration; it has {', '.join(sorted(known))}.")
