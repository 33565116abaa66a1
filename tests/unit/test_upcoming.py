"""What may be searched next is opened before the alias means it, and what cannot be is told once."""

import threading
import time

import pytest
from query_world import World

from adapters.memory.encoder import HashEncoder
from compose.upcoming import Upcoming
from compose.waiting import wait_until
from serving.handle import LiveIndex
from stream.errors import Outage

SOON_S = 20.0


@pytest.fixture
def world():
    return World()


def other_collection(world):
    return next(name for name in world.catalog.collections() if name != world.live_collection)


def test_a_collection_is_opened_as_soon_as_it_exists_and_forgotten_when_it_is_dropped(world):
    world.build()
    following = HashEncoder(32)
    live = LiveIndex(world.catalog, "docs", [world.encoder, following])
    names = {world.live_collection}
    upcoming = Upcoming(live, world.catalog, names)
    upcoming.look()
    assert live.prepared == (world.live_collection,)

    world.build(following, live=False)
    target = other_collection(world)
    upcoming.look()
    assert target not in live.prepared, "nobody said that it may be searched"
    Upcoming(live, world.catalog, {*names, target}).look()
    assert target in live.prepared

    world.catalog.drop(target)
    upcoming.look()
    assert target not in live.prepared


def test_one_that_cannot_be_opened_is_told_once_and_hinders_no_other(world, caplog):
    world.build()
    stranger = HashEncoder(32)
    world.build(stranger, live=False)
    live = LiveIndex(world.catalog, "docs", [world.encoder])
    upcoming = Upcoming(live, world.catalog, world.catalog.collections())
    for _ in range(3):
        upcoming.look()
    told = [record for record in caplog.records if "cannot be opened" in record.message]
    assert len(told) == 1
    assert live.prepared == (world.live_collection,)


def test_a_look_that_hangs_holds_nobody_who_ends_it(world):
    world.build()
    asked, answered = threading.Event(), threading.Event()

    class Hanging:
        def collections(self):
            asked.set()
            answered.wait(SOON_S)
            raise Outage("the index does not answer")

    watching = Upcoming(LiveIndex(world.catalog, "docs", [world.encoder]), Hanging(), []).watching()
    watching.start()
    try:
        assert asked.wait(SOON_S)
        watching.stop(within_s=0.01)
        assert not answered.is_set()
        watching.check()
    finally:
        answered.set()
    watching.join(SOON_S)
    assert wait_until(lambda: not watching.alive, time.monotonic() + SOON_S)
