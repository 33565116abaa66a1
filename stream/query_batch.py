"""Which queries are encoded together: whatever arrived while the device was busy. There is no timer here.

A device takes a few calls at a time (``width``: the cores of a CPU; one call elsewhere). A query that finds a place
free begins at once and alone. One that finds none stands in line, and when a place becomes free, those in line go
together, at most ``cap`` texts of them.

A window, waiting a few milliseconds for more company, would only add itself to every answer: while all places are
taken the line fills by itself, and while one is free there is nobody to wait for.

Laws: no more than ``width`` batches are open; a free place means that nobody is in line; batches begin in the order
of arrival, and nobody is passed over; a batch holds at most ``cap`` texts; who is late is told so, not encoded.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stream.errors import Misuse


@dataclass(frozen=True, slots=True)
class Batching:
    """At most ``cap`` texts a call, at most ``width`` calls at once. Raises Misuse where one is below 1."""

    cap: int = 8
    width: int = 1

    def __post_init__(self) -> None:
        if self.cap < 1 or self.width < 1:
            raise Misuse(f"Queries are encoded at least one at a time, not {self.cap} in {self.width} calls.")

    def portions(self, texts: Sequence[str]) -> list[Sequence[str]]:
        """A caller's texts in parts that fit a batch, in order. Between two of them others have their turn."""
        return [texts[start : start + self.cap] for start in range(0, len(texts), self.cap)]


class Portion(Protocol):
    """What stands in line, as one: at most ``cap`` texts of one caller. ``deadline``: as the clock of ``release``."""

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def deadline(self) -> float | None: ...


Item = TypeVar("Item", bound=Portion)


@dataclass(frozen=True, slots=True)
class Released(Generic[Item]):
    """What becomes of a place: the ``batch`` that has it now (without one it is free), and who came too late."""

    batch: tuple[Item, ...]
    late: tuple[Item, ...]


class QueryLine(Generic[Item]):
    """The line in front of a device, and how many of the device's places are taken."""

    def __init__(self, batching: Batching) -> None:
        self._batching = batching
        self._line: deque[Item] = deque()
        self._open = 0

    @property
    def waiting(self) -> int:
        """Texts in line."""
        return sum(len(item.texts) for item in self._line)

    def arrive(self, item: Item) -> bool:
        """Whether it begins at once, alone; otherwise it stands in line now."""
        if self._open < self._batching.width:
            self._open += 1
            return True
        self._line.append(item)
        return False

    def release(self, now: float) -> Released[Item]:
        """A batch has ended. Its place goes to the next batch, or is free."""
        batch: list[Item] = []
        late: list[Item] = []
        room = self._batching.cap
        while self._line:
            item = self._line[0]
            if item.deadline is not None and item.deadline <= now:
                late.append(self._line.popleft())
                continue
            if batch and len(item.texts) > room:
                break
            batch.append(self._line.popleft())
            room -= len(item.texts)
        if not batch:
            self._open -= 1
        return Released(tuple(batch), tuple(late))

    def withdraw(self, item: Item) -> bool:
        """Whether it was still in line; it is not any more."""
        if item not in self._line:
            return False
        self._line.remove(item)
        return True
