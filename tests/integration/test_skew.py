"""The skew that no check of dimensions can see: two encoders of one width, and everything else that decides a vector.

Each is refused wherever one side could meet the other: the embedder's start, the query service's start, the switch of
the name under a running service, a client that pins a contract, and a client that asks Qdrant itself.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from models import build_tiny_model
from qdrant_world import local_mode

from adapters import tokenizer as tokenizers
from adapters.memory.index import MemoryCatalog
from adapters.metrics import Metrics
from adapters.model_files import resolve
from adapters.sentence_encoder import SentenceEncoder
from consumers.opening import open_for_writing
from serving.api import QueryService
from serving.handle import LiveIndex
from serving.server import serve_queries
from stream import probes
from stream.collection import collection_name, new_record
from stream.contract import ChunkingContract, Contract, TextMapping
from stream.errors import Fatal
from stream.ports import VectorSpec

WIDTH = 384
"""That of both packaged models of this width; the other network here is one of random weights."""
MAPPING = TextMapping("docs", "title", ("body",))


def lower_cased_no_more(folder: Path) -> None:
    """The tokenizer alone is another one: the same vocabulary, and capitals count."""
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["normalizer"]["lowercase"] = not document["normalizer"]["lowercase"]
    file.write_text(json.dumps(document), encoding="utf-8")
    config = folder / "tokenizer_config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    told["do_lower_case"] = document["normalizer"]["lowercase"]
    config.write_text(json.dumps(told), encoding="utf-8")


def cut_on_the_left(folder: Path) -> None:
    config = folder / "tokenizer_config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    told["truncation_side"] = "left"
    config.write_text(json.dumps(told), encoding="utf-8")


@dataclass(frozen=True)
class Skew:
    """One thing that is otherwise, and the field that a refusal names."""

    field: str
    made: dict
    changed: Callable[[Path], None] | None = None
    chunk_tokens: int = 200


SKEWS = {
    "another network of the same width": Skew("encoding.weights", {"seed": 1}),
    "a changed tokenizer file": Skew("encoding.tokenizer", {}, lower_cased_no_more),
    "pooling": Skew("encoding.pooling", {"pooling": "cls"}),
    "the prompt of queries": Skew("encoding.query_prompt", {"prompts": {"query": "ask: ", "document": ""}}),
    "the prompt of passages": Skew("encoding.passage_prompt", {"prompts": {"query": "", "document": "tell: "}}),
    "the longest text": Skew("encoding.max_tokens", {"max_seq_length": 250}),
    "the side that is cut": Skew("encoding.truncation_side", {}, cut_on_the_left),
    "normalization": Skew("encoding.normalize", {"normalize": False}),
    "the size of chunks": Skew("chunking.max_tokens", {}, None, 180),
}


@dataclass(frozen=True)
class Side:
    """An encoder and the contract that it is used under."""

    encoder: SentenceEncoder
    contract: Contract

    @property
    def collection(self):
        return collection_name("docs", self.contract.fingerprint, 1)


def side(folder: Path, skew: Skew | None = None) -> Side:
    made = {} if skew is None else skew.made
    build_tiny_model(folder, dimensions=WIDTH, **made)
    if skew is not None and skew.changed is not None:
        skew.changed(folder)
    files = resolve(f"path:{folder}")
    encoder = SentenceEncoder.load(files, device="cpu", number_format="float32")
    tokens = 200 if skew is None else skew.chunk_tokens
    chunking = ChunkingContract("anchored", 48, tokens, 0, 16, tokenizers.load(files.tokenizer_folder).digest)
    return Side(encoder, Contract(chunking, encoder.contract, (MAPPING,)))


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return side(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module", params=SKEWS.values(), ids=SKEWS)
def theirs(request, tmp_path_factory):
    return request.param, side(tmp_path_factory.mktemp("theirs"), request.param)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return side(tmp_path_factory.mktemp("other"), SKEWS["another network of the same width"])


def written(catalog, one):
    """The collection as this side's embedder makes it."""
    return open_for_writing(catalog, "docs", 1, one.contract, {}, {}, one.encoder)


def test_no_dimension_tells_them_apart(ours, theirs):
    _, other = theirs
    assert other.contract.encoding.dimensions == ours.contract.encoding.dimensions == WIDTH
    assert other.contract.fingerprint != ours.contract.fingerprint


