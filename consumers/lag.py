"""Lag: records that a group has not committed, over all partitions of a topic.

Counted to the end of the log, and so with the records of a transaction that is under way or was just committed: each
partition gets its marker by itself, and a group's offset may be seen before the records that came with it can be
read. Were those not counted, a lag of zero for the chunkers and then for the embedders would not say that all is
done. A partition that the group never committed is counted from its first record on.
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
    ends = topics.log_ends(topic)
    committed = topics.committed(group, list(ends))
    lows = topics.low_watermarks(topic) if len(committed) < len(ends) else {}
    return Lag(
        topic,
        sum(
            max(0, end - (committed[place].offset if place in committed else lows.get(place, 0)))
            for place, end in ends.items()
        ),
    )
