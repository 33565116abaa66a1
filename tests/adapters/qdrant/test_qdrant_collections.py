"""How collections are made and used on a server: conditions, indexes, names, replicas, and the end."""

from contextlib import contextmanager

import pytest
from doubles.qdrant_state import ServerState
from index_world import EAST, FIELDS, NORTH, SPEC, chunk, found, mark, one, payload, put, repaint, touch
from qdrant_client import models
from qdrant_world import SMALL, options

from adapters.qdrant.catalog import QdrantCatalog
from adapters.qdrant.connection import connect
from adapters.qdrant.options import Layout
from stream.errors import Fatal, Outage
from stream.filter import Between, Filter
from stream.ports import VectorSpec


def test_writes_of_one_id_never_share_a_request(double, index):
    """The double checks conditions against what was stored before a batch, as a server does."""
    index.write(
        [
            put("a", 1),
            touch(["a"], 1, source_ts_ms=1),
            repaint("a", 2, section="painted"),
            mark("a", 2),
            put("a", 3, NORTH),
            put("a", 2, section="late"),
        ]
    )
    assert one(index, "a").payload == payload(3)
    assert found(index, NORTH) == {chunk("a")}


def test_the_double_does_what_a_server_does_with_two_operations_on_one_point():
    """FIELD-NOTES 5: both see what was stored before, and the last one stands."""
    state = ServerState()
    vectors = {"v": models.VectorParams(size=2, distance=models.Distance.COSINE)}
    state.create("docs", models.CreateCollection(vectors=vectors))
    older = models.Filter(must=[models.FieldCondition(key="version", range=models.Range(lte=1))])

    def upsert(version, condition=None):
        point = models.PointStruct(id=1, vector={"v": [1.0, 0.0]}, payload={"version": version})
        return models.UpsertOperation(upsert=models.PointsList(points=[point], update_filter=condition))

    state.batch("docs", [upsert(1)])
    state.batch("docs", [upsert(9), upsert(1, older)])
    (stored,) = state.retrieve("docs", models.PointRequest(ids=[1]))
    assert stored.payload == {"version": 1}


def test_payload_indexes_are_made_before_the_first_write_and_version_has_none(double, catalog, index):
    schema = double.state.described("docs").payload_schema
    assert {key: found.data_type.value for key, found in schema.items()} == {
        "doc_id": "keyword",
        "tenant": "keyword",
        "state": "keyword",
        "section": "keyword",
        "pages": "integer",
        "price": "float",
        "draft": "bool",
        "updated_at": "datetime",
        '"a.dotted name"': "keyword",
    }
    assert schema["tenant"].params.is_tenant
    names = double.faults.seen
    first_write = next((n for n, name in enumerate(names) if "batch" in name or "UpdateBatch" in name), len(names))
    assert not [name for name in names[first_write:] if name.endswith(("/index", "CreateFieldIndex"))]
    del catalog, index


def test_indexes_that_a_dead_creator_did_not_come_to_are_made_by_whoever_opens(double, enter):
    first, second = enter(double), enter(double)
    double.faults.order("answer", "index$|CreateFieldIndex", status=503)
    with pytest.raises(Outage):
        first.create("docs", SPEC, {"pages": "integer"}, {})
    assert double.state.described("docs").payload_schema == {}
    second.open("docs")
    assert set(double.state.described("docs").payload_schema) == {"doc_id", "tenant", "state", "pages"}


def test_a_field_that_another_process_declared_is_found(double, enter):
    reader, writer = enter(double), enter(double)
    writer.create("docs", SPEC, {}, {})
    opened = reader.open("docs")
    writer.ensure_fields("docs", {"price": "float"})
    writer.open("docs").write([put("a", 1, price=3.0)])

    assert [hit.id for hit in opened.search(EAST, 3, Filter(must=(Between("price", gte=3, lte=3),)))] == [chunk("a")]


def test_a_collection_that_another_process_dropped_and_made_anew_is_opened_anew(double, enter):
    reader, owner = enter(double), enter(double)
    owner.create("docs", SPEC, {}, {})
    before = reader.open("docs")
    owner.drop("docs")
    assert reader.collections() == []
    owner.create("docs", VectorSpec("other-model", 3), {}, {})
    after = reader.open("docs")
    assert after is not before
    assert reader.open("docs") is after
    assert after.vector == VectorSpec("other-model", 3)


