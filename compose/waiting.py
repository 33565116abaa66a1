"""Waiting for something that only others can bring about."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from stream.errors import EmbedstreamError, Outage

_LOG = logging.getLogger("embedstream.outage")
_LOOK_S = 0.2
_LONGEST_S = 15.0

Result = TypeVar("Result")


def wait_until(condition: Callable[[], bool], deadline: float, stopping: threading.Event | None = None) -> bool:
    """Asks again and again; False where the answer was still no at ``deadline`` (monotonic clock), or where
    ``stopping`` was set meanwhile.
    """
    never = threading.Event()
    while not condition():
        if time.monotonic() > deadline or (stopping or never).wait(_LOOK_S):
            return False
    return True


def outlasting(
    call: Callable[[], Result], seconds: float, *, besides: tuple[type[EmbedstreamError], ...] = ()
) -> Result:
    """The result of ``call``, tried until it raises no Outage, nor one of ``besides``; the error itself after so many
    seconds. Retry-after is honoured.
    """
    backoff = wait_random_exponential(multiplier=_LOOK_S, max=_LONGEST_S)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_s if isinstance(error, Outage) else None
        return max(asked or 0.0, backoff(state))

    def before_sleep(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            _LOG.warning("Tried again: %s", state.outcome.exception())

    return Retrying(
        retry=retry_if_exception_type((Outage, *besides)),
        wait=wait,
        stop=stop_after_delay(seconds),
        before_sleep=before_sleep,
        reraise=True,
    )(call)
