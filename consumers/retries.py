"""How an outage is waited out: for as long as it lasts, with exponential back-off and jitter.

What the other side asked for (retry-after) is honoured. Nothing is ever given up or dead-lettered here; the only way
out besides success is the process being told to stop, and then the outage itself is raised.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from adapters.metrics import Metrics
from stream.errors import Outage

Result = TypeVar("Result")
_LOG = logging.getLogger("embedstream.outage")
_FIRST_S = 0.1
_LONGEST_S = 15.0


_BACKOFF = wait_random_exponential(multiplier=_FIRST_S, max=_LONGEST_S)


def pause_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: the back-off, or what the other side asked for if that is longer."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, Outage) else None
    return max(asked or 0.0, _BACKOFF(state))


class Patience:
    """Retries for one process. ``stopping`` ends every wait."""

    def __init__(self, stopping: threading.Event, metrics: Metrics) -> None:
        self._stopping = stopping
        self._metrics = metrics

    def until_available(self, stage: str, call: Callable[[], Result]) -> Result:
        """The result of ``call``, tried until it raises no Outage. Other errors pass through at once."""

        def before_sleep(state: RetryCallState) -> None:
            if state.attempt_number == 1:
                self._metrics.outage(stage)
                _LOG.warning("%s waits: %s", stage, state.outcome.exception() if state.outcome else "")
            self._metrics.retry(stage)

        for attempt in Retrying(
            retry=retry_if_exception_type(Outage),
            wait=pause_s,
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=before_sleep,
            reraise=True,
        ):
            with attempt:
                result = call()
        return result
