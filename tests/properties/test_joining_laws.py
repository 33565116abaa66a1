"""Whatever the order in which processes are started, stopped and killed while a source joins, nothing is lost."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from joining_world import DOCS_SOURCE, NEW, OLD, WIKI_SOURCE, JoiningWorld

seeds = st.integers(0, 2**32)
"""A history is drawn from its seed: choices that shrink would make nearly all of them too short to lose anything."""


def live_through(world, seed, steps=24):
    """Rows are written, and processes of both deployments come, work and go."""
    random_ = random.Random(seed)
    for _ in range(steps):
        match random_.choice(["write"] * 5 + ["turn"] * 5 + ["start"] * 2 + ["end"] * 2):
            case "write":
                source = random_.choice([DOCS_SOURCE, WIKI_SOURCE])
                world.write(source, str(random_.randrange(4)), random_.choice([None, "alpha", "beta", "gamma"]))
            case "turn":
                for _ in range(random_.randrange(1, 5)):
                    world.turn()
            case "start":
                random_.choice([world.chunker, world.embedder])(random_.choice([OLD, NEW]))
            case "end":
                running = random_.choice([world.chunkers, world.embedders])
                if running:
                    world.end(random_.choice(running), kill=random_.random() < 0.5)


@settings(max_examples=40)
@given(seeds)
def test_once_every_process_knows_the_source_the_index_is_the_table(seed):
    world = JoiningWorld()
    try:
        world.chunker(NEW if seed % 2 else OLD)
        world.embedder(OLD)
        live_through(world, seed)
        for process in [*world.chunkers, *world.embedders]:
            world.end(process)
        world.chunker(NEW)
        world.embedder(NEW)
        world.drain()
        assert world.texts == world.table
        assert world.letters == []
    finally:
        world.close()


@settings(max_examples=20)
@given(seeds)
def test_one_embedder_that_knows_it_tells_the_others_by_the_collection(seed):
    world = JoiningWorld()
    try:
        world.embedder(OLD)
        live_through(world, seed)
        world.chunker(NEW)
        world.end(world.embedder(NEW))
        if not world.embedders:
            world.embedder(OLD)
        # Events of the source, by which an embedder that does not know it sees that there is one.
        for key in ("1", "2", "3", "4"):
            world.write(WIKI_SOURCE, key, "last")
        world.drain()
        assert world.texts == world.table
    finally:
        world.close()
