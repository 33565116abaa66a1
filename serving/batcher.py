"""Queries of many callers, encoded together: the shell around ``stream.query_batch``.

It has no thread of its own. A caller that finds a place free encodes its own texts; the one whose turn has come
after others encodes what stands in line with it, for all of them, and hands its place to the next in line before it
takes its vectors home. So a lone query passes through without meeting another thread, and nothing is left behind
when the last caller is gone.

Laws: every caller gets the vectors of its own texts, in order, or what went wrong with them; a text that is poison
fails its own caller alone; whatever else an encoder raises reaches every caller of that call; nobody waits for ever.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream.errors import Late, Outage, Poison
from stream.points import DenseVector
from stream.ports import Encoder
from stream.query_batch import Batching, QueryLine


@dataclass(slots=True, eq=False)
class _Portion:
    """Texts in line and, once ``woken`` is set, either the batch that their caller has to encode or their outcome."""

    texts: Sequence[str]
    deadline: float | None
    woken: threading.Event = field(default_factory=threading.Event)
    batch: tuple["_Portion", ...] = ()
    outcome: Sequence[DenseVector] | Exception = ()


class QueryBatcher:
    """In front of one encoder, for any number of threads."""

    def __init__(
        self, encoder: Encoder, batching: Batching | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock``: seconds that never go back, those of the deadlines."""
        self._encoder = encoder
        self._batching = batching or Batching()
        self._clock = clock
        self._lock = threading.Lock()
        self._line: QueryLine[_Portion] = QueryLine(self._batching)

    @property
    def waiting(self) -> int:
        """Texts in line: not being encoded yet. What a caller has beyond one call's texts is not in line yet."""
        with self._lock:
            return self._line.waiting

    def encode(self, texts: Sequence[str], deadline: float | None = None) -> Sequence[DenseVector]:
        """One vector a text, in order.

        Raises Late where ``deadline`` (seconds of the clock) passed before the turn of all texts had come, and what
        the encoder raises.
        """
        found: list[DenseVector] = []
        for portion in self._batching.portions(texts):
            found.extend(self._vectors(_Portion(portion, deadline)))
        return found

    def _vectors(self, portion: _Portion) -> Sequence[DenseVector]:
        if portion.deadline is not None and portion.deadline <= self._clock():
            raise _late()
        with self._lock:
            begins = self._line.arrive(portion)
        batch = (portion,) if begins else self._turn(portion)
        if batch:
            self._run(batch)
        if isinstance(portion.outcome, Exception):
            raise portion.outcome
        return portion.outcome

    def _turn(self, portion: _Portion) -> tuple[_Portion, ...]:
        """Waits; returns what the caller has to encode, or nothing where the outcome is there."""
        left = None if portion.deadline is None else portion.deadline - self._clock()
        try:
            if not portion.woken.wait(None if left is None else min(left, threading.TIMEOUT_MAX)):
                with self._lock:
                    late = self._line.withdraw(portion)
                if late:
                    portion.outcome = _late()
                else:
                    # Its turn has come: somebody encodes it at this moment, or its caller has to.
                    portion.woken.wait()
        except BaseException:
            self._forsake(portion)
            raise
        return portion.batch

    def _forsake(self, portion: _Portion) -> None:
        """The caller's thread was interrupted, and must not take the turn of others with it."""
        with self._lock:
            if not self._line.withdraw(portion) and portion.batch:
                self._hand_over(portion.batch[1:])

    def _run(self, batch: tuple[_Portion, ...]) -> None:
        """Encodes; each of the batch has its outcome afterwards, whatever was raised, and the place is passed on."""
        try:
            self._encode(batch)
        finally:
            with self._lock:
                self._hand_over(())
            for follower in batch[1:]:
                follower.woken.set()

    def _hand_over(self, batch: tuple[_Portion, ...]) -> None:
        """Gives a place to this batch or, without one, to the next in line. The lock is held."""
        if not batch:
            released = self._line.release(self._clock())
            for late in released.late:
                late.outcome = _late()
                late.woken.set()
            batch = released.batch
        if batch:
            leader = batch[0]
            leader.batch = batch
            leader.woken.set()

    def _encode(self, batch: tuple[_Portion, ...]) -> None:
        try:
            vectors = self._encoder.encode("query", [text for portion in batch for text in portion.texts])
        except Poison as error:
            if len(batch) == 1:
                batch[0].outcome = error
                return
            for portion in batch:
                self._encode((portion,))
        except Exception as error:  # noqa: BLE001 - every caller raises it in its own thread
            for portion in batch:
                portion.outcome = error
        except BaseException:
            for portion in batch:
                portion.outcome = Outage("The encoding of this query was interrupted; ask again.")
            raise
        else:
            start = 0
            for portion in batch:
                portion.outcome = vectors[start : start + len(portion.texts)]
                start += len(portion.texts)


def _late() -> Late:
    return Late("More was asked for than this service encodes in time; the query's turn did not come. Ask again.")
