"""The gate before the engine: readers together, writers alone, nobody waits for ever."""

import threading

import pytest

from adapters.edge.gate import Gate

PATIENCE_S = 20


def started(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_readers_are_inside_together():
    gate = Gate()
    together = threading.Barrier(3)

    def read():
        with gate.shared():
            together.wait(PATIENCE_S)

    threads = [started(read) for _ in range(3)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not together.broken


def test_a_writer_is_alone():
    gate = Gate()
    inside: list[str] = []
    overlaps: list[list[str]] = []

    def work(kind: str):
        for _ in range(200):
            with gate.alone() if kind == "writer" else gate.shared():
                inside.append(kind)
                present = list(inside)
                if present.count("writer") > 1 or ("writer" in present and "reader" in present):
                    overlaps.append(present)
                inside.remove(kind)

    threads = [started(lambda kind=kind: work(kind)) for kind in ("writer", "reader", "writer", "reader")]
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert not overlaps


def test_a_stream_of_writers_does_not_keep_a_reader_out():
    gate = Gate()
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with gate.alone():
                pass

    writers = [started(write) for _ in range(3)]

    def read():
        for _ in range(100):
            with gate.shared():
                pass

    reader = started(read)
    reader.join(PATIENCE_S)
    alive = reader.is_alive()
    stop.set()
    for writer in writers:
        writer.join(PATIENCE_S)
    assert not alive


def test_a_stream_of_readers_does_not_keep_a_writer_out():
    gate = Gate()
    stop = threading.Event()

    def read():
        while not stop.is_set():
            with gate.shared():
                pass

    readers = [started(read) for _ in range(4)]

    def write():
        for _ in range(100):
            with gate.alone():
                pass

    writer = started(write)
    writer.join(PATIENCE_S)
    alive = writer.is_alive()
    stop.set()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert not alive


def test_an_error_inside_lets_the_next_one_in():
    gate = Gate()
    for way in (gate.alone, gate.shared, gate.alone):
        with pytest.raises(KeyboardInterrupt), way():
            raise KeyboardInterrupt
    with gate.alone():
        entered = True
    assert entered
