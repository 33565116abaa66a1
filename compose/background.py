"""What a process does again and again on a thread of its own, beside the poll thread."""

import logging
import threading
from collections.abc import Callable

from stream.errors import EmbedstreamError, Outage


class Background:
    """Takes ``turn`` every ``every_s`` seconds, from ``start`` to ``stop``; None: never.

    After an outage it waits for ``after_outage_s`` besides. Whatever else a turn raises ends it, and is raised by
    :meth:`check` on the thread that asks. ``stopping`` is its own, and set by ``stop``: a turn may wait with it.
    """

    def __init__(
        self,
        name: str,
        turn: Callable[[], None],
        every_s: float | None,
        *,
        after_outage_s: float = 0.0,
        stopping: threading.Event | None = None,
    ) -> None:
        self._name = name
        self._turn = turn
        self._every_s = every_s
        self._after_outage_s = after_outage_s
        self._stopping = stopping or threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread, where there is something to do."""
        if self._every_s is not None:
            self._thread.start()

    def stop(self, within_s: float | None = None) -> None:
        """Ends it, and waits for the turn under way, for ``within_s`` at most."""
        self._stopping.set()
        self.join(within_s)

    def join(self, within_s: float | None = None) -> None:
        """Waits for the thread's end, where it was started; None: as long as it takes."""
        if self._thread.ident is not None:
            self._thread.join(within_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def check(self) -> None:
        """Raises what the thread could not go on after."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._turn()
            except Outage:
                self._stopping.wait(self._after_outage_s)
            except Exception as error:
                if not isinstance(error, EmbedstreamError):
                    logging.getLogger(f"embedstream.{self._name}").exception("the %s failed", self._name)
                self._failure = error
                return
