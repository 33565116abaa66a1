"""A forward pass on a CPU: the texts of a micro-batch are divided among threads, each of which computes alone.

The other way, one pass whose matrices are divided among threads, makes these wait for each other some hundred times
a text. Where the cores are shared with anything else, a broker or another process, each wait is for a thread that is
not running. Divided by texts there is one wait a micro-batch: on two cores beside a busy process it is as fast as
threads that sleep while they wait, and on idle ones as fast as threads that spin (FIELD-NOTES 8 saw the same of two
workers).

Law: a text's vector does not depend on which other texts are with it, so not on how they are divided.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.forward_pass import Prepared, TokenPass
from stream.ports import TextKind


class SideBySide:
    """A :class:`ForwardPass` over ``inner``, ``threads`` parts of a micro-batch at once, a thread each."""

    def __init__(self, inner: TokenPass, threads: int) -> None:
        self.inner = inner
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "encoder", initializer=torch.set_num_threads, initargs=(1,))

    def prepare(self, kind: TextKind, texts: Sequence[str]) -> Prepared:
        return _Divided(self, self.inner.prepare(kind, texts))

    def run(self, prepared: Prepared, indices: Sequence[int]) -> NDArray[np.float32]:
        """Neighbours have like lengths and go to different threads, which so get like shares."""
        count = min(self._threads, len(indices))
        parts = [indices[start::count] for start in range(count)]
        pending = [self._pool.submit(prepared.vectors, part) for part in parts]
        # All are waited for, whatever became of the first: nothing of this batch runs on when the caller goes on.
        failures = [error for future in pending if (error := future.exception()) is not None]
        if failures:
            raise failures[0]
        results = [future.result() for future in pending]
        vectors = np.empty((len(indices), results[0].shape[1]), dtype=np.float32)
        for start, result in enumerate(results):
            vectors[start::count] = result
        return vectors


@dataclass(frozen=True, slots=True)
class _Divided:
    owner: SideBySide
    prepared: Prepared

    @property
    def lengths(self) -> Sequence[int]:
        return self.prepared.lengths

    def vectors(self, indices: Sequence[int]) -> NDArray[np.float32]:
        return self.owner.run(self.prepared, indices)
