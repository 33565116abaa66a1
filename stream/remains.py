"""How long the bytes of an erased document stay in a topic, read from the topic's settings.

A compacted topic drops what a key held once a newer record of the key lies behind it and both are older than
``min.compaction.lag.ms``; it has to do so by ``max.compaction.lag.ms``, and without that setting there is no latest
time. The segment that is written to is never cleaned, so a partition has to go on for its last records to go. A topic
with retention drops whole segments, whose last record may be younger by ``segment.ms`` than the one in question.
Times are milliseconds since 1970; the broker looks every few minutes, which is not counted.

Source: Kafka's topic settings ``cleanup.policy``, ``min.compaction.lag.ms``, ``max.compaction.lag.ms``,
``delete.retention.ms``, ``retention.ms``, ``segment.ms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_WEEK_MS = 7 * 24 * 3600 * 1000
_FOREVER = -1
_NO_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Remains:
    """``until_ms``: when the bytes are gone at the latest, None where there is no such time; ``not_before_ms``: until
    then they are surely there. ``why`` is a clause that names the setting.
    """

    topic: str
    what: str
    until_ms: int | None
    not_before_ms: int | None
    why: str


def remains_in(topic: str, what: str, config: Mapping[str, str], now_ms: int, *, keyed: bool = True) -> Remains:
    """Of what lies in the topic today. ``keyed``: whether newer records of the same keys were written or will be, so
    that compaction takes the old ones.
    """
    policies = {policy.strip() for policy in config.get("cleanup.policy", "").split(",")} - {""}
    if not policies:
        return Remains(topic, what, None, None, "its settings may not be read by this user (DescribeConfigs)")
    found = [
        *([_compacted(topic, what, config, now_ms)] if "compact" in policies and keyed else []),
        *([_retained(topic, what, config, now_ms)] if "delete" in policies else []),
    ]
    if not found:
        return Remains(topic, what, None, None, "it is compacted, and no newer record takes the place of these")
    bounded = [one for one in found if one.until_ms is not None]
    return min(bounded, key=lambda one: one.until_ms or 0) if bounded else found[0]


def _compacted(topic: str, what: str, config: Mapping[str, str], now_ms: int) -> Remains:
    least = _number(config, "min.compaction.lag.ms", 0)
    most = _number(config, "max.compaction.lag.ms", _NO_LIMIT)
    nulls = _number(config, "delete.retention.ms", 0)
    then = f"the nulled keys, which name the document, {_duration(nulls)} after that (delete.retention.ms)"
    if most >= _NO_LIMIT // 2:
        why = f"compaction, once the cleaner comes by: set max.compaction.lag.ms for a latest time; {then}"
        return Remains(topic, what, None, now_ms + least, why)
    why = f"compaction by max.compaction.lag.ms, if its partition is written to again by then; {then}"
    return Remains(topic, what, now_ms + max(least, most), now_ms + least, why)


def _retained(topic: str, what: str, config: Mapping[str, str], now_ms: int) -> Remains:
    kept = _number(config, "retention.ms", _WEEK_MS)
    if kept == _FOREVER:
        return Remains(topic, what, None, None, "its retention.ms is -1: it keeps everything; delete records by hand")
    rolled = _number(config, "segment.ms", _WEEK_MS)
    why = f"retention.ms ({_duration(kept)}) and segment.ms ({_duration(rolled)})"
    return Remains(topic, what, now_ms + kept + rolled, None, why)


def _number(config: Mapping[str, str], name: str, default: int) -> int:
    written = config.get(name, "")
    return int(written) if written.removeprefix("-").isdigit() else default


def _duration(milliseconds: int) -> str:
    for unit, length in (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000)):
        if milliseconds >= 2 * length:
            return f"{milliseconds // length} {unit}"
    return f"{milliseconds} ms"
