"""The least score of a search, cut alike by every index adapter.

An engine drops what scores no more than its threshold, computed with 32 bits, and a score that came as text has the
digits of its shortest spelling. So an engine is asked for a hair more, which spares most of what would be thrown
away, and the hits are cut here: exactly those stay whose score, as the adapter gives it, is not below the least one.
A search takes the best, so to cut after the limit is to cut before it.
"""

from collections.abc import Iterable

from stream.points import Hit

_HAIR = 1e-5
"""More than a cosine of 32 bits can be off by its spelling, and too little to let a hit in that matters."""


def engine_threshold(least: float | None) -> float | None:
    """What an engine may leave out by itself: no score that :func:`scored_enough` keeps lies below it."""
    return None if least is None else least - _HAIR


def scored_enough(hits: Iterable[Hit], least: float | None) -> list[Hit]:
    """Those with at least that score, in order."""
    return [hit for hit in hits if least is None or hit.score >= least]
