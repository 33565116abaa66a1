"""What a query service holds open: collections that exist, each as it is now."""

import pytest
from query_world import World

from adapters.edge.catalog import EdgeCatalog
from adapters.memory.encoder import HashEncoder
from serving.handle import LiveIndex


@pytest.fixture
def world(tmp_path):
    catalog = EdgeCatalog(tmp_path / "index")
    yield World(catalog=catalog)
    catalog.close()


def test_a_collection_that_was_dropped_and_made_again_is_opened_anew(world):
    world.build()
    following = HashEncoder(32)
    contract = world.build(following, live=False)
    target = next(name for name in world.catalog.collections() if name != world.live_collection)
    live = LiveIndex(world.catalog, "docs", [world.encoder, following])
    live.prepare(target)
    live.keep(world.catalog.collections())
    assert target in live.prepared

    world.catalog.drop(target)
    live.keep(world.catalog.collections())
    assert target not in live.prepared

    world.build(following, live=True)
    current = live.current()
    (asked,) = following.encode("query", ["ripe plums"])
    assert current.contract == contract
    assert len(current.index.search(asked, 3)) == 3
