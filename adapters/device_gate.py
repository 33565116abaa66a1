"""The gate in front of a device that a bulk load and queries share.

One micro-batch is on the device at a time, or ``width`` of them where it is made of so many (the cores of a CPU). A
query that arrives goes next: it waits for a micro-batch that is running and for queries before it, never for the bulk
work behind them. So that a stream of queries cannot stop the
index from staying fresh, one micro-batch of bulk work is let in after every ``patience`` urgent turns in a row while
it waits.

Law: at most ``width`` turns are open; an urgent turn begins before any bulk turn that had not begun when it asked,
except for one bulk turn in ``patience`` + 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class DeviceGate:
    """Turns on one device, for any number of threads. Not reentrant."""

    def __init__(self, patience: int = 16, width: int = 1) -> None:
        self.width = width
        self._changed = Condition()
        self._open = 0
        self._urgent_waiting = 0
        self._bulk_waiting = 0
        self._urgent_in_a_row = 0
        self._patience = patience

    @property
    def waiting(self) -> tuple[int, int]:
        """How many wait: (urgent, bulk)."""
        with self._changed:
            return self._urgent_waiting, self._bulk_waiting

    @contextmanager
    def turn(self, *, urgent: bool) -> Iterator[None]:
        """Holds a place on the device for the block; waits for it first."""
        self.enter(urgent=urgent)
        try:
            yield
        finally:
            self.leave()

    def enter(self, *, urgent: bool) -> None:
        """Waits for a turn and opens it; any thread may end it with :meth:`leave`."""
        with self._changed:
            self._queue(urgent, 1)
            try:
                self._changed.wait_for(lambda: self._open < self.width and self._may_enter(urgent))
            finally:
                self._queue(urgent, -1)
            self._open += 1
            self._urgent_in_a_row = self._urgent_in_a_row + 1 if urgent and self._bulk_waiting else 0
            # Where there is more than one place, who waits behind this one may find another.
            self._changed.notify_all()

    def leave(self) -> None:
        """Ends a turn."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _may_enter(self, urgent: bool) -> bool:  # noqa: FBT001 - the two kinds of turn
        bulk_is_due = self._bulk_waiting > 0 and self._urgent_in_a_row >= self._patience
        return not bulk_is_due if urgent else bulk_is_due or self._urgent_waiting == 0

    def _queue(self, urgent: bool, change: int) -> None:  # noqa: FBT001 - as above
        if urgent:
            self._urgent_waiting += change
        else:
            self._bulk_waiting += change
