"""What a server tells of itself to whoever looks whether it can carry an index."""

import pytest
from index_world import FIELDS, SPEC

from adapters.qdrant.options import Layout
from stream.engine import TellsOfItsEngine
from stream.errors import Fatal


def test_the_engine_is_told_of_without_a_collection_and_with_one(serve, enter):
    double = serve()
    catalog = enter(double, layout=Layout(replicas=3))
    assert isinstance(catalog, TellsOfItsEngine)
    alone = catalog.engine(None)
    assert (alone.version, alone.replicas) == (catalog.version(), None)
    assert alone.where in double.url or double.url.endswith(alone.where.rpartition("//")[2])
    catalog.create("docs", SPEC, FIELDS, {})
    told = catalog.engine("docs")
    assert (told.replicas, told.written, told.state) == (3, 2, "green")
    assert told.recent


def test_a_collection_that_is_not_there_is_no_engine_of_one(catalog):
    with pytest.raises(Fatal, match="nothing"):
        catalog.engine("nothing")
