"""A sample of fixed size from a stream of unknown length, in which each thing is as likely as any other.

Each name gets a number from its digest and the salt, and the ``size`` names with the lowest numbers are the sample
(bottom-k sampling). So the outcome follows from names and salt alone, in whatever order they come and however often;
another salt gives another sample, so that audits, one after another, see all there is.

What a sample finds: where the share ``f`` of all is damaged, ``n`` names miss every damaged one with probability
(1 - f)^n, for the draws are nearly independent.
"""

import hashlib
import heapq
import math
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


def size_to_find(share: float, confidence: float) -> int:
    """How many names find damage of this share with this probability, both in (0, 1)."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-share))


@dataclass(slots=True)
class Sample(Generic[Item]):
    """At most ``size`` of what is offered."""

    size: int
    salt: bytes = b""
    _lowest: list[tuple[int, str]] = field(default_factory=list)
    """A heap of negated numbers: the highest of the sample first."""
    _items: dict[str, Item] = field(default_factory=dict)

    def offer(self, name: str, item: Item) -> None:
        """A name is taken once."""
        if self.size < 1 or name in self._items:
            return
        digest = hashlib.blake2b(name.encode(), key=self.salt[:64], digest_size=8).digest()
        number = -int.from_bytes(digest, "big")
        if len(self._lowest) < self.size:
            heapq.heappush(self._lowest, (number, name))
        elif number > self._lowest[0][0]:
            _, dropped = heapq.heapreplace(self._lowest, (number, name))
            del self._items[dropped]
        else:
            return
        self._items[name] = item

    def items(self) -> list[Item]:
        """In order of their names."""
        return [self._items[name] for name in sorted(self._items)]
