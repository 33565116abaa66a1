"""Lag: records that a group has not committed, over all partitions of a topic.

Counted to the end of what is committed in transactions. A partition that the group never committed is counted from
its first record on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream.ports import Topics


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag of one group on one topic; None where the topic does not exist."""

    topic: str
    events: int | None


def lag_of(topics: Topics, group: str, names: Sequence[str]) -> Mapping[str, Lag]:
    """Topic → lag. Raises Outage."""
    known = topics.describe(names)
    return {name: _lag(topics, group, name) if name in known else Lag(name, None) for name in names}


def _lag(topics: Topics, group: str, topic: str) -> Lag:
    ends = topics.ends(topic)
    committed = topics.committed(group, list(ends))
    lows = topics.low_watermarks(topic) if len(committed) < len(ends) else {}
    return Lag(
        topic,
        sum(
            max(0, end - (committed[place].offset if place in committed else lows.get(place, 0)))
            for place, end in ends.items()
        ),
    )