def test_a_strict_server_is_told_that_versions_are_compared_without_an_index(serve, enter):
    double = serve(ServerState(strict=True))
    catalog = enter(double)
    catalog.create("docs", SPEC, FIELDS, {})
    catalog.open("docs").write([put("a", 1)])
    double.state._settings["docs"]["strict"].unindexed_filtering_update = False
    with pytest.raises(Fatal, match="strict mode"):
        catalog.open("docs").write([put("a", 2)])
    with pytest.raises(Fatal, match="unindexed_filtering_update"):
        enter(double).open("docs")


def test_a_vector_is_called_what_a_server_takes_as_a_name(catalog, double):
    spec = VectorSpec(f"{'long' * 60}/model:x-abcdef0123", 2)
    catalog.create("docs", spec, {}, {})
    (name,) = double.state.described("docs").config.params.vectors
    assert len(name) == 200
    assert name.endswith("_model_x-abcdef0123")


def test_with_replicas_writes_are_strong_and_reads_ask_the_majority(serve, enter):
    double = serve()
    catalog = enter(double, layout=Layout(replicas=3, shards=2))
    catalog.create("docs", SPEC, FIELDS, {"k": 1})
    params = double.state.described("docs").config.params
    assert (params.replication_factor, params.write_consistency_factor, params.shard_number) == (3, 2, 2)
    index = catalog.open("docs")
    index.write([put("a", 1)])
    assert index._manner.reads == models.ReadConsistencyType.MAJORITY
    assert index._manner.writes == models.WriteOrdering.STRONG
    assert found(index) == {chunk("a")}
    assert catalog.replace_metadata("docs", {"k": 1}, {"k": 2})


def test_replicas_of_which_a_minority_has_to_take_a_write_are_refused(serve, enter):
    double = serve()
    catalog = enter(double)
    catalog.create("docs", SPEC, FIELDS, {})
    double.state._settings["docs"]["params"].update(replication_factor=3, write_consistency_factor=1)
    with pytest.raises(Fatal, match=r"3 replicas.*set its write_consistency_factor to 2"):
        catalog.open("docs")


def test_qdrants_own_tables_reach_the_collection(serve, enter):
    double = serve()
    layout = Layout(
        payload_on_disk=True,
        vectors_on_disk=True,
        hnsw={"m": 8, "payload_m": 16},
        quantization={"scalar": {"type": "int8", "always_ram": True}},
    )
    catalog = enter(double, layout=layout)
    catalog.create("docs", SPEC, FIELDS, {})
    config = double.state.described("docs").config
    assert config.hnsw_config.m == 8
    assert config.quantization_config.scalar.always_ram
    assert config.params.on_disk_payload
    assert config.params.vectors["mini-abc"].on_disk
    assert catalog.open("docs")._manner.search.quantization.rescore


def test_a_closed_catalog_says_so(double, enter):
    catalog = enter(double)
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    catalog.close()
    for call in (
        catalog.collections,
        index.count,
        lambda: index.write([put(n, 1) for n in range(200)]),
    ):
        with pytest.raises(Fatal, match="was closed"):
            call()


def test_the_hook_is_called_before_every_outside_effect(double):
    seen = []
    with closing(QdrantCatalog(connect(options(double.url, pace=SMALL)), step=seen.append)) as catalog:
        catalog.create("docs", SPEC, FIELDS, {})
        catalog.ensure_fields("docs", {"more": "keyword"})
        catalog.replace_metadata("docs", {}, {"a": 1})
        catalog.switch_alias("live", None, "docs")
        index = catalog.open("docs")
        index.write([put("a", 1), mark("a", 2)])
        index.flush()
    assert seen == [
        *("catalog.create", "catalog.ensure_fields", "catalog.replace_metadata", "catalog.switch_alias"),
        *("index.write", "index.write", "index.flush"),
    ]


@contextmanager
def closing(catalog):
    try:
        yield catalog
    finally:
        catalog.close()
