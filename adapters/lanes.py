"""Threads on which a CPU encodes: a micro-batch each, and none of them shares its matrices with another.

The other way, one micro-batch whose matrices are divided among threads, makes these wait for each other some hundred
times a text. Where the cores are shared with anything else, a broker or another process, each wait is for a thread
that is not running. Side by side there is nothing to wait for: a query is encoded beside a bulk load instead of
behind it, and on idle cores as many texts are done as by threads that spin (FIELD-NOTES 8 saw the same of two
workers).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


class Lanes:
    """``width`` threads. They end with their owner."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._pool = ThreadPoolExecutor(width, "encoder", initializer=torch.set_num_threads, initargs=(1,))

    def start(self, work: Callable[[], Result]) -> "Future[Result]":
        """Whoever starts no more than ``width`` pieces at a time waits for no lane."""
        return self._pool.submit(work)


def share(lengths: list[int], budget: int, width: int) -> int:
    """The budget of a micro-batch with which ``width`` lanes have something to do: at most ``budget`` tokens.

    With one lane there is nothing to divide: rows of different lengths, padded, may fill all of the budget.
    """
    return budget if width == 1 else max(1, min(budget, -(-sum(lengths) // width)))
