"""The query path over HTTP: a memory index, an encoder without a model, real sockets on loopback."""

import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest
from query_world import NOW_MS, TEXTS, AwayCatalog, World, served

from adapters.memory.encoder import HashEncoder
from schemas.identity import DocId, Version, chunk_ids
from serving.limits import Limits
from serving.search import Question, search
from serving.server import serve_queries
from stream import probes
from stream.collection import collection_name
from stream.errors import Fatal, Misuse
from stream.points import Mark, State


@pytest.fixture
def world():
    return World()


@pytest.fixture
def serve():
    """Serves on a free port and gives a client; both end with the test."""
    with ExitStack() as opened:
        yield lambda service: opened.enter_context(served(service))[1]


def test_a_search_gives_passages_with_their_score_version_and_age(world, serve):
    contract = world.build()
    reply = serve(world.service()).post("/v1/search", json={"query": "how do I delete a topic?", "limit": 2})
    assert reply.status_code == 200
    answer = reply.json()
    collection = collection_name("docs", contract.fingerprint, 1)
    assert (answer["index"], answer["collection"], answer["contract"]) == ("docs", collection, contract.fingerprint)
    assert reply.headers["x-embedding-contract"] == contract.fingerprint
    assert answer["took_ms"] > 0
    first, second = answer["hits"]
    assert first["doc_id"] == "docs/1"
    assert first["text"] == TEXTS["docs/1"][1]
    assert first["title"] == "Topics"
    assert first["span"] == [0, len(first["text"])]
    assert first["version"] == 1
    assert first["age_ms"] == 1500
    assert first["fields"] == {"section": "operations", "year": 2021}
    assert first["score"] > second["score"]


def test_filters_and_tenant_hold_of_every_hit(world, serve):
    world.build()
    client = serve(world.service())

    def documents(**body):
        hits = client.post("/v1/search", json={"query": "delete a topic", **body}).json()["hits"]
        return [hit["doc_id"] for hit in hits]

    assert len(documents()) == 3
    operations = {"key": "section", "match": {"value": "operations"}}
    assert set(documents(filter={"must": operations})) == {"docs/1", "docs/3"}
    assert documents(filter={"must": [operations, {"key": "year", "range": {"gt": 2022}}]}) == ["docs/3"]
    assert documents(filter={"must_not": [operations]}, tenant="other") == []
    assert set(documents(tenant="acme")) == {"docs/1", "docs/2"}
    assert documents(tenant="nobody") == []


def test_several_queries_are_answered_in_their_order(world, serve):
    world.build()
    client = serve(world.service())
    texts = [TEXTS[document][1] for document in ("docs/2", "docs/1", "docs/2")]
    answer = client.post("/v1/search", json={"queries": texts, "limit": 1}).json()
    assert "hits" not in answer
    assert [[hit["doc_id"] for hit in result["hits"]] for result in answer["results"]] == [
        ["docs/2"],
        ["docs/1"],
        ["docs/2"],
    ]
    one = client.post("/v1/search", json={"query": texts[0], "limit": 1}).json()
    assert one["hits"] == answer["results"][0]["hits"]


def test_a_score_threshold_leaves_out_what_is_further_away(world, serve):
    world.build()
    client = serve(world.service())
    body = {"query": TEXTS["docs/2"][1]}
    scores = [hit["score"] for hit in client.post("/v1/search", json=body).json()["hits"]]
    assert scores[0] == pytest.approx(1.0)
    hits = client.post("/v1/search", json={**body, "score_threshold": 0.99}).json()["hits"]
    assert [hit["doc_id"] for hit in hits] == ["docs/2"]


def test_hits_are_grouped_by_document(world, serve):
    world.build()
    body = {"query": "delete a topic", "group_by": "document", "limit": 2}
    answer = serve(world.service()).post("/v1/search", json=body).json()
    assert "hits" not in answer
    assert answer["groups"][0]["doc_id"] == "docs/1"
    assert [[hit["doc_id"] for hit in group["hits"]] for group in answer["groups"]] == [
        [group["doc_id"]] for group in answer["groups"]
    ]


def test_a_search_waits_for_the_version_that_it_names(world, serve):
    world.build()
    client = serve(world.service())
    body = {"query": "topic", "wait_for": {"doc_id": "docs/1", "min_version": 1}}
    assert client.post("/v1/search", json=body).status_code == 200
    body["wait_for"] = {"doc_id": "docs/1", "min_version": 2, "timeout_ms": 1}
    reply = client.post("/v1/search", json=body)
    assert reply.status_code == 504
    assert reply.json()["reached"] == 1
    assert reply.json()["error"]["message"] == "Document docs/1 is at version 1; version 2 is not wholly applied yet."
    body["wait_for"] = {"source": "docs", "partition": 0, "offset": 1}
    assert "does not see the bus" in client.post("/v1/search", json=body).json()["error"]["message"]


