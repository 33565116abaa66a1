"""Lineage: what makes two versions comparable.

A version is an offset in a CDC partition. It says which of two revisions is newer only while the topic is the same
topic with the same number of partitions, and the chunk topic too. A topic that was deleted and created again under
its name starts at offset 0, and a running consumer goes on in it without an error: the ids tell.

A changed lineage is Fatal: the index has to be rebuilt as the next generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from stream.errors import Fatal
from stream.ports import Committed, Partition, TopicInfo


def lineage(cdc: TopicInfo, chunks: TopicInfo) -> str:
    """Topic id and partition count of the CDC topic and of the chunk topic."""
    return f"{cdc.id}/{cdc.partitions}+{chunks.id}/{chunks.partitions}"


@dataclass(frozen=True, slots=True)
class Followed:
    """What a chunker group follows: source → lineage of its versions, source → header fingerprint of its events.

    ``starts``: source → where the group began to read it, by partition number, for partitions whose first records
    were gone already. It is told here and not by offsets of partitions that another member may hold: an offset that
    was written for a partition without holding it would take back what its holder committed meanwhile.
    """

    lineages: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    starts: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def joined(self, other: "Followed") -> "Followed":
        """With what ``other`` says besides, or says otherwise; of two starts the earlier one."""
        starts = {source: dict(places) for source, places in self.starts.items()}
        for source, places in other.starts.items():
            ours = starts.setdefault(source, {})
            ours.update({number: min(start, ours.get(number, start)) for number, start in places.items()})
        return Followed({**self.lineages, **other.lineages}, {**self.headers, **other.headers}, starts)

    def holds(self, other: "Followed") -> bool:
        """Whether ``other`` says nothing more, and nothing otherwise."""
        return self.joined(other) == self


def to_metadata(followed: Followed) -> str:
    """As it stands beside a committed offset."""
    told: dict[str, object] = {"lineage": dict(followed.lineages), "headers": dict(followed.headers)}
    if followed.starts:
        told["starts"] = {
            source: {str(number): start for number, start in places.items()}
            for source, places in followed.starts.items()
        }
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


def from_metadata(committed: Committed | None) -> Followed:
    """The reverse; empty where nothing was committed."""
    if committed is None or not committed.metadata:
        return Followed()
    try:
        told = orjson.loads(committed.metadata)
        return Followed(
            lineages={str(source): str(value) for source, value in told["lineage"].items()},
            headers={str(source): str(value) for source, value in told["headers"].items()},
            starts={
                str(source): {int(number): int(start) for number, start in places.items()}
                for source, places in told.get("starts", {}).items()
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Fatal(
            "The consumer group's metadata on the chunk topic was not written by embedstream: another program uses "
            "the group; choose another kafka.group_prefix."
        ) from error


def check_unchanged(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises Fatal where a source known before has another lineage now. New sources are welcome."""
    for source, value in now.items():
        known = before.get(source)
        if known is not None and known != value:
            raise Fatal(
                f"Source {source!r}: its CDC topic or the chunk topic was re-created or repartitioned (lineage was "
                f"{known}, is {value}), so versions are not comparable any more; raise index.generation by one and "
                "start again: the next generation is built from the topics as they are now, and takes the index's "
                "name when it has caught up."
            )


def check_mappings(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises Fatal where a source known before has another header fingerprint now.

    The group is named after the chunking that all sources share, so it would go on behind its offsets and publish
    revisions that the collection does not accept; they would be missing after the mapping was put back.
    """
    for source, value in now.items():
        if before.get(source, value) != value:
            raise Fatal(
                f"Source {source!r}: its text mapping (title, text) changed since this group began to read it (its "
                f"fingerprint was {before[source]}, is {value}); put it back, or raise index.generation by one to "
                "build the index anew under the new mapping."
            )


def check_resumable(
    source: str,
    known: Followed,
    committed: Mapping[Partition, Committed],
    low_watermarks: Mapping[Partition, int],
) -> None:
    """Raises Fatal where going on would skip history.

    A source that was never consumed begins at its earliest records. One that was, and of which some partition has no
    offset, goes on only if that partition's history is as complete as it was when the group began: a replay from the
    start then ends at the newest revision of every document. Offsets without any lineage tell that the chunk topic
    was deleted. Where other sources' lineages are there, a member that did not know this source yet wrote over its
    own, and it goes on.
    """
    begun = any(place in committed for place in low_watermarks)
    if source not in known.lineages and not begun:
        return
    if not known.lineages:
        raise Fatal(
            f"Source {source!r} was consumed before, but its lineage is gone: the chunk topic was deleted; raise "
            "index.generation by one and start again."
        )
    starts = known.starts.get(source, {})
    for partition, low in low_watermarks.items():
        if partition not in committed and low > starts.get(partition.number, 0):
            raise Fatal(
                f"The committed offset of {partition.topic} [{partition.number}] is gone and its first {low} offsets "
                "are too, so changes may have been missed; take a new snapshot of the source, then reset the group "
                "to the earliest offset."
            )
