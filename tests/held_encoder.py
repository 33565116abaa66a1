"""An encoder that a test holds: it begins what it is given and ends it when it is told to."""

import threading
import time
from collections.abc import Callable

from adapters.memory.encoder import HashEncoder
from compose.waiting import wait_until

PATIENCE_S = 30.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Fails where it did not come in good time."""
    assert wait_until(condition, time.monotonic() + PATIENCE_S), f"waited in vain for {what}"


class HeldEncoder(HashEncoder):
    """Texts with "hold" in them wait for :attr:`released`; ``begun`` tells that one is waited for."""

    def __init__(self, dimensions: int = 128) -> None:
        super().__init__(dimensions)
        self.begun = threading.Event()
        self.released = threading.Event()

    def encode(self, kind, texts):
        if any("hold" in text for text in texts):
            self.begun.set()
            assert self.released.wait(PATIENCE_S), "the test never released the encoder"
        return super().encode(kind, texts)
