"""How much one request, one key and all of them together may ask of the service.

Nothing waits without bound: a request that would be one too many is refused at once, with when to come back, and one
that was let in is answered before its deadline or told that it was not. Work that a thread has begun cannot be taken
from it, so the place of such a request is free again only when the thread has really ended: what is counted is what
the machine does, not what clients still wait for.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from serving.keys import ApiKey
from serving.refusals import Refusal, Refused, late, misuse, retry_after, unavailable

TIMEOUT_HEADER = "X-Request-Timeout-Ms"
_LONGEST_NUMBER = 9
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the whole service; a key may have a lower concurrency of its own."""

    max_texts: int = 256
    """Of one request for embeddings."""
    max_body_bytes: int = 4 * _MIB
    concurrency: int = 64
    """Requests in work at once, waiting for a thread included."""
    deadline_s: float = 10.0
    """From the request's first line to its answer."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, seconds."""

    at: float

    @classmethod
    def of(cls, limits: Limits, wish_ms: str | None) -> "Deadline":
        """Now + the limit, or less where the client wants the answer sooner. Raises Refused (400)."""
        allowed = limits.deadline_s
        if wish_ms is not None:
            if not (wish_ms.isascii() and wish_ms.isdigit() and len(wish_ms) <= _LONGEST_NUMBER and int(wish_ms)):
                raise misuse(f"{TIMEOUT_HEADER} is a whole number of milliseconds from 1 on.", TIMEOUT_HEADER)
            allowed = min(allowed, int(wish_ms) / 1000)
        return cls(time.monotonic() + allowed)

    @property
    def left_s(self) -> float:
        """Seconds, 0 at least."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raises Refused (504) once it has passed."""
        if not self.left_s:
            raise Refused(late())


class Places:
    """Requests in work, of each key and of all. Belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """All of them."""
        return self._taken.total()

    def take(self, key: ApiKey | None) -> Callable[[], None]:
        """Gives back what frees the place, to be called once. Raises Refused: 429 by the key's limit, 503 by all."""
        name = "" if key is None else key.name
        if key is not None and key.concurrency is not None and self._taken[name] >= key.concurrency:
            raise Refused(
                Refusal(
                    429,
                    f"This API key has {key.concurrency} requests in work, which is its limit; try again.",
                    "rate_limit_exceeded",
                    headers=retry_after(),
                )
            )
        if self.taken >= self._limits.concurrency:
            raise Refused(
                unavailable(
                    f"{self._limits.concurrency} requests are in work, which is this service's limit; try again.",
                    "overloaded",
                )
            )
        self._taken[name] += 1
        return lambda: self._taken.subtract((name,))
