from dataclasses import replace

import numpy as np
import pytest
from embedding_world import SPEC, TroubledEncoder, as_revision, live_texts
from stream_world import CONTRACT, CUTTER, ENCODER, HeldClock, delete, revision

from adapters.memory.encoder import HashEncoder
from adapters.memory.index import MemoryCatalog
from consumers.copying import Copies, copies_from
from consumers.stages import ShrinkingEncoder, apply_batch, encode_batch, plan_batch
from stream.collection import new_record
from stream.errors import Fatal

OLD, NEW = "kb__old__g1", "kb__new__g1"


@pytest.fixture
def catalog():
    made = MemoryCatalog()
    for name in (OLD, NEW):
        made.create(name, SPEC, {}, new_record(CONTRACT, {}, ()).to_json())
    return made


def put_into(catalog, name, *events, copies=None):
    """What the encoder was asked for while the events were applied to the collection."""
    index, encoder, clock = catalog.open(name), TroubledEncoder(), HeldClock()
    batch = [as_revision(event, place) for place, event in enumerate(events)]
    planned = plan_batch(index, batch, CUTTER.embedded_title, clock, store_text=True, collection=name, copies=copies)
    encoded, refused = encode_batch(ShrinkingEncoder(encoder, lambda: None), planned)
    assert not refused
    apply_batch(index, encoded, clock, 10.0)
    return encoder.asked


def vectors(catalog, name):
    return {point.id: point.vector.values for point in catalog.open(name).scroll(with_vectors=True) if point.vector}


def test_a_chunk_of_equal_text_is_copied_and_only_the_rest_is_embedded(catalog):
    put_into(catalog, OLD, revision("docs/1", 1, "alpha", "beta"), revision("docs/2", 2, "alpha"))
    asked = put_into(
        catalog,
        NEW,
        revision("docs/1", 7, "alpha", "gamma", title=None),
        revision("docs/2", 8, "alpha"),
        copies=Copies(catalog, OLD),
    )
    assert asked == ["gamma"]
    assert live_texts(catalog.open(NEW)) == {"docs/1": ["alpha", "gamma"], "docs/2": ["alpha"]}
    wanted = ENCODER.encode("passage", ["alpha", "gamma"])
    made = list(vectors(catalog, NEW).values())
    for vector in wanted:
        assert any(np.allclose(vector.values, other, atol=1e-6) for other in made)


def test_a_copy_carries_the_payload_of_the_revision_not_of_the_older_collection(catalog):
    put_into(catalog, OLD, revision("docs/1", 1, "alpha", fields={"colour": "red"}))
    put_into(catalog, NEW, revision("docs/1", 9, "alpha", fields={"colour": "blue"}), copies=Copies(catalog, OLD))
    (point,) = catalog.open(NEW).scroll()
    assert (point.payload["version"], point.payload["colour"]) == (9, "blue")


def test_another_title_is_another_text(catalog):
    put_into(catalog, OLD, revision("docs/1", 1, "alpha", title="one"))
    asked = put_into(catalog, NEW, revision("docs/1", 1, "alpha", title="two"), copies=Copies(catalog, OLD))
    assert asked == ["two\n\nalpha"]


def test_what_was_removed_or_deleted_there_is_embedded(catalog):
    put_into(catalog, OLD, revision("docs/1", 1, "alpha", "beta"), revision("docs/2", 2, "gamma"))
    put_into(catalog, OLD, revision("docs/1", 3, "beta"), delete("docs/2", 4))
    events = revision("docs/1", 5, "alpha", "beta"), revision("docs/2", 6, "gamma")
    assert put_into(catalog, NEW, *events, copies=Copies(catalog, OLD)) == ["alpha", "gamma"]


def test_a_recomputation_copies_nothing(catalog):
    put_into(catalog, OLD, revision("docs/1", 1, "alpha"))
    event = revision("docs/1", 1, "alpha", recompute=NEW)
    assert put_into(catalog, NEW, event, copies=Copies(catalog, OLD)) == ["alpha"]


def test_once_the_older_collection_is_gone_everything_is_embedded(catalog):
    class Gone(MemoryCatalog):
        """An engine whose open indexes fail when their collection is dropped."""

        def open(self, name):
            catalog_of, index = self, super().open(name)

            class Index:
                def points(self, ids, *, with_vectors=False):
                    if name not in catalog_of.collections():
                        raise Fatal("This index was closed; open the catalog again.")
                    return index.points(ids, with_vectors=with_vectors)

            return Index()

    put_into(catalog, OLD, revision("docs/1", 1, "alpha"))
    seen = Gone()
    seen._shelf = catalog._shelf
    copies = Copies(seen, OLD)
    catalog.drop(OLD)
    assert put_into(catalog, NEW, revision("docs/1", 2, "alpha"), copies=copies) == ["alpha"]
    assert put_into(catalog, NEW, revision("docs/2", 3, "alpha"), copies=copies) == ["alpha"]


def test_a_failure_of_a_collection_that_is_there_is_raised(catalog):
    class Broken(MemoryCatalog):
        def open(self, name):
            class Index:
                def points(self, ids, *, with_vectors=False):
                    raise Fatal("The index engine could not read its files.")

            return Index()

    broken = Broken()
    broken._shelf = catalog._shelf
    with pytest.raises(Fatal, match="could not read"):
        put_into(catalog, NEW, revision("docs/1", 2, "alpha"), copies=Copies(broken, OLD))


def test_only_a_collection_of_the_same_encoding_is_copied_from(catalog):
    assert copies_from(catalog, OLD, ENCODER.contract).collection == OLD
    assert copies_from(catalog, OLD, HashEncoder(16).contract) is None
    assert copies_from(catalog, OLD, replace(ENCODER.contract, query_prompt="query: ")) is None
    assert copies_from(catalog, "kb__gone__g1", ENCODER.contract) is None
    assert copies_from(catalog, None, ENCODER.contract) is None
