import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.request import RequestRules
from serving.search import Question
from stream.errors import Misuse
from stream.ports import Condition

RULES = RequestRules(
    max_text_chars=50,
    max_limit=20,
    fields={"section": "keyword", "year": "integer", "draft": "boolean", "rank": "float", "updated_at": "datetime"},
)


def refusal(**body) -> str:
    with pytest.raises(Misuse) as refused:
        RULES.question(json.dumps({"query": "x", **body}).encode())
    return str(refused.value)


def test_a_query_alone_is_enough():
    assert RULES.question(b'{"query": "how?"}') == Question("how?", limit=10)


def test_everything_may_be_said():
    body = {"query": "how?", "limit": 3, "filter": {"section": "a", "year": 2024, "draft": False}, "tenant": "acme"}
    assert RULES.question(json.dumps(body).encode()) == Question(
        "how?", 3, (Condition("section", "a"), Condition("year", 2024), Condition("draft", False)), "acme"
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"query": None}, "query is missing or null, but text is expected."),
        ({"query": 7}, "query is 7, but text is expected."),
        ({"query": " \n"}, "query is empty; say what to search for."),
        ({"query": "x" * 51}, "query has 51 characters; at most 50 are read."),
        ({"limit": 0}, "limit is 0, but a whole number from 1 to 20 is expected."),
        ({"limit": 21}, "limit is 21, but a whole number from 1 to 20 is expected."),
        ({"limit": True}, "limit is true, but a whole number from 1 to 20 is expected."),
        ({"limit": "5"}, 'limit is "5", but a whole number from 1 to 20 is expected.'),
        ({"tenant": 5}, "tenant is 5, but text is expected."),
        ({"filters": {}}, "'filters' is not a known key; did you mean 'filter'."),
        ({"filter": [1]}, "filter is [1], but an object of fields and values is expected."),
        ({"filter": {"sektion": "a"}}, "filter.sektion is no field of the sources; did you mean 'section'."),
        ({"filter": {"section": 1}}, "filter.section is 1, but text is expected."),
        ({"filter": {"section": ["a"]}}, 'filter.section is ["a"], but text is expected.'),
        ({"filter": {"year": True}}, "filter.year is true, but a whole number is expected."),
        ({"filter": {"year": 1.5}}, "filter.year is 1.5, but a whole number is expected."),
        ({"filter": {"draft": 1}}, "filter.draft is 1, but true or false is expected."),
        ({"filter": {"rank": 1.5}}, "filter.rank is a float, which cannot be compared for equality."),
    ],
)
def test_a_refusal_says_what_was_found_and_what_is_expected(body, sentence):
    assert refusal(**body) == sentence


def test_a_filter_where_no_field_is_declared_is_refused():
    with pytest.raises(Misuse, match="they declare none"):
        RequestRules().question(b'{"query": "x", "filter": {"a": 1}}')


@pytest.mark.parametrize("body", [b"", b"{", b'{"query": "\\ud800"}', b"\xff", b"NaN"])
def test_bytes_that_are_no_json_are_refused(body):
    with pytest.raises(Misuse, match="The body is not JSON"):
        RULES.question(body)


@pytest.mark.parametrize("body", [b"[]", b'"query"', b"1", b"null"])
def test_json_that_is_no_object_is_refused(body):
    with pytest.raises(Misuse, match="not a JSON object"):
        RULES.question(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(["query", "limit", "filter", "tenant"]), JSON))
def test_any_body_is_a_question_or_one_sentence(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        question = RULES.question(raw)
    except Misuse as error:
        refused = str(error)
    else:
        assert question.text.strip()
        assert 1 <= question.limit <= 20
        return
    assert refused.endswith(".")
    assert not refused.startswith("Traceback")
