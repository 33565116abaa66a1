"""Clients of librdkafka that were given up are closed on a thread of their own.

Closing one waits for its threads, without a time limit, and happens where its last reference goes; a client that was
given up amid broken connections must not take the thread with it that serves.
"""

import sys
import threading
import time

_OURS = 2
"""References to the client: the list's, and the question's own."""
_LOOK_S = 0.05


def dispose(client: object) -> None:
    """Closes ``client`` once nobody else refers to it, and not on this thread."""
    # A daemon: a client that never closes must not keep the process.
    threading.Thread(target=_close, args=([client],), name="close-client", daemon=True).start()


def _close(held: list[object]) -> None:
    while sys.getrefcount(held[0]) > _OURS:
        time.sleep(_LOOK_S)
    held.clear()
