"""What a server refuses, and what the adapter refuses of a server; how large requests are cut."""

import logging
import threading

import pytest
from doubles.qdrant_state import ServerState
from index_world import FIELDS, SPEC, chunk, found, put
from qdrant_client import models
from qdrant_world import options

from adapters.qdrant.connection import connect
from adapters.qdrant.options import Pace
from stream.errors import Fatal, Poison

WRITES = "points/batch|UpdateBatch"


def test_a_point_that_the_server_refuses_is_poison(double, index):
    double.faults.order("answer", WRITES, status=400, sentence="Format error in JSON body: no")
    with pytest.raises(Poison) as refused:
        index.write([put("a", 1)])
    assert refused.value.kind == "index"


def test_a_limit_of_the_collection_stops_the_stream_and_empties_nothing_into_the_dead_letters(double, index):
    double.faults.order("answer", WRITES, status=400, sentence="Bad request: Max points count limit of 10 reached!")
    with pytest.raises(Fatal, match="limit of 10 reached"):
        index.write([put("a", 1)])


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_fatal(double, catalog, status):
    double.faults.order("answer", "collections|Collections.List", status=status, times=9)
    with pytest.raises(Fatal, match=r"index\.qdrant\.api_key"):
        catalog.collections()


def test_a_key_is_sent_and_a_wrong_one_is_never_told(serve, enter, caplog):
    double = serve(api_key="the-right-one")
    with caplog.at_level(logging.DEBUG):
        assert list(enter(double, api_key="the-right-one").collections()) == []
        with pytest.raises(Fatal) as refused:
            enter(double, api_key="the-wrong-one").collections()
    assert "wrong-one" not in str(refused.value)
    assert "the-wrong-one" not in repr(options(double.url, api_key="the-wrong-one"))
    assert "the-right-one" not in caplog.text + repr(refused.value)


def test_a_collection_that_vanished_is_fatal_for_a_writer(double, index):
    index.write([put("a", 1)])
    double.state.delete("docs")
    with pytest.raises(Fatal, match="does not have what was asked for"):
        index.write([put("a", 2)])


def test_an_alias_is_no_collection(catalog):
    catalog.create("docs__a__g1", SPEC, {}, {"k": 1})
    catalog.switch_alias("docs", None, "docs__a__g1")
    for call in (catalog.open, catalog.metadata):
        with pytest.raises(Fatal, match="'docs'"):
            call("docs")


def test_a_collection_of_somebody_else_is_fatal(double, catalog):
    vectors = {"theirs": models.VectorParams(size=4, distance=models.Distance.DOT)}
    double.state.create("theirs", models.CreateCollection(vectors=vectors))
    with pytest.raises(Fatal, match="no record of embedstream"):
        catalog.open("theirs")


def test_a_server_below_1_17_is_refused_and_one_below_1_19_is_spoken_of(serve, enter, caplog):
    with pytest.raises(Fatal, match=r"1\.16\.3.*upgrade the server"):
        enter(serve(ServerState(version="1.16.3"))).collections()
    with caplog.at_level(logging.WARNING):
        enter(serve(ServerState(version="1.18.1-dev"))).collections()
    assert "1.18.1-dev" in caplog.text
    with pytest.raises(Fatal, match=r"1\.18\.1-dev, which may undo a delete .*1\.19 or later to purge"):
        enter(serve(ServerState(version="1.18.1-dev"))).bin("any")
    caplog.clear()
    enter(serve(ServerState(version="1.20.0"))).collections()
    assert caplog.text == ""
    with pytest.raises(Fatal, match=r"see whether index\.url is a Qdrant"):
        enter(serve(ServerState(version="Apache"))).collections()


def test_a_request_that_is_too_large_is_sent_in_parts(serve, enter):
    double = serve(max_request_bytes=40_000)
    catalog = enter(double)
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    index.write([put(n, 1, text="x" * 4000) for n in range(32)])
    assert index.count("live") == 32


def test_a_single_point_that_is_too_large_is_poison_and_the_others_are_not_lost(serve, enter):
    double = serve(max_request_bytes=40_000)
    catalog = enter(double)
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    with pytest.raises(Poison) as refused:
        index.write([put("small", 1), put("large", 1, text="x" * 60_000)])
    assert refused.value.kind == "size"
    index.write([put("small", 1)])
    assert found(index) == {chunk("small")}


def test_a_call_of_many_points_is_cut_by_points_and_by_bytes(serve, enter):
    double = serve()
    catalog = enter(double, pace=Pace(timeout_s=20, batch_points=10, request_bytes=65_536))
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    before = double.faults.asked(WRITES)
    index.write([put(n, 1) for n in range(95)])
    assert double.faults.asked(WRITES) - before == 10
    before = double.faults.asked(WRITES)
    index.write([put(("long", n), 1, text="x" * 30_000) for n in range(8)])
    assert double.faults.asked(WRITES) - before == 4


def test_requests_of_one_wave_are_in_flight_together_and_no_more_than_allowed(serve, enter):
    double = serve()
    catalog = enter(double, pace=Pace(timeout_s=20, batch_points=10, requests_in_flight=3))
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    inside, most = [0], [0]
    meeting, lock, batch = threading.Barrier(3), threading.Lock(), double.state.batch

    def counted(*arguments):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        meeting.wait(20)
        with lock:
            inside[0] -= 1
        return batch(*arguments)

    double.state.batch = counted
    index.write([put(n, 1) for n in range(90)])
    assert most == [3]


def test_a_key_that_travels_unencrypted_over_a_network_is_spoken_of_without_it(caplog):
    """Nothing is asked of the server yet."""
    with caplog.at_level(logging.WARNING):
        for url in ("http://127.0.0.1:1", "https://192.0.2.1:1", "grpcs://192.0.2.1:1"):
            connect(options(url, api_key="the-key-itself")).close()
        assert caplog.text == ""
        connect(options("grpc://192.0.2.1:1", api_key="the-key-itself")).close()
    assert "unencrypted; use https or grpcs" in caplog.text
    assert "the-key-itself" not in caplog.text
