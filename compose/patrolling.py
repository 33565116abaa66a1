"""The continuous audit of an embedder process, on a thread of its own (``[embedder] audit_per_s``).

The poll thread never waits for it. It shares the index with the stages, by reads alone, and the encoder's bulk side,
one text at a time; the rate is what bounds both. What it finds is counted and logged, and ends nothing; what is
unforeseen ends the embedder, as anywhere.
"""

import logging
import threading
import time
from collections.abc import Callable

from adapters.metrics import Metrics
from operations.audit.patrol import Beat, Patrol
from stream.errors import EmbedstreamError, Outage

_LOG = logging.getLogger("embedstream.audit")
_AFTER_AN_OUTAGE_S = 5.0
_PAUSE_S = 0.5


class Patrolling:
    """Runs from ``start`` to ``stop``. The poll thread calls :meth:`check`."""

    def __init__(self, beat: Beat, per_s: float, metrics: Metrics, stopping: threading.Event) -> None:
        """``per_s`` 0: nothing is started. ``stopping`` is this thread's own, and ``beat`` waits with it."""
        self._patrol = Patrol(beat)
        self._per_s = per_s
        self._metrics = metrics
        self._stopping = stopping
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Starts the thread, where there is something to do."""
        if self._per_s > 0:
            self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def check(self) -> None:
        """Raises what the thread could not go on after."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while not self._stopping.wait(1 / self._per_s):
            try:
                self._step()
            except Outage:
                self._stopping.wait(_AFTER_AN_OUTAGE_S)
            except Exception as error:  # noqa: BLE001 - raised by the poll thread
                if not isinstance(error, EmbedstreamError):
                    _LOG.exception("the continuous audit failed")
                self._failure = error
                return

    def _step(self) -> None:
        walked = self._patrol.step()
        if walked is None:
            self._metrics.audit_walked()
            return
        self._metrics.audited(walked.verdict, [one.kind.value for one in walked.differences])
        for one in walked.differences:
            _LOG.warning("%s: %s of %s: %s; see embedstream audit", one.kind.value, one.id, one.doc_id, one.detail)


def waiting_until(stopping: threading.Event, deadline_s: float) -> Callable[[Callable[[], bool]], bool]:
    """Asks again and again, until the answer is yes, the deadline has passed, or the thread is told to stop."""

    def until(condition: Callable[[], bool]) -> bool:
        give_up = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > give_up or stopping.wait(_PAUSE_S):
                return False
        return True

    return until
