"""Many readers or one writer, neither of which can starve the other.

The engine has locks of its own, but its updates wait for them while they hold Python's interpreter lock, so that one
slow search would stop every thread of the process. Behind this gate an update starts only when no search runs, and
the waiting is done here, with the interpreter free. It also makes each hold of the gate one step to every reader.

The rule is phase-fair: readers that arrive while a writer is inside or waiting wait for one writer, not for all; when
a writer leaves, all readers that wait go in together before the next writer.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """``with gate.shared():`` or ``with gate.alone():``; neither may be taken within the other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting_writers = 0
        self._waiting_readers = 0
        self._phase = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            if self._writing or self._waiting_writers:
                self._wait_for_one_writer()
            else:
                self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if self._readers == 0:
                    self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._waiting_writers += 1
            try:
                self._changed.wait_for(lambda: not self._writing and self._readers == 0)
            except BaseException:
                # Interrupted: whoever waited behind this writer alone must not wait for ever.
                if not self._writing:
                    self._admit_readers()
                raise
            finally:
                self._waiting_writers -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._admit_readers()

    def _wait_for_one_writer(self) -> None:
        phase = self._phase
        self._waiting_readers += 1
        try:
            self._changed.wait_for(lambda: self._phase != phase)
        except BaseException:
            if self._phase == phase:
                self._waiting_readers -= 1
            else:
                self._readers -= 1
                self._changed.notify_all()
            raise

    def _admit_readers(self) -> None:
        """Those that wait now; the leaving writer counts them in, so that no other writer slips in first."""
        self._readers += self._waiting_readers
        self._waiting_readers = 0
        self._phase += 1
        self._changed.notify_all()
