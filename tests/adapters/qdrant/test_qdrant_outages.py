"""What becomes of a call when the server is away, late, busy, or dies within it."""

import threading

import pytest
from index_world import FIELDS, NORTH, SPEC, chunk, found, mark, one, payload, put, touch

from adapters.qdrant.options import Pace
from schemas.identity import DocId
from stream.errors import Outage

WRITES = "points/batch|UpdateBatch"
SEARCHES = "points/query|Points.Query"


def test_too_many_requests_are_an_outage_that_says_how_long_to_wait(double, index):
    double.faults.order("answer", WRITES, status=429, retry_after="7")
    with pytest.raises(Outage) as asked:
        index.write([put("a", 1)])
    assert asked.value.retry_after_s == 7.0
    assert index.count() == 0


@pytest.mark.parametrize("fault", ["answer", "reset", "reset after", "half"])
def test_after_an_outage_the_same_call_ends_as_if_there_had_been_none(double, index, fault):
    index.write([put("kept", 1), put("gone", 1)])
    plan = [put("new", 2, NORTH), touch(["kept"], 2, source_ts_ms=5), mark("gone", 2)]
    double.faults.order(fault, WRITES)
    with pytest.raises(Outage):
        index.write(plan)
    index.write(plan)
    assert one(index, "new").payload == payload(2)
    assert one(index, "kept").payload == payload(2, source_ts_ms=5)
    assert one(index, "gone").payload["state"] == "removed"


def test_nothing_is_removed_where_an_addition_before_it_was_not_acknowledged(double, index):
    index.write([put(("old", n), 1) for n in range(200)])
    plan = [put(("new", n), 2) for n in range(200)] + [mark(("old", n), 2) for n in range(200)]
    double.faults.order("answer", WRITES, status=503, times=1)
    with pytest.raises(Outage):
        index.write(plan)
    states = {point.payload["state"] for point in index.points([chunk(("old", n)) for n in range(200)])}
    assert states == {"live"}
    index.write(plan)
    assert index.count("removed") == index.count("live") == 200


def test_a_server_that_answers_too_late_is_an_outage_and_what_it_did_late_is_no_harm(serve, enter):
    double = serve()
    patient, hasty = enter(double), enter(double, pace=Pace(timeout_s=1, batch_points=64))
    patient.create("docs", SPEC, FIELDS, {})
    index = hasty.open("docs")
    double.faults.order("silence after", WRITES, seconds=30)
    with pytest.raises(Outage):
        index.write([put("a", 1)])
    patient.open("docs").write([put("a", 5)])
    double.faults.order("silence", WRITES, seconds=30)
    with pytest.raises(Outage):
        index.write([put("a", 4), put("b", 4)])
    assert one(patient.open("docs"), "a").payload == payload(5)


@pytest.mark.parametrize(
    "request_name",
    [SEARCHES, "points/scroll|Points.Scroll", "points$|Points.Get", "aliases$|Collections.ListAliases"],
)
def test_a_read_that_fails_is_an_outage_and_may_be_made_again(double, catalog, index, request_name):
    index.write([put("a", 1)])

    def reads():
        found(index)
        index.read([DocId("docs/1")])
        index.points([chunk("a")])
        catalog.aliases()

    for fault in ("reset", "answer"):
        double.faults.order(fault, request_name)
        with pytest.raises(Outage):
            reads()
    reads()
    assert found(index) == {chunk("a")}


def test_a_slow_server_is_waited_for(double, index):
    double.faults.order("slow", WRITES, seconds=0.3)
    index.write([put("a", 1)])
    assert found(index) == {chunk("a")}


def test_a_server_that_is_away_is_an_outage_at_the_first_call_and_not_before(serve, enter):
    double = serve()
    catalog = enter(double)
    double.close()
    with pytest.raises(Outage):
        catalog.collections()


def test_after_a_restart_of_the_server_the_same_catalog_goes_on(serve, enter):
    first = serve()
    catalog = enter(first)
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    index.write([put("a", 1)])
    first.close()
    with pytest.raises(Outage):
        index.write([put("b", 1)])
    serve(first.state, port=first.port)
    until(lambda: index.write([put("b", 1)]))
    assert found(index) == {chunk("a"), chunk("b")}


def until(call):
    """A channel takes a moment to notice that the other side is there again."""
    for _ in range(200):
        try:
            return call()
        except Outage:
            threading.Event().wait(0.05)
    return call()
