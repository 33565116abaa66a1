"""Faults to order for a double of a server: what it is to do wrong, at which requests, and how often.

A fault waits for the first request that it is meant for, and is used up after ``times`` of them. Requests are named
``METHOD /path``, or by their gRPC method.
"""

import re
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["answer", "reset", "reset after", "silence", "silence after", "half", "slow"]


@dataclass(slots=True)
class Fault:
    """``kind``:

    ``answer``: ``status`` (and ``retry_after``) instead of an answer; nothing is done.
    ``reset``: the connection is cut; nothing is done. ``reset after``: it is cut when all is done.
    ``silence``: no answer for ``seconds``, nothing is done. ``silence after``: the same when all is done.
    ``half``: half of the operations of a batch are carried out, then status 500.
    ``slow``: all is done, after ``seconds``.
    """

    kind: Kind
    where: str = ""
    times: int = 1
    status: int = 500
    sentence: str = "Service internal error: ordered by a test"
    retry_after: str | None = None
    seconds: float = 0.0


@dataclass(slots=True)
class Faults:
    """What was ordered, and what was asked for so far."""

    seen: list[str] = field(default_factory=list)
    met: int = 0
    """Requests that were done wrong since the last ``clear``."""
    _ordered: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, kind: Kind, where: str = "", **more: Any) -> None:
        """``where`` is a regular expression, searched for in the request's name."""
        with self._lock:
            self._ordered.append(Fault(kind, where, **more))

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()
            self.met = 0

    @property
    def left(self) -> int:
        """How many requests are still to be done wrong."""
        with self._lock:
            return sum(fault.times for fault in self._ordered)

    def due(self, request: str) -> Fault | None:
        """The fault for this request, if there is one; it was counted then."""
        with self._lock:
            self.seen.append(request)
            for fault in self._ordered:
                if fault.times > 0 and re.search(fault.where, request):
                    fault.times -= 1
                    self.met += 1
                    return fault
        return None

    def asked(self, where: str) -> int:
        """How many requests of that name came so far."""
        with self._lock:
            return sum(1 for request in self.seen if re.search(where, request))
