"""OpenAI's own client against the query service, over real sockets: it finds what it knows, errors too."""

import base64
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import openai
import pytest
from query_world import World, served

from adapters.memory.encoder import HashEncoder
from serving.keys import ApiKey, digest_of
from serving.limits import Limits
from stream.collection import collection_name

SECRET = "a-key-of-the-tests-alone"


class PromptingEncoder(HashEncoder):
    """Queries and passages have prompts of their own, as those of most retrieval models."""

    @property
    def contract(self):
        return replace(super().contract, query_prompt="query: ", passage_prompt="passage: ")

    def count_tokens(self, kind, texts):
        return super().count_tokens(kind, [self._prompted(kind, text) for text in texts])

    def encode(self, kind, texts):
        return super().encode(kind, [self._prompted(kind, text) for text in texts])

    def _prompted(self, kind, text):
        contract = self.contract
        return (contract.query_prompt if kind == "query" else contract.passage_prompt) + text


@pytest.fixture
def connect():
    """Serves, and gives an OpenAI client of that service; both end with the test."""
    with ExitStack() as opened:

        def _connect(service, api_key=SECRET, **headers):
            server, _ = opened.enter_context(served(service))
            client = openai.OpenAI(
                api_key=api_key,
                base_url=f"{server.url}/v1",
                max_retries=0,
                timeout=20,
                default_headers=headers,
                http_client=openai.DefaultHttpxClient(trust_env=False),
            )
            return opened.enter_context(client)

        yield _connect


@pytest.fixture
def world():
    return World()


def test_vectors_come_as_the_client_asks_by_default_and_name_contract_and_collection(world, connect):
    contract = world.build()
    client = connect(world.service())
    found = client.embeddings.create(model="docs", input="delete a topic")
    (expected,) = world.encoder.encode("query", ["delete a topic"])
    (embedding,) = found.data
    assert np.array_equal(np.asarray(embedding.embedding, dtype=np.float32), expected.values)
    assert (found.object, found.model, embedding.index) == ("list", "hash-128", 0)
    assert found.usage.prompt_tokens == found.usage.total_tokens == 5
    assert found.contract == contract.fingerprint
    assert found.collection == collection_name("docs", contract.fingerprint, 1)


def test_floats_and_base64_are_the_same_vector(world, connect):
    world.build()
    client = connect(world.service())

    def vector(form):
        reply = client.embeddings.with_raw_response.create(model="docs", input="plums", encoding_format=form)
        return reply.http_response.json()["data"][0]["embedding"], reply.headers

    floats, headers = vector("float")
    text, _ = vector("base64")
    assert np.array_equal(np.frombuffer(base64.b64decode(text), "<f4"), np.asarray(floats, dtype=np.float32))
    assert headers["x-embedding-contract"]
    assert headers["x-embedding-collection"].startswith("docs__")


def test_a_list_comes_back_in_its_order(world, connect):
    world.build()
    client = connect(world.service())
    texts = [f"word{number} and another" for number in range(50)]
    found = client.embeddings.create(model="docs", input=texts, user="somebody")
    expected = world.encoder.encode("query", texts)
    assert [one.index for one in found.data] == list(range(50))
    assert np.array_equal(
        np.asarray([one.embedding for one in found.data], dtype=np.float32), [one.values for one in expected]
    )
    assert found.usage.total_tokens == sum(world.encoder.count_tokens("query", texts))


def test_the_prompt_is_chosen_by_suffix_or_input_type_and_never_guessed(connect):
    encoder = PromptingEncoder(64)
    world = World(encoder)
    contract = world.build()
    client = connect(world.service())

    def vector(model, **extra):
        found = client.embeddings.create(model=model, input="plums", extra_body=extra)
        return found.data[0].embedding, found.input_type

    (query,), (passage,) = (encoder.encode(kind, ["plums"]) for kind in ("query", "passage"))
    for name in ("docs", "hash-64", contract.fingerprint):
        assert vector(f"{name}-query") == (query.values.tolist(), "query")
        assert vector(f"{name}-passage") == (passage.values.tolist(), "passage")
        assert vector(name, input_type="passage") == (passage.values.tolist(), "passage")
        with pytest.raises(openai.BadRequestError, match="Queries and passages have different prompts"):
            vector(name)
    with pytest.raises(openai.BadRequestError, match="says query and input_type says passage"):
        vector("docs-query", input_type="passage")


def test_the_models_are_the_names_of_the_live_contract(world, connect):
    contract = world.build()
    client = connect(world.service())
    listed = list(client.models.list())
    assert {one.id for one in listed} == {
        f"{name}{suffix}"
        for name in ("docs", "hash-128", contract.fingerprint)
        for suffix in ("", "-query", "-passage")
    }
    for one in listed:
        assert (one.owned_by, one.dimensions, one.max_tokens) == ("docs", 128, 512)
        assert (one.contract, one.collection[:6]) == (contract.fingerprint, "docs__")
        assert client.models.retrieve(one.id) == one
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("org/another")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


