"""How far an upgrade is: both collections and their lag, and which one users search."""

from dataclasses import dataclass

from operations.upgrade.surroundings import Surroundings, lag
from schemas.chunk_event import Json
from stream.points import State
from stream.upgrade import Pair


@dataclass(frozen=True, slots=True)
class Side:
    """One pair. ``points`` (live) and ``lag`` (records before it) are None where there is no collection yet."""

    collection: str
    contract: str
    live: bool
    points: int | None
    lag: int | None

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "contract": self.contract,
            "live": self.live,
            "points": self.points,
            "lag": self.lag,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """``step`` names where the upgrade is: planned, replaying, caught up, cut over, or retired."""

    index: str
    change: str
    step: str
    before: Side
    after: Side
    done: float
    """Of the replay, in [0, 1]: the share of what there is to read that the next pair has read."""

    def to_json(self) -> dict[str, Json]:
        return {
            "index": self.index,
            "change": self.change,
            "step": self.step,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "done": round(self.done, 4),
        }


def progress(around: Surroundings) -> Progress:
    """Asks the index and the broker; nothing is remembered."""
    live = around.live
    before, after = (_side(around, pair, live) for pair in (around.before, around.after))
    return Progress(
        around.index_name,
        around.change.kind.value,
        _step(before, after),
        before,
        after,
        _done(around, around.after) if after.points is not None else 0.0,
    )


def _side(around: Surroundings, pair: Pair, live: str | None) -> Side:
    there = around.has(pair)
    return Side(
        pair.collection,
        pair.contract.fingerprint,
        live == pair.collection,
        around.index(pair).count(State.LIVE.value) if there else None,
        lag(around, pair) if there else None,
    )


def _step(before: Side, after: Side) -> str:
    if after.live:
        return "cut over" if before.points is not None else "retired"
    if after.points is None:
        return "planned"
    return "caught up" if after.lag == 0 else "replaying"


def _done(around: Surroundings, pair: Pair) -> float:
    """Records read of those that are there, in each topic that the pair replays; the topic that is behind counts."""
    stages: list[tuple[str, tuple[str, ...]]] = [(pair.embedder_group, (around.chunk_topic,))]
    if around.change.own_chunker:
        stages.append((pair.chunker_group, around.cdc_topics))
    shares = []
    for group, names in stages:
        read = there = 0
        for name in names:
            ends, lows = around.topics.ends(name), around.topics.low_watermarks(name)
            committed = around.topics.committed(group, list(ends))
            for place, end in ends.items():
                low = lows.get(place, 0)
                there += end - low
                read += min(end, committed[place].offset if place in committed else low) - low
        shares.append(1.0 if there <= 0 else max(0.0, read / there))
    return min(shares)
