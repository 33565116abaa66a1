"""Keeps the lineage of every source in sight: what it was when the group began, and what the broker says now.

Compared at start, at assignment and every second. A change is Fatal before another record is turned into an event,
but for those of the last second; these carry the old lineage in the new topic's small versions, and the index that
they go to is to be rebuilt anyway.

Members of a group may know different sources while a new one joins and they are restarted one by one. All write to
the same place, and the last one wins; so each reads it again every second, adds what it says to its own, and writes
once more what another one's commit had left out. A member speaks for the sources of which it had partitions.
"""

from collections.abc import Callable, Mapping, Sequence

from stream.errors import Fatal, Outage
from stream.lineage import (
    Followed,
    check_mappings,
    check_resumable,
    check_unchanged,
    from_metadata,
    lineage,
    to_metadata,
)
from stream.ports import Committed, Partition, TopicInfo, Topics


def current_lineages(topics: Topics, sources: Mapping[str, str], chunk_topic: str) -> dict[str, str]:
    """Source → lineage, of the sources (CDC topic → source) whose topics exist."""
    known = topics.describe([*sources, chunk_topic])
    chunks = known.get(chunk_topic)
    if chunks is None:
        return {}
    return {source: lineage(known[topic], chunks) for topic, source in sources.items() if topic in known}


class LineageWatch:
    """The lineages and header fingerprints of one chunker's sources (CDC topic → source name), and their commit."""

    def __init__(
        self,
        topics: Topics,
        group: str,
        sources: Mapping[str, str],
        headers: Mapping[str, str],
        chunk_topic: str,
        interval_s: float = 1.0,
    ) -> None:
        self._topics = topics
        self._group = group
        self._sources = sources
        self._headers = headers
        self._chunk_topic = chunk_topic
        self._place = Partition(chunk_topic, 0)
        self._interval_s = interval_s
        self._due = float("-inf")
        self._known = Followed()
        """What the group follows, as far as it was seen here."""
        self._stored = Followed()
        """What stands beside the group's offset, when last looked at."""
        self._now: dict[str, str] = {}
        self._followed: dict[str, str] = {}
        self._starts: dict[str, dict[int, int]] = {}

    def start(self) -> None:
        """Reads what the group committed before. Raises Fatal where a lineage or a mapping changed since."""
        self._read_again()
        self.check()

    @property
    def overwritten(self) -> bool:
        """Whether another member's commit left out what this one had said."""
        return not self._stored.holds(self._known)

    def check(self) -> None:
        """Compares with the broker now. Raises Fatal where a lineage changed or a topic is gone."""
        now = current_lineages(self._topics, self._sources, self._chunk_topic)
        gone = sorted(set(self._now) - set(now))
        if gone:
            raise Fatal(
                f"Source {gone[0]!r}: its CDC topic or the chunk topic {self._chunk_topic} was deleted; raise "
                "index.generation by one once the topics exist again."
            )
        check_unchanged({**self._known.lineages, **self._now}, now)
        self._now = now

    def check_when_due(self, monotonic_s: float) -> None:
        """As :meth:`start`, at most once an interval. A broker that does not answer changed nothing."""
        if monotonic_s < self._due:
            return
        self._due = monotonic_s + self._interval_s
        try:
            self.start()
        except Outage:
            return

    def on_assigned(self, partitions: Sequence[Partition], committed: Mapping[Partition, Committed]) -> None:
        """Raises Fatal where going on would skip history that is gone."""
        self.check()
        for topic, source in self._sources.items():
            mine = [partition for partition in partitions if partition.topic == topic]
            if mine and source not in self._known.lineages:
                # Another member may have begun in the meantime.
                self.start()
            if mine and (source not in self._known.lineages or any(place not in committed for place in mine)):
                self._begin_or_resume(topic, source, mine, committed)
            if mine:
                self._followed[source] = self._headers[source]

    def of(self, source: str) -> str:
        """The lineage that this source's events carry."""
        return self._now[source]

    def commit(self) -> Mapping[Partition, Committed]:
        """What is committed beside the offsets, in the same transaction: the lineages, and for sources that nobody
        consumed before, where their partitions begin. So a member that is killed, or joins, before it read a
        partition's first record knows that nothing of it is missing.
        """
        following = self._following()
        return {self._place: Committed(0, to_metadata(following))} if following.lineages else {}

    def committed(self) -> None:
        """The transaction of the last :meth:`commit` is done."""
        self._known = self._stored = self._following()
        self._starts.clear()

    def _following(self) -> Followed:
        return self._known.joined(
            Followed({source: self._now[source] for source in self._followed}, dict(self._followed), self._starts)
        )

    def _read_again(self) -> None:
        committed = self._topics.committed(self._group, [self._place])
        self._stored = from_metadata(committed.get(self._place))
        check_mappings(self._stored.headers, self._headers)
        self._known = self._known.joined(self._stored)

    def _begin_or_resume(
        self, topic: str, source: str, mine: Sequence[Partition], committed: Mapping[Partition, Committed]
    ) -> None:
        lows = self._topics.low_watermarks(topic)
        check_resumable(source, self._known, committed, {place: lows.get(place, 0) for place in mine})
        cut = {place.number: low for place, low in lows.items() if low > 0}
        if source not in self._known.lineages and cut:
            self._starts[source] = cut


def wait_for_topics(
    topics: Topics,
    names: Sequence[str],
    deadline_s: float,
    sleep: Callable[[float], bool],
    monotonic: Callable[[], float],
) -> Mapping[str, TopicInfo]:
    """Topics that may be created a little later (Debezium creates late). Fatal, naming one, after the deadline.

    ``sleep`` returns True where the process was told to stop, and then the wait ends in Outage.
    """
    give_up = monotonic() + deadline_s
    while True:
        found = topics.describe(names)
        missing = [name for name in names if name not in found]
        if not missing:
            return found
        if monotonic() > give_up:
            raise Fatal(
                f"The topic {missing[0]} does not exist after {deadline_s:g} s; create it, start the connector that "
                "does, or correct its name in the configuration."
            )
        if sleep(0.2):
            raise Outage(f"The topic {missing[0]} does not exist yet.")
