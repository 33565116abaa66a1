"""Which writes travel together, which side by side, and which have to wait: the order of a call over a network.

A server checks the conditions of a request against what was stored *before* it: two writes of one point in one
request would not see each other. And requests that are in flight together arrive in any order. So a call's writes are
cut into *waves*; all of a wave may be sent at once, and a wave begins when the one before it was applied entirely:

- writes that share an id are in waves of their own, in their order;
- a mark comes in a later wave than every addition (put, touch, repaint) before it in the call.

With that the laws hold that order is for: the last write of an id decides, and no document loses a passage before it
has the ones that replace it, whichever request fails. Additions of different ids have no order that anybody could
tell but by looking between them, and each is complete in itself: any part of a wave may be written again.

A request is bounded in points and in bytes; a touch of many ids is cut first. Nothing here knows a network.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson

from schemas.identity import ChunkId
from stream.points import Mark, Put, Touch, Write

_BYTES_A_NUMBER = {"json": 22, "binary": 4}
"""A float32 as JSON has up to 20 digits, sign and comma."""
_BYTES_AROUND = 512
"""Id, condition and names of one write."""
_BYTES_AN_ID = 40


def waves(writes: Sequence[Write], points: int) -> list[list[Write]]:
    """The writes in the order in which they may be sent; each with at most ``points`` ids."""
    placed: list[list[Write]] = []
    latest: dict[ChunkId, int] = {}
    last_addition = -1
    for write in _cut(writes, points):
        ids = ids_of(write)
        wave = max((latest[point] + 1 for point in ids if point in latest), default=0)
        if isinstance(write, Mark):
            wave = max(wave, last_addition + 1)
        else:
            last_addition = max(last_addition, wave)
        latest.update(dict.fromkeys(ids, wave))
        while wave >= len(placed):
            placed.append([])
        placed[wave].append(write)
    return placed


def requests(wave: Sequence[Write], points: int, limit_bytes: int, *, binary: bool) -> Iterator[list[Write]]:
    """Portions of a wave. A single write may be above the limit: the server says what becomes of it."""
    portion: list[Write] = []
    count = size = 0
    for write in wave:
        ids, weight = len(ids_of(write)), estimated_bytes(write, binary=binary)
        if portion and (count + ids > points or size + weight > limit_bytes):
            yield portion
            portion, count, size = [], 0, 0
        portion.append(write)
        count += ids
        size += weight
    if portion:
        yield portion


def halves(portion: Sequence[Write]) -> tuple[list[Write], list[Write]] | None:
    """Two smaller requests in place of one that was too large; None for a single point."""
    if len(portion) > 1:
        middle = len(portion) // 2
        return list(portion[:middle]), list(portion[middle:])
    (write,) = portion
    if isinstance(write, Touch) and len(write.ids) > 1:
        middle = len(write.ids) // 2
        return [replace(write, ids=write.ids[:middle])], [replace(write, ids=write.ids[middle:])]
    return None


def ids_of(write: Write) -> tuple[ChunkId, ...]:
    """The points that a write may change."""
    return write.ids if isinstance(write, Touch) else (write.id,)


def estimated_bytes(write: Write, *, binary: bool) -> int:
    """Of a write in a request, rather too many than too few."""
    size = _BYTES_AROUND + _BYTES_AN_ID * len(ids_of(write)) + len(orjson.dumps(write.payload))
    if isinstance(write, Put):
        size += write.vector.values.size * _BYTES_A_NUMBER["binary" if binary else "json"]
    return size


def _cut(writes: Sequence[Write], points: int) -> Iterator[Write]:
    for write in writes:
        if isinstance(write, Touch):
            ids = tuple(dict.fromkeys(write.ids))
            for start in range(0, len(ids), points):
                yield replace(write, ids=ids[start : start + points])
        else:
            yield write
