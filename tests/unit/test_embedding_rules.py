"""Bodies of ``POST /v1/embeddings``: read, or refused with one sentence, exactly where their schema says so."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.embeddings import KEYS, EmbeddingRequest, EmbeddingRules
from serving.limits import Limits
from serving.message_schemas import components
from serving.refusals import Refused
from serving.request import RequestRules

RULES = EmbeddingRules(max_texts=3, max_text_chars=10)
SCHEMA = jsonschema.Draft202012Validator(
    components(RequestRules(max_text_chars=10), Limits(max_texts=3), None)["EmbeddingsRequest"]
)


def test_a_model_and_a_text_are_enough():
    assert RULES.read(b'{"model": "docs", "input": "a"}') == EmbeddingRequest("docs", ("a",))


def test_everything_may_be_said_and_null_says_nothing():
    body = {"model": "m", "input": ["a", "b"], "input_type": "query", "encoding_format": "base64", "dimensions": 8}
    full = EmbeddingRequest("m", ("a", "b"), "query", True, 8)
    assert RULES.read(json.dumps({**body, "user": "me"}).encode()) == full
    assert RULES.read(json.dumps({**body, "dimensions": 8.0}).encode()) == full
    empty = dict.fromkeys(("input_type", "encoding_format", "dimensions", "user"))
    assert RULES.read(json.dumps({"model": "m", "input": "a", **empty}).encode()) == EmbeddingRequest("m", ("a",))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b'{"model": "\\ud800", "input": "a"}']
)
def test_what_is_no_json_object_is_refused(body):
    with pytest.raises(Refused) as refused:
        RULES.read(body)
    assert refused.value.refusal.status == 400
    assert str(refused.value).startswith("The body is not")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["query", "passage", "float", "base64", "", "x" * 10, "x" * 11, 2.0, 2.5]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*KEYS, "truncate"]), VALUES))
def test_a_body_is_read_exactly_where_its_schema_allows_it(body):
    allowed = SCHEMA.is_valid(body)
    try:
        request = RULES.read(json.dumps(body).encode())
    except Refused as refused:
        assert not allowed
        refusal = refused.refusal
    else:
        assert allowed
        assert 1 <= len(request.texts) <= 3
        return
    assert refusal.status in (400, 413)
    assert refusal.message.endswith(".")
    assert refusal.param is None or refusal.param in body or refusal.param in KEYS
