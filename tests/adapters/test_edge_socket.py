"""What goes over the owner's socket, and what it does with those who speak otherwise."""

import os
import socket
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_world import FIELDS, SPEC, chunk, mark, put, repaint, touch, vector

from adapters.edge import socket_file, wire
from adapters.edge.catalog import EdgeCatalog
from adapters.edge.client import SocketCatalog
from adapters.edge.frames import Disconnected, Frame, receive, send
from stream.errors import Fatal, Misuse, Outage, Poison
from stream.points import Hit, Point, Put, State


@pytest.mark.parametrize(
    "error",
    [Poison("vector", "No."), Outage("Away.", 2.5), Outage("Away."), Fatal("Stop."), Misuse("Not so.")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_travels_by_its_kind(error: Exception):
    arrived = wire.error_in(wire.error_out(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_a_bug_in_the_owner_is_fatal_for_the_client():
    arrived = wire.error_in(wire.error_out(ZeroDivisionError("division by zero")))
    assert type(arrived) is Fatal
    assert "division by zero" in str(arrived)


def through_a_socket(frame: Frame) -> Frame:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, frame)
        return receive(theirs)


numbers = st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3)
names, versions, text = st.integers(0, 99), st.integers(0, 2**53), st.text(st.characters(codec="utf-8"), max_size=9)
writes = st.one_of(
    st.builds(
        lambda name, version, values, note: put(name, version, vector(*values), note=note),
        names,
        versions,
        numbers,
        text,
    ),
    st.builds(lambda name, v, tenant: mark(name, v, "docs/1", State.DELETED, tenant), names, versions, text),
    st.builds(lambda many, version: touch(many, version, source_ts_ms=None), st.lists(names, max_size=3), versions),
    st.builds(lambda name, version, note: repaint(name, version, note=note), names, versions, text),
)


@given(st.lists(writes, max_size=6))
def test_writes_arrive_as_they_were_sent(sent: list):
    documents, vectors = wire.writes_out(sent)
    frame = through_a_socket(Frame({"writes": documents}, vectors))
    arrived = wire.writes_in(frame.document["writes"], frame.vectors)

    assert [type(write) for write in arrived] == [type(write) for write in sent]
    for ours, theirs in zip(sent, arrived, strict=True):
        if isinstance(ours, Put):
            assert (ours.id, ours.version, ours.payload) == (theirs.id, theirs.version, theirs.payload)
            assert ours.vector.values.tobytes() == theirs.vector.values.tobytes()
        else:
            assert ours == theirs


def test_points_and_hits_arrive_as_they_were_sent():
    points = [Point(chunk("a"), {"k": 1}), Point(chunk("b"), {}, vector(1, 2)), Point(chunk("c"), {}, vector(3, 4))]
    documents, vectors = wire.points_out(points)
    frame = through_a_socket(Frame({"points": documents}, vectors))
    arrived = wire.points_in(frame.document["points"], frame.vectors)
    assert [(point.id, point.payload) for point in arrived] == [(point.id, point.payload) for point in points]
    assert arrived[0].vector is None
    assert [point.vector.values.tolist() for point in arrived[1:]] == [[1, 2], [3, 4]]

    hits = [Hit(chunk("a"), float(np.float32(0.1)), {"k": None})]
    assert wire.hits_in(through_a_socket(Frame({"hits": wire.hits_out(hits)})).document["hits"]) == hits


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">III", 5, 0, 0) + b"{not}",
        struct.pack(">III", 2, 0, 0) + b"[]",
        struct.pack(">III", 2, 2**31, 2**31) + b"{}",
        struct.pack(">III", 100, 0, 0) + b"{",
    ],
)
def test_what_is_no_frame_ends_the_connection_and_no_other(folder: Path, sent: bytes):
    catalog = EdgeCatalog(folder / "index")
    catalog.serve()
    client = SocketCatalog(folder / "index")
    with socket_file.connect(folder / "index", 20.0) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        with pytest.raises(Disconnected):
            receive(stranger)
    assert client.collections() == []
    client.close()
    catalog.close()


def test_a_request_that_makes_no_sense_is_answered_and_the_connection_goes_on(folder: Path):
    catalog = EdgeCatalog(folder / "index")
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.serve()
    with socket_file.connect(folder / "index", 20.0) as connection:
        for request in (
            {"protocol": 99, "call": "hello"},
            {"protocol": wire.PROTOCOL},
            {"protocol": wire.PROTOCOL, "call": "drop", "arguments": {}, "collection": "docs"},
            {"protocol": wire.PROTOCOL, "call": "write", "arguments": {"writes": [["zap"]]}, "collection": "docs"},
            {
                "protocol": wire.PROTOCOL,
                "call": "write",
                "arguments": {"writes": [["put", 1, 2, {}]]},
                "collection": "docs",
            },
            {"protocol": wire.PROTOCOL, "call": "metadata", "arguments": {"name": "dogs"}},
        ):
            send(connection, Frame(request))
            assert receive(connection).document["error"] in {"fatal", "poison"}
        send(connection, Frame({"protocol": wire.PROTOCOL, "call": "collections", "arguments": {}}))
        assert receive(connection).document == {"result": ["docs"]}
    catalog.close()


def test_nobody_serving_is_an_outage(folder: Path):
    with pytest.raises(Outage):
        SocketCatalog(folder / "nothing")
    catalog = EdgeCatalog(folder / "index")
    with pytest.raises(Outage):
        SocketCatalog(folder / "index")
    catalog.close()


def test_an_owner_of_another_version_is_refused_with_its_process_id(folder: Path, monkeypatch: pytest.MonkeyPatch):
    catalog = EdgeCatalog(folder / "index")
    catalog.serve()
    theirs = SimpleNamespace(**{**vars(wire), "PROTOCOL": wire.PROTOCOL + 1})
    monkeypatch.setattr("adapters.edge.client.wire", theirs)
    with pytest.raises(Fatal, match=f"process {os.getpid()}"):
        SocketCatalog(folder / "index")
    catalog.close()