def test_a_model_whose_name_has_slashes_can_be_asked_for(connect):
    class NamedEncoder(HashEncoder):
        @property
        def contract(self):
            return replace(super().contract, model="org/model")

    encoder = NamedEncoder(16)
    world = World(encoder)
    world.build()
    client = connect(world.service())
    assert client.models.retrieve("org/model-query").input_type == "query"
    assert client.embeddings.create(model="org/model", input="plums").model == "org/model"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"input": ""}, "input is expected to be a text that is not empty."),
        ({"input": []}, "input is expected to be a text or a list of texts."),
        ({"input": ["a", ""]}, "input.1 is expected to be a text that is not empty."),
        ({"input": [1, 2]}, "input.0 is a token id, or a list of them; send the text itself."),
        ({"input": [[1], [2]]}, "input.0 is a token id, or a list of them; send the text itself."),
        ({"input": "x" * 2001}, "input has 2,001 characters; at most 2,000 are read."),
        ({"input": ["a", "word " * 350]}, "input.1 has 352 tokens and the model reads 300; shorten it."),
        (
            {"dimensions": 64},
            "dimensions is 64, and vectors of this contract have 128; a shorter vector is of another",
        ),
        ({"encoding_format": "int8"}, "encoding_format is expected to be float or base64."),
        ({"extra_body": {"input_type": "document"}}, "input_type is expected to be passage or query."),
        ({"extra_body": {"truncate": "END"}}, "'truncate' is not a known key; known are input"),
        ({"extra_body": {"dimension": 128}}, "'dimension' is not a known key; did you mean 'dimensions'."),
    ],
)
def test_what_cannot_be_answered_is_a_bad_request_of_one_sentence(connect, asked, sentence):
    world = World(HashEncoder(128, max_tokens=300))
    world.build()
    client = connect(world.service())
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(**{"model": "docs", "input": "plums", **asked})
    assert refused.value.type == "invalid_request_error"
    assert refused.value.body["message"].startswith(sentence)
    assert refused.value.response.headers["x-embedding-contract"]


def test_the_contracts_own_dimensions_may_be_asked_for(world, connect):
    world.build()
    found = connect(world.service()).embeddings.create(model="docs", input="plums", dimensions=128)
    assert len(found.data[0].embedding) == 128


def test_another_model_is_not_found_and_the_known_names_are_told(world, connect):
    contract = world.build()
    client = connect(world.service())
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="text-embedding-3-small", input="plums")
    assert missing.value.code == "model_not_found"
    assert missing.value.response.json()["known"] == ["hash-128", "docs", contract.fingerprint]


def test_another_contract_is_a_conflict_with_both_fingerprints_and_is_not_retried(world, connect):
    contract = world.build()
    client = connect(world.service(), **{"X-Embedding-Contract": "another"}).with_options(max_retries=2)
    with pytest.raises(openai.ConflictError) as conflict:
        client.embeddings.create(model="docs", input="plums")
    told = conflict.value.response.json()
    assert (told["requested"], told["contract"]) == ("another", contract.fingerprint)
    assert told["collection"] == collection_name("docs", contract.fingerprint, 1)
    assert 'requests_total{outcome="other_contract"} 1.0' in world.metrics.render().decode()


@pytest.mark.parametrize("wrong", ["another-key-that-nobody-has", SECRET[:-1], SECRET + "x"])
def test_an_unknown_key_is_an_authentication_error_and_is_not_repeated(world, connect, caplog, wrong):
    world.build()
    service = world.service(keys=(ApiKey("client", digest_of(SECRET)),))
    assert connect(service).models.list().data
    with pytest.raises(openai.AuthenticationError) as refused:
        connect(service, api_key=wrong).embeddings.create(model="docs", input="plums")
    assert refused.value.code == "invalid_api_key"
    assert refused.value.response.headers["www-authenticate"].startswith("Bearer")
    assert wrong not in refused.value.response.text
    assert wrong not in caplog.text
    assert "embedstream_keys_refused_total 1.0" in world.metrics.render().decode()


def test_too_many_texts_are_too_large(world, connect):
    world.build()
    client = connect(world.service(limits=Limits(max_texts=3)))
    assert len(client.embeddings.create(model="docs", input=["a"] * 3).data) == 3
    with pytest.raises(openai.APIStatusError) as refused:
        client.embeddings.create(model="docs", input=["a"] * 4)
    assert (refused.value.status_code, refused.value.code) == (413, "too_many_texts")


def test_an_index_that_is_not_there_is_a_server_error_with_when_to_come_back(world, connect):
    client = connect(world.service())
    with pytest.raises(openai.InternalServerError) as refused:
        client.embeddings.create(model="docs", input="plums")
    assert (refused.value.status_code, refused.value.response.headers["retry-after"]) == (503, "2")


def test_embeddings_are_counted_by_outcome_text_and_token(world, connect):
    world.build()
    client = connect(world.service())
    client.embeddings.create(model="docs", input=["plums", "wild honey"])
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="docs", input=[])
    page = world.metrics.render().decode()
    for line in (
        'embedstream_embedding_requests_total{outcome="found"} 1.0',
        'embedstream_embedding_requests_total{outcome="bad_request"} 1.0',
        "embedstream_embedding_texts_total 2.0",
        "embedstream_embedding_tokens_total 7.0",
    ):
        assert line in page
