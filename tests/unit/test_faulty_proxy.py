"""The proxy that breaks connections breaks them as it was told, and heals."""

import socket
import threading

import pytest
from doubles.faulty_proxy import FaultyProxy


@pytest.fixture
def proxy():
    """In front of a server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection):
        with connection:
            try:
                while piece := connection.recv(1024):
                    connection.sendall(piece)
            except OSError:
                pass

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    proxy = FaultyProxy(server.getsockname()[1])
    yield proxy
    proxy.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    accepting.join(20)


@pytest.fixture
def connect(proxy):
    opened = []

    def connect():
        opened.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=20))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def said_back(connection, text=b"hello"):
    connection.sendall(text)
    return connection.recv(1024)


def is_cut(connection):
    try:
        return connection.recv(1024) == b""
    except OSError:
        return True


def test_traffic_passes_both_ways(connect):
    assert said_back(connect()) == b"hello"


def test_a_cut_ends_what_is_open_and_new_connections_pass(proxy, connect):
    old = connect()
    assert said_back(old) == b"hello"
    proxy.cut()
    assert is_cut(old)
    assert said_back(connect()) == b"hello"


def test_whoever_is_refused_is_cut_until_it_heals(proxy, connect):
    proxy.refuse()
    try:
        refused = connect()
    except OSError:
        refused = None
    assert refused is None or is_cut(refused)
    proxy.heal()
    assert said_back(connect()) == b"hello"


@pytest.mark.parametrize("forget", [False, True], ids=["late", "reset"])
def test_what_is_swallowed_arrives_late_or_never(proxy, connect, forget):
    connection = connect()
    assert said_back(connection) == b"hello"
    proxy.swallow()
    connection.sendall(b"are you there")
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.recv(1024)
    connection.settimeout(20)
    proxy.heal(forget=forget)
    if forget:
        assert is_cut(connection)
    else:
        assert connection.recv(1024) == b"are you there"


def test_a_slow_network_delays_and_loses_nothing(proxy, connect):
    proxy.delay(0.02)
    connection = connect()
    assert [said_back(connection, piece) for piece in (b"1", b"2", b"3")] == [b"1", b"2", b"3"]
