"""A client that was given up is closed by another thread, and only when nobody has it in hand any more."""

import threading

from adapters.kafka.disposal import dispose


class Client:
    def __init__(self, closed):
        self._closed = closed

    def __del__(self):
        self._closed.append(threading.current_thread().name)


def given_up(closed, gone):
    client = Client(closed)
    dispose(client)
    assert not gone.wait(0.2)
    assert closed == [], "somebody still has it in hand"


def test_it_is_closed_by_a_thread_of_its_own():
    gone = threading.Event()

    class Closed(list):
        def append(self, name):
            super().append(name)
            gone.set()

    closed = Closed()
    given_up(closed, gone)
    assert gone.wait(20)
    assert closed == ["close-client"]
