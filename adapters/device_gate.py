"""The gate in front of a device that queries, live work and a replay share.

One micro-batch is on the device at a time, or ``width`` of them where it is made of so many (the cores of a CPU); a
*whole* turn takes all of its places. A query that arrives goes next: it waits for what is running and for queries
before it, never for the work behind them. So a replay into a new collection (an upgrade) stands behind the live
stream, and both behind the queries; and so that no rank is starved by those above it, one turn of a lower rank is let
in after every ``patience`` turns of a rank in a row.

A replay may also be held to a *share* of the device: after a turn that took t seconds it rests t · (1 / share − 1).
While it rests it counts as not there, and nobody waits for it.

Law: at most ``width`` places are taken; turns of one rank begin in the order in which they were asked for; a turn
begins before any turn of a lower rank that had not begun when it asked, except for one in ``patience`` + 1 among
those of its rank and below; no replay turn begins while the replay rests.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from threading import Condition

from stream.errors import Misuse


class Rank(IntEnum):
    """What a turn is for; the smaller goes first."""

    QUERY = 0
    LIVE = 1
    """The stream that keeps the index fresh."""
    REPLAY = 2
    """An old topic, into a collection that nobody searches yet."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was opened. ``began``: seconds of the gate's clock."""

    rank: Rank
    places: int
    began: float


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    places: int


class DeviceGate:
    """Turns on one device, for any number of threads. Not reentrant."""

    def __init__(self, patience: int = 16, width: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds that never go back."""
        self.width = width
        self._patience = patience
        self._clock = clock
        self._changed = Condition()
        self._taken = 0
        self._asking: dict[Rank, deque[_Asked]] = {rank: deque() for rank in Rank}
        self._in_a_row = dict.fromkeys(Rank, 0)
        self._replay_share = 1.0
        self._rests_until = -math.inf

    @property
    def waiting(self) -> tuple[int, int, int]:
        """How many wait: (queries, live, replay)."""
        with self._changed:
            return (
                len(self._asking[Rank.QUERY]),
                len(self._asking[Rank.LIVE]),
                len(self._asking[Rank.REPLAY]),
            )

    @property
    def free(self) -> int:
        """Places that nobody has at this moment."""
        with self._changed:
            return self.width - self._taken

    def hold_replay_to(self, share: float) -> None:
        """From the next end of a replay turn on. Raises Misuse for what is no share."""
        if not 0 < share <= 1:
            raise Misuse(f"A share of the device is above 0 and at most 1, not {share}.")
        with self._changed:
            self._replay_share = share

    @contextmanager
    def turn(self, rank: Rank, *, whole: bool = False) -> Iterator[None]:
        """Holds a place on the device for the block, or all of them; waits for it first."""
        opened = self.enter(rank, whole=whole)
        try:
            yield
        finally:
            self.leave(opened)

    def enter(self, rank: Rank, *, whole: bool = False) -> Turn:
        """Waits for a turn and opens it; any thread may end it with :meth:`leave`."""
        asked = _Asked(self.width if whole else 1)
        with self._changed:
            self._asking[rank].append(asked)
            try:
                while not (self._taken + asked.places <= self.width and self._next() is asked):
                    # A rest ends without anybody's doing, so whoever rests looks for its end.
                    self._changed.wait(self._rest_left() if rank is Rank.REPLAY else None)
                self._note_row(rank)
                self._taken += asked.places
                return Turn(rank, asked.places, self._clock())
            finally:
                self._asking[rank].remove(asked)
                # Who waits behind this one may find another place, or one that this one gave up.
                self._changed.notify_all()

    def leave(self, turn: Turn) -> None:
        """Ends a turn, once."""
        with self._changed:
            self._taken -= turn.places
            if turn.rank is Rank.REPLAY:
                now = self._clock()
                rest = (now - turn.began) * (1 / self._replay_share - 1)
                self._rests_until = max(self._rests_until, now + rest)
            self._changed.notify_all()

    def _next(self) -> _Asked | None:
        """Whose turn it is: the first of the first rank that waits and has not had its row before a lower one."""
        for rank in Rank:
            if self._waits(rank) and not (self._in_a_row[rank] >= self._patience and self._lower_waits(rank)):
                return self._asking[rank][0]
        return None

    def _note_row(self, rank: Rank) -> None:
        self._in_a_row[rank] = self._in_a_row[rank] + 1 if self._lower_waits(rank) else 0
        for higher in Rank:
            if higher < rank:
                self._in_a_row[higher] = 0

    def _lower_waits(self, rank: Rank) -> bool:
        return any(self._waits(lower) for lower in Rank if lower > rank)

    def _waits(self, rank: Rank) -> bool:
        return bool(self._asking[rank]) and (rank is not Rank.REPLAY or self._rest_left() is None)

    def _rest_left(self) -> float | None:
        """Seconds; None where the replay does not rest."""
        left = self._rests_until - self._clock()
        return left if left > 0 else None
