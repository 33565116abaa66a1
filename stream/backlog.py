"""Which waiting revisions form the next batch: whatever arrived while the device was busy. There is no timer here.

Rules: a document has at most one revision in flight, and its revisions are taken in the order of arrival, each one
(skipping one is unsound while an older writer may be stalled); among documents, the one whose next revision has
waited longest goes first; a batch ends where the next revision would exceed the budget, but the first is always
admitted, however large it is.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from schemas.identity import DocId

Item = TypeVar("Item")


class Backlog(Generic[Item]):
    """Revisions that wait, by document. ``cost`` is in whatever unit the budget has (estimated tokens)."""

    def __init__(self) -> None:
        self._waiting: dict[DocId, deque[tuple[int, int, Item]]] = {}
        self._ready: list[tuple[int, DocId]] = []
        self._in_flight: dict[DocId, int] = {}
        self._arrivals = 0
        self.cost = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def add(self, document: DocId, cost: int, item: Item) -> None:
        """A revision arrived."""
        queue = self._waiting.setdefault(document, deque())
        queue.append((self._arrivals, cost, item))
        self.cost += cost
        if len(queue) == 1 and document not in self._in_flight:
            heapq.heappush(self._ready, (self._arrivals, document))
        self._arrivals += 1

    @property
    def ready(self) -> bool:
        """Whether :meth:`take` would give something."""
        return bool(self._ready)

    def take(self, budget: int) -> list[Item]:
        """The next batch, at most one revision a document; empty where nothing can start."""
        batch: list[Item] = []
        spent = 0
        while self._ready:
            arrival, document = self._ready[0]
            _, cost, item = self._waiting[document][0]
            if batch and spent + cost > budget:
                break
            heapq.heappop(self._ready)
            self._waiting[document].popleft()
            self._in_flight[document] = arrival
            self.cost -= cost
            spent += cost
            batch.append(item)
        return batch

    def put_back(self, document: DocId, cost: int, item: Item) -> None:
        """A revision in flight has to be planned again: it has its old place, before all that arrived since."""
        arrival = self._in_flight.pop(document)
        self._waiting.setdefault(document, deque()).appendleft((arrival, cost, item))
        self.cost += cost
        heapq.heappush(self._ready, (arrival, document))

    def finish(self, document: DocId) -> None:
        """The revision in flight is done; the document's next one may start."""
        del self._in_flight[document]
        queue = self._waiting.get(document)
        if queue:
            heapq.heappush(self._ready, (queue[0][0], document))
        else:
            self._waiting.pop(document, None)

    def drop(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Forgets waiting revisions, not those in flight; for partitions that were taken away."""
        dropped: list[Item] = []
        for document, queue in list(self._waiting.items()):
            kept = deque(entry for entry in queue if not unwanted(entry[2]))
            dropped.extend(entry[2] for entry in queue if unwanted(entry[2]))
            self.cost -= sum(cost for _, cost, _ in queue) - sum(cost for _, cost, _ in kept)
            if kept:
                self._waiting[document] = kept
            else:
                del self._waiting[document]
        self._ready = list(self._next_of(document for document in self._waiting if document not in self._in_flight))
        heapq.heapify(self._ready)
        return dropped

    def _next_of(self, documents: Iterable[DocId]) -> Iterable[tuple[int, DocId]]:
        return ((self._waiting[document][0][0], document) for document in documents)
