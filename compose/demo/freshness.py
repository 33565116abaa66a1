"""Freshness: from COMMIT to a search that finds what was committed, under updates that wait for nobody.

An open loop. Updates are due at times that are fixed before the first of them; a slow stream makes them pile up
instead of slowing them down, so its slowness shows in every figure and is not hidden by the measuring. One that is
late is made at once, and those behind it stay due when they were.

The writer has a thread of its own; the observer looks for all updates that are not searchable yet, again and again,
and takes the time of the answer that showed one.
"""

import math
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stream.errors import Fatal

Update = TypeVar("Update")
Wait = Callable[[float], bool]
"""Waits so many seconds; True says to stop."""

_LOOK_EVERY_S = 0.004
_GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """Milliseconds, of ``n`` updates."""

    p50: float
    p95: float
    p99: float
    n: int


def summary(seconds: Collection[float]) -> Freshness:
    """Percentiles by nearest rank: each is a figure that was measured. Raises ValueError where there is none."""
    if not seconds:
        raise ValueError("no update was measured")
    ordered = sorted(seconds)

    def rank(percent: int) -> float:
        return round(ordered[math.ceil(len(ordered) * percent / 100) - 1] * 1000, 1)

    return Freshness(rank(50), rank(95), rank(99), len(ordered))


def arrivals(count: int, per_second: float, limit_s: float) -> list[float]:
    """When each update is due, in seconds from the start: ``count`` of them, or as many as ``limit_s`` takes."""
    return [due for number in range(count) if (due := number / per_second) < limit_s]


def keep_schedule(due: Sequence[float], make: Callable[[int], None], now: Callable[[], float], wait: Wait) -> None:
    """Makes each update when it is due, or at once where that is past. Returns when ``wait`` says to stop."""
    began = now()
    for number, at in enumerate(due):
        left = began + at - now()
        if left > 0 and wait(left):
            return
        make(number)


class OpenLoop(Generic[Update]):
    """Makes updates on a schedule and measures when each is searchable.

    ``commit`` makes an update and returns the time just before its COMMIT; it is called on the writer's thread.
    ``searchable`` returns those of the updates it is given that a search finds now. Times are those of ``now``.
    """

    def __init__(
        self,
        updates: Sequence[Update],
        commit: Callable[[Update], float],
        searchable: Callable[[Sequence[Update]], Collection[Update]],
        now: Callable[[], float],
    ) -> None:
        self._updates = updates
        self._commit = commit
        self._searchable = searchable
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[int, float] = {}
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    def run(self, due: Sequence[float], on_progress: Callable[[int], None] = lambda _: None) -> list[float]:
        """The age of each update when it became searchable, in seconds. ``on_progress`` is told how many have.

        Raises Fatal where one is not searchable a minute after its commit, and what ``commit`` raised.
        """
        writer = threading.Thread(target=self._write, args=(due,), name="writer")
        writer.start()
        ages: list[float] = []
        try:
            while True:
                writing = writer.is_alive()
                ages += self._observe()
                on_progress(len(ages))
                with self._lock:
                    nothing_open = not self._open
                if self._failure is not None or (nothing_open and not writing):
                    break
                self._stop.wait(_LOOK_EVERY_S)
        finally:
            self._stop.set()
            writer.join()
        if self._failure is not None:
            raise self._failure
        return ages

    def _write(self, due: Sequence[float]) -> None:
        try:
            keep_schedule(due, self._make, self._now, self._stop.wait)
        except BaseException as error:  # noqa: BLE001 - raised by the observer
            self._failure = error

    def _make(self, number: int) -> None:
        committed = self._commit(self._updates[number])
        with self._lock:
            self._open[number] = committed

    def _observe(self) -> list[float]:
        with self._lock:
            waiting = dict(self._open)
        if not waiting:
            return []
        found = self._searchable([self._updates[number] for number in waiting])
        now = self._now()
        done = {number: now - since for number, since in waiting.items() if self._updates[number] in found}
        with self._lock:
            for number in done:
                del self._open[number]
        if any(now - since > _GIVE_UP_S for number, since in waiting.items() if number not in done):
            raise Fatal(f"An update was not searchable {_GIVE_UP_S:.0f} s after its commit.")
        return list(done.values())