def test_an_embedder_is_refused_and_makes_nothing(ours, theirs):
    skew, other = theirs
    catalog = MemoryCatalog()
    written(catalog, ours)
    with pytest.raises(Fatal, match=rf"{skew.field}: here .*, in the collection "):
        written(catalog, other)
    assert catalog.collections() == [ours.collection]
    assert catalog.aliases() == {"docs": ours.collection}


def test_a_query_service_does_not_start_on_the_others_collection(ours, theirs):
    skew, other = theirs
    catalog = MemoryCatalog()
    written(catalog, ours)
    service = QueryService(LiveIndex(catalog, "docs", [other.encoder]), Metrics())
    if skew.field.startswith("chunking"):
        # A query is not cut: both encode it alike.
        serve_queries(service, port=0).close()
        return
    with pytest.raises(Fatal, match=rf"{skew.field}: here "):
        serve_queries(service, port=0)


def test_a_running_service_does_not_follow_the_name_there_and_says_why(ours, theirs):
    skew, other = theirs
    cut_otherwise = skew.field.startswith("chunking")
    catalog = MemoryCatalog()
    written(catalog, ours)
    live = LiveIndex(catalog, "docs", [ours.encoder])
    with (
        serve_queries(QueryService(live, Metrics()), port=0) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        assert client.post("/v1/search", json={"query": "plums"}).status_code == 200
        spec = VectorSpec(other.contract.encoding.vector_name, WIDTH)
        record = new_record(other.contract, {}, probes.take(other.encoder))
        catalog.create(other.collection, spec, {}, record.to_json())
        catalog.switch_alias("docs", ours.collection, other.collection)
        answer = client.post("/v1/search", json={"query": "plums"})
        if cut_otherwise:
            assert answer.json()["contract"] == other.contract.fingerprint
            return
        assert answer.status_code == 503
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert f"{skew.field}: here " in ready.json()["why"]
        catalog.switch_alias("docs", other.collection, ours.collection)
        assert client.post("/v1/search", json={"query": "plums"}).status_code == 200


def test_a_client_that_means_the_other_contract_gets_both(ours, theirs):
    _, other = theirs
    catalog = MemoryCatalog()
    written(catalog, ours)
    with serve_queries(QueryService(LiveIndex(catalog, "docs", [ours.encoder]), Metrics()), port=0) as server:
        answer = httpx.post(
            f"{server.url}/v1/search",
            json={"query": "plums"},
            headers={"X-Embedding-Contract": other.contract.fingerprint},
            trust_env=False,
            timeout=30,
        )
    assert answer.status_code == 409
    told = answer.json()
    assert (told["requested"], told["contract"]) == (other.contract.fingerprint, ours.contract.fingerprint)


def test_an_encoder_that_only_claims_the_contract_is_told_by_the_probes(ours, other):

    class Impostor:
        contract = ours.contract.encoding

        def __getattr__(self, name):
            return getattr(other.encoder, name)

    catalog = MemoryCatalog()
    written(catalog, ours)
    with pytest.raises(Fatal, match="the worst probe has a cosine of"):
        LiveIndex(catalog, "docs", [Impostor()]).current()
    with pytest.raises(Fatal, match="the worst probe has a cosine of"):
        open_for_writing(catalog, "docs", 1, ours.contract, {}, {}, Impostor())


def test_a_client_that_asks_qdrant_itself_by_the_old_vectors_name_gets_an_error_after_the_switch(ours, other):
    opening = local_mode()
    catalog = next(opening)
    written(catalog, ours)
    record = replace(new_record(other.contract, {}, probes.take(other.encoder)), replaces=ours.collection)
    catalog.create(other.collection, VectorSpec(other.contract.encoding.vector_name, WIDTH), {}, record.to_json())
    (vector,) = ours.encoder.encode("query", ["plums"])
    client = catalog._connection._client

    def asked(name):
        return client.query_points("docs", query=vector.values.tolist(), using=name, limit=3)

    asked(ours.contract.encoding.vector_name)
    assert catalog.switch_alias("docs", ours.collection, other.collection)
    with pytest.raises(Exception, match=ours.contract.encoding.vector_name):
        asked(ours.contract.encoding.vector_name)
    asked(other.contract.encoding.vector_name)
    opening.close()
