"""A TCP proxy on loopback that does to a broker's connections what networks do: delay, resets, silence.

It stands at the address which the broker advertises, so a client that asks the broker for its addresses comes back
through it. Traffic passes as it is until a fault is set; a fault holds for every connection, old and new:

``delay``: every piece waits for a random part of so many seconds. ``refuse``: every connection is cut, and new ones
are cut as soon as they stand. ``cut``: what is open now is reset, once. ``swallow``: nothing arrives any more and
nobody is told, as behind a cable that was pulled; ``heal`` hands over late what was under way (the sender's TCP would
have sent it again), or resets those connections, as a router does that has forgotten them.
"""

import contextlib
import random
import socket
import threading

_PIECE = 64 * 1024
_RESET = b"\x01\0\0\0\0\0\0\0"
"""SO_LINGER with no time: closing sends RST."""


class FaultyProxy:
    """Serves from construction to ``close``; ``target`` is the port behind it."""

    def __init__(self, target: int, *, port: int = 0, seed: int = 0) -> None:
        self._target = target
        self._dice = random.Random(seed)
        self._delay_s = 0.0
        self._refusing = False
        self.met = 0
        """Pieces that were held up, connections that were cut: what anybody noticed of the faults."""
        self._passing = threading.Event()
        self._passing.set()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    # --- faults ---

    def delay(self, seconds: float) -> None:
        self._delay_s = seconds

    def refuse(self) -> None:
        self._refusing = True
        self.cut()

    def cut(self) -> None:
        with self._lock:
            self.met += len(self._open)
            for connection in self._open:
                _reset(connection)

    def swallow(self) -> None:
        self._passing.clear()

    def heal(self, *, forget: bool = False) -> None:
        """Everything passes again. ``forget``: what was open while nothing passed is reset, not handed over late."""
        self._delay_s, self._refusing = 0.0, False
        if forget:
            self.cut()
        self._passing.set()

    def close(self) -> None:
        self._closing.set()
        self._passing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._thread.join()

    # --- traffic ---

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._refusing:
                raise ConnectionRefusedError
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            _reset(client)
            client.close()
            return
        server.settimeout(None)
        pair = (client, server)
        for end in pair:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.update(pair)
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._open.difference_update(pair)
        for end in pair:
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(_PIECE):
                if self._delay_s or not self._passing.is_set():
                    self.met += 1
                if self._delay_s:
                    self._closing.wait(self._dice.random() * self._delay_s)
                self._passing.wait()
                sink.sendall(piece)
        except OSError:
            pass
        # One direction's end is the connection's: Kafka's clients never close by halves.
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
