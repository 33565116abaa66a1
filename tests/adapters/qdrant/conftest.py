"""The Qdrant adapter on doubles that do wrong what was ordered, over REST and over gRPC."""

import pytest
from doubles.qdrant_double import QdrantDouble
from doubles.qdrant_grpc_double import QdrantGrpcDouble
from index_world import FIELDS, SPEC
from qdrant_world import options

from adapters.qdrant.opening import open_server

DOUBLES = {"rest": QdrantDouble, "grpc": QdrantGrpcDouble}


@pytest.fixture(params=sorted(DOUBLES))
def kind(request):
    return request.param


@pytest.fixture
def serve(kind):
    """``serve(state, …)``: a double of one kind."""
    doubles = []

    def make(state=None, **more):
        doubles.append(DOUBLES[kind](state, **more))
        return doubles[-1]

    yield make
    for double in doubles:
        double.close()


@pytest.fixture
def enter():
    """``enter(double, …)``: the adapter's catalog of it."""
    catalogs = []

    def make(double, **more):
        catalogs.append(open_server(options(double.url, **more)))
        return catalogs[-1]

    yield make
    for catalog in catalogs:
        catalog.close()


@pytest.fixture
def double(serve):
    return serve()


@pytest.fixture
def catalog(double, enter):
    return enter(double)


@pytest.fixture
def index(catalog):
    catalog.create("docs", SPEC, FIELDS, {"n": 0})
    return catalog.open("docs")
