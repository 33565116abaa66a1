"""Each fault once on real servers and real processes, in its short form; ``make chaos`` goes on for hours.

A class a group protocol: half of the faults meet the one here, half the other; a campaign lets all meet both.
"""

import os
import random

import pytest
from chaos.faults import FAULTS
from chaos.striking import struck
from chaos.world import World

from stream.errors import Fatal

SEED = random.SystemRandom().randrange(10**6)


@pytest.fixture(scope="class")
def world():
    """A class has servers of its own: no group is carried from one protocol to the other (KAFKA-21117)."""
    try:
        world = World(SEED)
    except Fatal as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    yield world
    world.close()


def comes_through(world, fault, protocol):
    outcome = struck(world, fault, protocol, SEED, 0)
    assert not outcome.difference, f"seed {SEED}: {outcome}"
    assert not outcome.stopped, f"seed {SEED}: {outcome.stopped}"


def named(fault):
    return fault.name


@pytest.mark.kafka
@pytest.mark.cdc
class TestConsumer:
    @pytest.mark.parametrize("fault", FAULTS[::2], ids=named)
    def test_the_index_equals_the_table_after(self, world, fault):
        comes_through(world, fault, "consumer")


@pytest.mark.kafka
@pytest.mark.cdc
class TestClassic:
    @pytest.mark.parametrize("fault", FAULTS[1::2], ids=named)
    def test_the_index_equals_the_table_after(self, world, fault):
        comes_through(world, fault, "classic")
