"""The loop of a purge: in which order it looks, what it waits for, and what it says of what it did."""

from contextlib import nullcontext

import pytest
from index_world import FIELDS, SPEC, chunk, mark, put

from adapters.memory.index import MemoryCatalog
from operations.purge.purging import Purging, Surroundings
from stream.claim import Claim
from stream.errors import Outage
from stream.ports import Partition

TOPIC, GROUP = "kb.chunks", "kb.embedder"
PLACE = Partition(TOPIC, 0)
HEADER = "abc"
BEHIND = (
    "group kb.embedder has 1 offsets of kb.chunks [0] before it that were there when the marks were listed; "
    "let its embedders catch up, then say it again."
)


class World:
    """A collection, a topic that ends somewhere, a group that is somewhere, and a clock."""

    def __init__(self):
        catalog = MemoryCatalog()
        catalog.create("docs", SPEC, FIELDS, {})
        self.index, self.bin = catalog.open("docs"), catalog.bin("docs")
        self.end, self.offset, self.now = 7, 7, 0.0
        self.asked = self.away = 0
        self.said = []

    # What a purge sees of the bus.

    def ends(self, topic):
        assert topic == TOPIC
        return {PLACE: self.end}

    def low_watermarks(self, topic):
        assert topic == TOPIC
        return {PLACE: 0}

    def committed(self, group, places):
        assert (group, places) == (GROUP, [PLACE])
        self.asked += 1
        if self.away:
            self.away -= 1
            raise Outage("no broker.")
        return {PLACE: Claim({HEADER: self.offset}).committed(self.offset)}

    def purging(self, patience, most=100, outlasting=lambda call: call()):
        return Purging(
            Surroundings(
                collection="docs",
                opened=lambda: nullcontext(self.bin),
                accepted=frozenset({HEADER}),
                topics=self,
                chunk_topic=TOPIC,
                group=GROUP,
                grace_s=3_600.0,
                now_s=lambda: self.now,
                patience=patience,
                begun=self.said.append,
                outlasting=outlasting,
            ),
            most,
        )

    def ids(self):
        return {point.id for point in self.index.scroll()}


@pytest.fixture
def world():
    world = World()
    world.index.write([put("live", 1), mark("one", 4), mark("other", 5)])
    return world


def test_marks_go_once_the_grace_is_over_and_the_group_is_past_the_ends(world):
    def patience(condition):
        assert not condition()
        world.now, world.offset = 3_601.0, 6
        assert not condition()
        world.offset = 7
        assert condition()
        return True

    report = world.purging(patience).run()
    assert (report.listed, report.left, report.unfinished) == (2, 0, None)
    assert world.ids() == {chunk("live")}
    assert [len(purge.marks) for purge in world.said] == [2]


def test_the_group_is_not_asked_while_the_grace_lasts(world):
    world.purging(lambda condition: condition() and pytest.fail("the grace lasts")).run()
    assert world.asked == 0


def test_the_ends_are_noted_after_the_listing(world):
    listed = world.bin.marks

    class Bin:
        def marks(self):
            yield from listed()
            world.end = 9

    world.bin = Bin()
    assert world.purging(None).listed().ends == {PLACE: 9}


@pytest.mark.parametrize(
    ("now", "offset", "why"),
    [
        (0.0, 7, "the grace is not over yet; wait longer."),
        (3_601.0, 6, BEHIND),
    ],
)
def test_where_patience_ends_first_nothing_is_taken_away_and_it_says_why(world, now, offset, why):
    def patience(condition):
        world.now, world.offset = now, offset
        return condition()

    report = world.purging(patience).run()
    assert (report.listed, report.left, report.unfinished) == (2, 2, why)
    assert len(world.ids()) == 3


def test_what_was_written_anew_meanwhile_stays(world):
    def patience(_condition):
        world.index.write([put("one", 8), mark("other", 9)])
        return True

    report = world.purging(patience).run()
    assert world.ids() == {chunk("live"), chunk("one"), chunk("other")}
    # Neither is as it was listed any more.
    assert report.left == 0


def test_an_outage_of_the_broker_does_not_cost_the_hour(world):
    def patience(condition):
        world.now, world.away = 3_601.0, 2
        return any(condition() for _ in range(3))

    assert world.purging(patience).run().left == 0
    assert world.ids() == {chunk("live")}


def test_a_broker_that_stays_away_is_told(world):
    def patience(condition):
        world.now, world.away = 3_601.0, 9
        return condition()

    report = world.purging(patience).run()
    assert (report.left, report.done) == (2, False)
    assert report.unfinished.startswith("the broker did not say in time")


def test_an_outage_of_the_index_is_outlasted_and_the_same_marks_are_taken_again(world):
    discard, outages = world.bin.discard, [Outage("no index.")]

    def hindered(marks):
        discard(marks[:1])
        if outages:
            raise outages.pop()
        discard(marks)

    def outlasting(call):
        with pytest.raises(Outage):
            call()
        return call()

    world.bin.discard = hindered
    purging = world.purging(lambda _condition: True, outlasting=outlasting)
    assert purging.run().left == 0
    assert world.ids() == {chunk("live")}


def test_without_marks_nothing_is_waited_for(world):
    world.bin.discard(list(world.bin.marks()))
    report = world.purging(lambda _condition: pytest.fail("there is nothing to wait for")).run()
    assert report.to_json() == {"collection": "docs", "listed": 0, "left": 0, "unfinished": None}
    assert world.said == []


def test_more_marks_than_a_run_may_hold_are_left_for_the_next(world):
    world.index.write([mark(name, 6) for name in range(5)])
    report = world.purging(lambda _condition: True, most=3).run()
    assert (report.listed, report.left) == (3, 0)
    assert len(list(world.bin.marks())) == 4
