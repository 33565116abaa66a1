"""Read your own writes: a search that waits until what its caller wrote is applied.

The caller names a document and a version of it, or the offset of a change in its source's CDC topic, and how long the
search may wait. A look says whether it is there yet; nothing is subscribed to, so a search that waits for nothing
pays nothing, and whoever waits looks again after a pause.

A version counts as applied once the index holds a point of the document at it or a newer one, a mark too, and nothing
older is live, and no passage of the newest revision is missing: a revision is several writes, and its first one shows
the new version while old passages can still be found.

An offset is applied in two steps. First the chunkers have committed behind it: what they published for it lies below
the ends of the chunk topic's log from then on, since its records and that commit are one transaction. Those ends are
noted once, because they move on. Then the embedders are done with everything below them, for this very source (see
``stream.caught_up``): they flush before they commit.

Law: after a look that says yes, every search of the same index sees the change, or something newer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.identity import DocId, Fingerprint, Version
from serving.wording import nearest
from stream.caught_up import behind
from stream.errors import Misuse
from stream.filter import Filter, holds
from stream.points import State, StoredPoint
from stream.ports import Partition, Topics, VectorIndex

PAUSE_S = 0.015
"""Between two looks: well below what an update takes, and a fraction of a look's own cost over a network."""


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """A document's version, or a newer one: the offset of its change in the CDC topic + 1."""

    doc_id: DocId
    min_version: Version


@dataclass(frozen=True, slots=True)
class SourceOffset:
    """Every change of a source up to this offset of one partition of its CDC topic, itself included."""

    source: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class WaitFor:
    """What is waited for, and for how long at most."""

    change: DocumentVersion | SourceOffset
    timeout_s: float
    among: Filter | None = None
    """What the waiter may see. Another document is to it as one that is not there, so that waiting tells nothing."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """What was asked for is not applied; ``reached`` is the document's newest version in the index, if any is."""

    sentence: str
    reached: Version | None = None


Look = Callable[[], NotYet | None]
"""Asks once; None: it is there. Raises what index and bus raise."""


class Applied(Protocol):
    """Tells how far a source is applied.

    Laws: a look that said yes says yes forever; it says yes only if all changes up to the offset are applied.
    """

    def look(self, change: SourceOffset) -> Callable[[], bool]:
        """A look at this change, to be asked again and again by one waiter. Raises Misuse for an unknown place."""


def look_for(wait: WaitFor, index: VectorIndex, applied: Applied | None) -> Look:
    """``applied`` is None where nobody here sees the bus that feeds the index: then a document alone is waited for.

    Raises Misuse where what is named is not known here.
    """
    change = wait.change
    if isinstance(change, DocumentVersion):
        return lambda: _document(index, change, wait.among)
    if applied is None:
        raise Misuse(
            "This service does not see the bus that feeds the index; wait for a document's version (doc_id and "
            "min_version)."
        )
    there = applied.look(change)
    sentence = (
        f"Offset {change.offset} of partition {change.partition} of source {change.source!r} is not applied yet."
    )
    return lambda: None if there() else NotYet(sentence)


def wait_until_applied(
    look: Look,
    timeout_s: float,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> NotYet | None:
    """Looks at least once, and again until it is there (None) or the time is up."""
    deadline = monotonic() + timeout_s
    while (outcome := look()) is not None:
        left = deadline - monotonic()
        if left <= 0:
            return outcome
        pause(min(PAUSE_S, left))
    return None


@dataclass(frozen=True, slots=True)
class AppliedOnTheBus:
    """:class:`Applied` by the offsets of both groups."""

    topics: Callable[[], Topics]
    """Asked for once somebody waits: until then nothing is opened."""
    sources: Mapping[str, str]
    """Source → its CDC topic."""
    accepted: Mapping[str, Fingerprint]
    """Source → the header fingerprint under which the searched collection takes its events."""
    chunk_topic: str
    chunker_group: str
    embedder_group: str

    def look(self, change: SourceOffset) -> Callable[[], bool]:
        topic = self.sources.get(change.source)
        if topic is None:
            near = nearest(change.source, self.sources)
            raise Misuse(f"wait_for.source is {change.source!r}, which is no source{near}.")
        known = self.topics().describe([topic]).get(topic)
        if known is not None and change.partition >= known.partitions:
            raise Misuse(
                f"wait_for.partition is {change.partition}, and the topic of source {change.source!r} has partitions "
                f"0 to {known.partitions - 1}."
            )
        return _Look(self, change, Partition(topic, change.partition)).there


@dataclass(slots=True)
class _Look:
    """One waiter's progress: the ends, once the chunkers are past the offset."""

    around: AppliedOnTheBus
    change: SourceOffset
    place: Partition
    ends: Mapping[Partition, int] | None = None
    lows: Mapping[Partition, int] = field(default_factory=dict)

    def there(self) -> bool:
        around = self.around
        topics = around.topics()
        if self.ends is None:
            published = topics.committed(around.chunker_group, [self.place]).get(self.place)
            if published is None or published.offset <= self.change.offset:
                return False
            self.ends = topics.log_ends(around.chunk_topic)
            self.lows = topics.low_watermarks(around.chunk_topic)
        done = topics.committed(around.embedder_group, list(self.ends))
        return not behind(self.ends, self.lows, done, [around.accepted[self.change.source]])


def _document(index: VectorIndex, change: DocumentVersion, among: Filter | None) -> NotYet | None:
    stored = index.read([change.doc_id])[change.doc_id]
    if among is not None and not _seen(index, stored, among):
        stored = ()
    newest = max((point.version for point in stored), default=None)
    if newest is not None and newest >= change.min_version and _whole(index, stored, change.min_version):
        return None
    there = "is not in the index" if newest is None else f"is at version {newest}"
    return NotYet(
        f"Document {change.doc_id} {there}; version {change.min_version} is not wholly applied yet.", newest
    )


def _seen(index: VectorIndex, stored: Sequence[StoredPoint], among: Filter) -> bool:
    """Whether the document, by what the newest write says of it, is one of these."""
    newest = max((point.version for point in stored), default=None)
    written = index.points([point.id for point in stored if point.version == newest])
    return any(holds(among, point.payload) for point in written)


def _whole(index: VectorIndex, stored: Sequence[StoredPoint], least: Version) -> bool:
    """Whether no revision is half written: nothing live is older, and as many passages are live as the newest has."""
    live = [point for point in stored if point.state is State.LIVE]
    if not live:
        return True
    newest = max(live, key=lambda point: point.version)
    passages = next((point.payload.get("count") for point in index.points([newest.id])), None)
    missing = isinstance(passages, int) and len(live) < passages
    return not missing and all(point.version >= least for point in live)