class AppliedUpTo:
    """Every partition of every source, up to one offset."""

    def __init__(self, offset):
        self.offset = offset

    def look(self, change):
        return lambda: change.offset <= self.offset


def test_an_offset_is_waited_for_at_whoever_feeds_the_collection_that_is_searched(world, serve):
    """Two pairs feed the index while it is upgraded, and one of them lags behind."""
    old = world.build()
    new_encoder = HashEncoder(128, salt="new")
    new = world.build(new_encoder, live=False)
    names = [collection_name("docs", made.fingerprint, 1) for made in (old, new)]
    applied = dict(zip(names, (AppliedUpTo(9), AppliedUpTo(5)), strict=True))
    client = serve(world.service(world.encoder, new_encoder, applied=applied))

    def asked(offset):
        wait_for = {"source": "docs", "partition": 0, "offset": offset, "timeout_ms": 0}
        return client.post("/v1/search", json={"query": "topic", "wait_for": wait_for})

    assert asked(9).status_code == 200
    world.catalog.switch_alias("docs", *names)
    assert asked(5).status_code == 200
    refused = asked(9)
    assert (refused.status_code, refused.json()["error"]["code"]) == (504, "not_applied")
    assert refused.headers["x-embedding-collection"] == names[1]


def test_a_pinned_contract_that_differs_is_refused_with_both(world, serve):
    contract = world.build()
    client = serve(world.service())
    body = {"query": "topic"}
    right = client.post("/v1/search", json=body, headers={"X-Embedding-Contract": contract.fingerprint})
    assert right.status_code == 200
    wrong = client.post("/v1/search", json=body, headers={"X-Embedding-Contract": "another"})
    assert wrong.status_code == 409
    assert wrong.headers["x-embedding-contract"] == contract.fingerprint
    assert (wrong.json()["requested"], wrong.json()["contract"]) == ("another", contract.fingerprint)
    assert "another" in wrong.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not json", "The body is not JSON"),
        (b'{"query": "x", "limit": 99}', "limit is 99"),
        (
            b'{"query": "x", "filter": {"section": "a"}}',
            'say {"must": [{"key": "section", "match": {"value": "a"}}]}.',
        ),
        (b'{"query": "' + b"word " * 350 + b'"}', "The query has 352 tokens and the model reads 300; shorten it."),
    ],
)
def test_bad_input_is_an_error_of_one_sentence(serve, body, words):
    world = World(HashEncoder(16, max_tokens=300))
    world.build()
    reply = serve(world.service()).post("/v1/search", content=body)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/json"
    assert words in reply.json()["error"]["message"]
    assert "Traceback" not in reply.text


def test_a_body_too_large_is_refused_before_it_is_read(world, serve):
    world.build()
    client = serve(world.service(limits=Limits(max_body_bytes=100_000)))
    assert client.post("/v1/search", content=b"x" * 200_000).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/v1/search", content=endless()).status_code == 413
    assert client.post("/v1/search", json={"query": "topic"}).status_code == 200


