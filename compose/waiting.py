"""Waiting for something that only others can bring about."""

import threading
import time
from collections.abc import Callable

_LOOK_S = 0.2


def wait_until(condition: Callable[[], bool], deadline: float, stopping: threading.Event | None = None) -> bool:
    """Asks again and again; False where the answer was still no at ``deadline`` (monotonic clock), or where
    ``stopping`` was set meanwhile.
    """
    never = threading.Event()
    while not condition():
        if time.monotonic() > deadline or (stopping or never).wait(_LOOK_S):
            return False
    return True
