"""How far a partition is done: the only offset that may be committed.

Work on a partition finishes out of order, because a long document holds up its own revisions and not those of others.
Below the committed offset everything must be done — applied, stale, dropped or dead-lettered (invariant 5, no skip) —
so the committable offset is that of the oldest record still open, and only where none is open does it move to the
position behind the last record taken.

Transaction markers take offsets that no record has. At the end of a partition, with nothing open, the position there
is committable too; otherwise lag would never reach zero.
"""

from collections import OrderedDict

from stream.errors import Fatal


class Progress:
    """The open records of one partition, read from ``start`` on."""

    def __init__(self, start: int) -> None:
        self._open: OrderedDict[int, None] = OrderedDict()
        self._position = start

    def take(self, offset: int) -> None:
        """A record was read. Offsets of a partition only grow; gaps are what compaction and markers leave."""
        if offset < self._position:
            raise Fatal(f"Offset {offset} was read after position {self._position}: the partition went backwards.")
        self._open[offset] = None
        self._position = offset + 1

    def finish(self, offset: int) -> None:
        """Everything about the record is done. Finishing what is not open changes nothing."""
        self._open.pop(offset, None)

    def reach(self, end: int) -> None:
        """The partition was read up to ``end``: nothing but markers lies between the last record and it."""
        self._position = max(self._position, end)

    @property
    def committable(self) -> int:
        """The highest offset below which everything is done."""
        return next(iter(self._open), self._position)

    @property
    def open(self) -> int:
        """How many records are taken and not done."""
        return len(self._open)
