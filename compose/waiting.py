"""Waiting for something that only others can bring about."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from stream.errors import Outage

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


def outlasting(call: Callable[[], Result], seconds: float) -> Result:
    """The result of ``call``, tried until it raises no Outage; the outage itself after so many seconds."""
    return Retrying(
        retry=retry_if_exception_type(Outage),
        wait=wait_random_exponential(multiplier=_LOOK_S, max=_LONGEST_S),
        stop=stop_after_delay(seconds),
        reraise=True,
    )(call)
