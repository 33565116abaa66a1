"""Waiting for something that only others can bring about."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay

from consumers.retries import pause_s
from stream.errors import EmbedstreamError, Outage

_LOG = logging.getLogger("embedstream.outage")
_LOOK_S = 0.2

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

    def before_sleep(state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome:
            _LOG.warning("Tried again: %s", state.outcome.exception())

    return Retrying(
        retry=retry_if_exception_type((Outage, *besides)),
        wait=pause_s,
        stop=stop_after_delay(seconds),
        before_sleep=before_sleep,
        reraise=True,
    )(call)
