"""Where the groups stand: whether their offsets are still there, whether versions are still comparable, and who runs.

The laws are the stream's own (``stream.lineage``), asked here before a process is: what would stop a chunker at its
start stops nobody in the doctor and is told with the same sentence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from operations.doctor.finding import Finding, fatal, ok, refused
from stream.cluster import Member
from stream.errors import Fatal
from stream.lineage import Followed, check_mappings, check_unchanged
from stream.ports import Committed, Partition


def check_followed(before: Followed, now: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[Finding]:
    """``before`` was committed by the chunkers' group, ``now`` is source → lineage of the topics as they are."""
    if not before.lineages:
        yield ok("lineage", "no chunker of this group has committed yet; it begins with the topics as they are")
        return
    sound = True
    for check, known, current in ((check_unchanged, before.lineages, now), (check_mappings, before.headers, headers)):
        try:
            check(known, current)
        except Fatal as error:
            sound = False
            yield refused("lineage", str(error))
    for source in sorted(set(before.lineages) & set(headers) - set(now)):
        sound = False
        yield fatal(
            "lineage",
            f"source {source!r} was consumed, and its CDC topic or the chunk topic is gone",
            "create it again and raise index.generation by one",
        )
    if sound:
        yield ok("lineage", "the topics are those that the group began with")


def check_offsets(
    group: str,
    committed: Mapping[Partition, Committed],
    lows: Mapping[Partition, int],
    ends: Mapping[Partition, int],
) -> Iterator[Finding]:
    """Of one topic. Offsets that are gone mean records that nobody read."""
    about = f"group {group}"
    sound = True
    for place, at in sorted(committed.items()):
        where = f"{place.topic} [{place.number}]"
        if place in lows and at.offset < lows[place]:
            sound = False
            yield fatal(
                about,
                f"it goes on at offset {at.offset} of {where}, whose first record is {lows[place]}: what lay between "
                "is gone",
                "take a new snapshot of the source and raise index.generation by one",
            )
        elif place in ends and at.offset > ends[place]:
            sound = False
            yield fatal(
                about,
                f"it goes on at offset {at.offset} of {where}, which ends at {ends[place]}: the topic was made anew",
                "raise index.generation by one",
            )
    if sound and committed:
        behind = sum(end - committed[place].offset for place, end in ends.items() if place in committed)
        behind += sum(ends[place] - lows.get(place, 0) for place in ends if place not in committed)
        topic = next(iter(committed)).topic
        yield ok(about, f"{behind:,} records of {topic} behind")


def check_members(group: str, members: Sequence[Member], client: str | None, instance: str) -> Iterator[Finding]:
    """Two chunkers under one name fence each other in turn; ``client`` is the client id of this name, or None where
    the configuration gives all of them the same.
    """
    about = f"group {group}"
    named = [member for member in members if member.client == client]
    count = len(members)
    if client is None and count:
        yield ok(about, f"{_chunkers(count)}; their instances cannot be told apart, for client.id is set in [kafka]")
        return
    if len(named) > 1:
        hosts = ", ".join(f"{each} on {host}" for host, each in sorted(Counter(m.host for m in named).items()))
        yield fatal(
            about,
            f'{len(named)} chunkers run with [chunker] instance = "{instance}" ({hosts}), and fence each other',
            "give each its own instance",
        )
    elif named:
        yield ok(
            about,
            f'a chunker with [chunker] instance = "{instance}" runs on {named[0].host}: a second needs another name',
        )
    elif members:
        yield ok(about, f'{_chunkers(count)}, none with instance "{instance}"')
    else:
        yield ok(about, "no chunker runs")


def _chunkers(count: int) -> str:
    return "1 chunker runs" if count == 1 else f"{count} chunkers run"
