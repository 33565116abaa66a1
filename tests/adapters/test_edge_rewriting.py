import shutil
import uuid

import numpy as np
import pytest

from adapters.edge import rewriting
from adapters.edge.catalog import EdgeCatalog
from schemas.identity import NAMESPACE, ChunkId, DocId, Version
from stream.errors import Misuse
from stream.filter import equals
from stream.points import DenseVector, Mark, Put, State
from stream.ports import VectorSpec

NAME = "docs__x__g1"
MANY = 200


def id_of(number):
    return ChunkId(str(uuid.uuid5(NAMESPACE, str(number))))


def put(number):
    payload = {
        "doc_id": f"docs/{number}",
        "version": 1,
        "state": "live",
        "text": f"secret{number}.",
        "section": f"part{number}.",
    }
    values = np.random.default_rng(number).standard_normal(8).astype(np.float32)
    return Put(id_of(number), Version(1), DenseVector(values), payload)


@pytest.fixture
def folder(tmp_path):
    catalog = EdgeCatalog(tmp_path)
    catalog.create(NAME, VectorSpec("v", 8), {"section": "keyword"}, {"a": 1})
    index = catalog.open(NAME)
    index.write([put(number) for number in range(MANY)])
    index.write([Mark(id_of(7), DocId("docs/7"), Version(2), State.REMOVED)])
    index.flush()
    catalog.close()
    return tmp_path


def files_with(folder, text):
    return [file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def points_of(catalog):
    return [
        (point.id, dict(point.payload), None if point.vector is None else point.vector.values.tolist())
        for point in catalog.open(NAME).scroll(with_vectors=True)
    ]


def test_what_was_overwritten_is_in_no_file_afterwards_and_every_point_is_what_it_was(folder):
    catalog = EdgeCatalog(folder)
    before = points_of(catalog)
    assert files_with(folder, "secret7.")
    catalog.rewrite(NAME)
    assert files_with(folder, "secret7.") == files_with(folder, "part7.") == []
    assert points_of(catalog) == before
    catalog.close()
    catalog = EdgeCatalog(folder)
    assert points_of(catalog) == before
    assert catalog.metadata(NAME) == {"a": 1}
    index = catalog.open(NAME)
    query = DenseVector(np.ones(8, dtype=np.float32))
    assert [hit.id for hit in index.search(query, 5, equals("section", "part9."))] == [id_of(9)]
    assert (index.count("live"), index.count("removed")) == (MANY - 1, 1)
    catalog.close()


def test_a_collection_is_written_to_as_before(folder):
    catalog = EdgeCatalog(folder)
    catalog.rewrite(NAME)
    index = catalog.open(NAME)
    index.write([put(MANY)])
    index.write([Mark(id_of(0), DocId("docs/0"), Version(0), State.REMOVED)])
    assert (index.count("live"), index.count()) == (MANY, MANY + 1)
    catalog.close()


def test_a_process_that_serves_does_not_write_anew(folder):
    catalog = EdgeCatalog(folder)
    catalog.serve()
    with pytest.raises(Misuse, match="while its process serves it"):
        catalog.rewrite(NAME)
    catalog.close()


@pytest.mark.parametrize("crash", ["while it is copied", "before the exchange", "between the renames", "behind them"])
def test_a_crash_at_any_place_leaves_the_collection_whole(folder, crash, tmp_path_factory):
    """The folders as each crash leaves them, made of the old and the new shard."""
    place = folder / "collections" / NAME
    kept = tmp_path_factory.mktemp("kept") / "old"
    shutil.copytree(place / "shard", kept)
    catalog = EdgeCatalog(folder)
    before = points_of(catalog)
    catalog.rewrite(NAME)
    catalog.close()
    new = rewriting.next_folder(place)
    match crash:
        case "while it is copied":
            shutil.rmtree(place / "shard")
            shutil.copytree(kept, place / "shard")
            new.mkdir()
            (new / "half").write_bytes(b"x")
        case "before the exchange":
            (place / "shard").rename(new)
            shutil.copytree(kept, place / "shard")
        case "between the renames":
            (place / "shard").rename(new)
            shutil.copytree(kept, place / ".unfinished-shard")
        case _:
            shutil.copytree(kept, place / ".unfinished-shard")
    catalog = EdgeCatalog(folder)
    assert points_of(catalog) == before
    catalog.close()
    assert sorted(each.name for each in place.iterdir()) == ["collection.json", "shard"]