def test_an_unknown_place_and_method_are_told_in_the_same_shape(world, serve):
    world.build()
    client = serve(world.service())
    assert client.get("/v2").json() == {
        "error": {"message": "Not Found.", "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    }
    other = client.get("/v1/search")
    assert (other.status_code, other.headers["allow"]) == (405, "POST")
    assert other.json()["error"]["code"] == "method_not_allowed"
    assert client.post("/v1/search/", json={"query": "topic"}).status_code == 404


def test_an_index_that_does_not_exist_yet_is_waited_for(world, serve):
    client = serve(world.service())
    reply = client.post("/v1/search", json={"query": "topic"})
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "2"
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    assert (
        client.get("/v1/index").json()["error"]["message"] == "Index docs does not exist yet: the embedder makes it."
    )
    world.build()
    assert client.post("/v1/search", json={"query": "topic"}).status_code == 200
    assert client.get("/readyz").json()["ready"] is True


def test_an_index_that_is_away_is_unavailable_for_as_long_as_it_asks(world, serve):
    client = serve(world.service(catalog=AwayCatalog()))
    reply = client.post("/v1/search", json={"query": "topic"})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "7")
    assert client.get("/readyz").json() == {
        "ready": False,
        "why": "The index does not answer.",
        "collections": [],
    }


def test_a_service_with_another_model_of_the_same_width_does_not_start(world):
    world.build()
    with pytest.raises(Fatal, match=r"encoding\.weights: here '\w+', in the collection '\w+'"):
        serve_queries(world.service(HashEncoder(128, salt="other")), port=0)


def test_an_encoder_that_only_claims_the_contract_does_not_start(world):
    wrong = probes.take(HashEncoder(128, salt="another number format"))
    world.build(probes=wrong)
    with pytest.raises(Fatal, match="claims the contract of collection docs__"):
        serve_queries(world.service(), port=0)


def test_a_switch_of_the_alias_is_followed_and_its_contract_enforced(world, serve):
    old = world.build()
    new_encoder = HashEncoder(128, salt="new")
    new = world.build(new_encoder, live=False)
    both, one = serve(world.service(world.encoder, new_encoder)), serve(world.service())
    assert both.post("/v1/search", json={"query": "topic"}).json()["contract"] == old.fingerprint
    world.catalog.switch_alias("docs", *(collection_name("docs", made.fingerprint, 1) for made in (old, new)))
    assert both.post("/v1/search", json={"query": "topic"}).json()["contract"] == new.fingerprint
    refused = one.post("/v1/search", json={"query": "topic"})
    assert refused.status_code == 503
    assert "hits" not in refused.json()
    assert "encoding.weights" in one.get("/readyz").json()["why"]


def test_a_request_keeps_the_collection_that_its_query_was_encoded_for(world):
    world.build()
    handle = world.service().live.current()
    world.build(generation=2)
    assert search(handle, Question(("topic",)), NOW_MS).collection == handle.collection


def test_a_question_longer_than_the_model_is_never_cut(world):
    world.build()
    handle = world.service().live.current()
    with pytest.raises(Misuse, match="The query has 602 tokens and the model reads 512"):
        search(handle, Question(("word " * 600,)), NOW_MS)
    with pytest.raises(Misuse, match=r"queries\[1\] has 602 tokens"):
        search(handle, Question(("word", "word " * 600), several=True), NOW_MS)


def test_the_page_and_its_counters_are_served(world, serve):
    contract = world.build()
    handle = world.service().live.current()
    (mark,) = chunk_ids(DocId("docs/9"), ["gone"])
    handle.index.write([Mark(mark, DocId("docs/9"), Version(4), State.REMOVED)])
    world.metrics.searchable(NOW_MS - 40)
    client = serve(world.service())
    page = client.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page.text
    assert "innerHTML" not in page.text
    assert "default-src 'none'; script-src 'sha256-" in page.headers["content-security-policy"]
    told = client.get("/v1/index").json()
    assert told["points"] == {"live": 3, "removed": 1, "deleted": 0}
    assert told["contract"] == contract.fingerprint
    assert told["freshness"]["p50_ms"] == 40
    assert told["worst_probe"] == pytest.approx(1.0, abs=1e-5)
    assert (told["lag"], told["throughput"], told["upgrade"]) == (None, None, None), "nobody looks at the stream"


def test_searches_are_counted_by_outcome(world, serve):
    world.build()
    client = serve(world.service())
    client.post("/v1/search", json={"query": "topic"})
    client.post("/v1/search", json={"query": ""})
    client.post("/v1/search", json={"query": "topic"}, headers={"X-Embedding-Contract": "x"})
    page = client.get("/metrics").text
    for outcome in ("found", "bad_request", "other_contract"):
        assert f'embedstream_searches_total{{outcome="{outcome}"}} 1.0' in page


def test_searches_at_once_all_get_their_own_answer(world, serve):
    world.build()
    client = serve(world.service())
    answers: dict[str, str] = {}

    def ask(document: str) -> None:
        for _ in range(10):
            hits = client.post("/v1/search", json={"query": TEXTS[document][1]}).json()["hits"]
            answers[document] = hits[0]["doc_id"]

    threads = [threading.Thread(target=ask, args=[document]) for document in TEXTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {document: document for document in TEXTS}


def test_a_failure_of_the_services_own_is_told_without_a_traceback(world, serve, caplog):
    world.build()

    class BrokenClock:
        def __call__(self) -> int:
            raise RuntimeError("secret detail")

    reply = serve(replace(world.service(), now_ms=BrokenClock())).post("/v1/search", json={"query": "topic"})
    assert reply.status_code == 500
    assert (
        reply.json()["error"]["message"] == "The request failed for a reason of the service's own; its log says more."
    )
    assert "secret detail" in caplog.text
