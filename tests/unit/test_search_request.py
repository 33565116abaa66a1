import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import DocId, Version
from serving.awaiting import DocumentVersion, SourceOffset, WaitFor
from serving.limits import Limits
from serving.request import RequestRules
from serving.search import Question
from stream.errors import Misuse
from stream.filter import both, equals, holds

RULES = RequestRules(
    max_text_chars=50,
    max_queries=3,
    max_limit=20,
    fields={"section": "keyword", "year": "integer", "draft": "boolean", "rank": "float", "updated_at": "datetime"},
)


def refusal(**body) -> str:
    with pytest.raises(Misuse) as refused:
        RULES.question(json.dumps({"query": "x", **body}).encode())
    return str(refused.value)


def question(**body) -> Question:
    return RULES.question(json.dumps({"query": "x", **body}).encode())


def test_a_query_alone_is_enough():
    assert RULES.question(b'{"query": "how?"}') == Question(("how?",), limit=10)


def test_everything_may_be_said():
    body = {
        "queries": ["how?", "why?"],
        "limit": 3,
        "filter": {"must": {"key": "section", "match": {"value": "a"}}},
        "tenant": "acme",
        "score_threshold": 0.5,
        "group_by": "document",
        "group_size": 2,
        "wait_for": {"source": "docs", "partition": 3, "offset": 41, "timeout_ms": 250},
    }
    assert RULES.question(json.dumps(body).encode()) == Question(
        ("how?", "why?"),
        3,
        both(equals("section", "a"), equals("tenant", "acme")),
        least_score=0.5,
        group_size=2,
        several=True,
        wait_for=WaitFor(SourceOffset("docs", 3, 41), 0.25),
    )


def test_one_query_in_a_list_is_answered_as_a_list():
    assert RULES.question(b'{"queries": ["how?"]}') == Question(("how?",), several=True)


def test_null_is_as_good_as_absent():
    body = dict.fromkeys(["queries", "filter", "tenant", "score_threshold", "group_by", "group_size", "wait_for"])
    assert question(**body) == Question(("x",))


def test_a_document_alone_is_the_group_without_a_size():
    assert question(group_by="document").group_size == 1


@pytest.mark.parametrize(
    "body",
    [
        {"wait_for": {"doc_id": "docs/1", "min_version": 42}},
        {"wait_for": {"doc_id": "docs/1"}, "min_version": 42},
        {"wait_for": {"doc_id": "docs/1", "min_version": 42, "timeout_ms": 5000, "source": None}},
    ],
)
def test_a_version_is_waited_for_where_a_document_is_named(body):
    assert question(**body).wait_for == WaitFor(DocumentVersion(DocId("docs/1"), Version(42)), 5.0)


def test_a_mandatory_filter_holds_beside_what_was_asked():
    mine = equals("tenant", "acme")
    wider = question(
        filter={"should": [{"key": "tenant", "match": {"value": "other"}}, {"is_empty": {"key": "year"}}]}
    )
    assert not holds(wider.within(mine).wanted, {"tenant": "other"})
    assert holds(wider.within(mine).wanted, {"tenant": "acme"})
    assert question().within(mine).wanted == mine
    assert question(tenant="acme").within(None) == question(tenant="acme")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"query": None}, "query is missing or null, but text is expected."),
        ({"query": 7}, "query is 7, but text is expected."),
        ({"query": " \n"}, "query is empty; say what to search for."),
        ({"query": "x" * 51}, "query has 51 characters; at most 50 are read."),
        ({"queries": ["x"]}, "query and queries are both there; say one of them."),
        ({"query": None, "queries": []}, "queries is a list of 0, but a list of 1 to 3 texts is expected."),
        ({"query": None, "queries": ["x"] * 4}, "queries is a list of 4, but a list of 1 to 3 texts is expected."),
        ({"query": None, "queries": "x"}, 'queries is "x", but a list of 1 to 3 texts is expected.'),
        ({"query": None, "queries": ["x", ""]}, "queries[1] is empty; say what to search for."),
        ({"limit": 0}, "limit is 0, but a whole number from 1 to 20 is expected."),
        ({"limit": 21}, "limit is 21, but a whole number from 1 to 20 is expected."),
        ({"limit": True}, "limit is true, but a whole number from 1 to 20 is expected."),
        ({"limit": "5"}, 'limit is "5", but a whole number from 1 to 20 is expected.'),
        ({"tenant": 5}, "tenant is 5, but text is expected."),
        ({"filters": {}}, "'filters' is not a known key; did you mean 'filter'."),
        ({"score_threshold": 70}, "score_threshold is 70, but a cosine is expected, a number from -1 to 1."),
        ({"score_threshold": True}, "score_threshold is true, but a cosine is expected, a number from -1 to 1."),
        ({"group_by": "section"}, 'group_by is "section", but "document" is expected.'),
        ({"group_size": 2}, 'group_size goes with group_by; say {"group_by": "document"} too.'),
        (
            {"group_by": "document", "group_size": 11},
            "group_size is 11, but a whole number from 1 to 10 is expected.",
        ),
        (
            {"min_version": 3},
            'min_version is a version of one document; name it: {"wait_for": {"doc_id": "…", "min_version": 1}}.',
        ),
        (
            {"min_version": 3, "wait_for": {"source": "docs", "partition": 0, "offset": 2}},
            'min_version is a version of one document; name it: {"wait_for": {"doc_id": "…", "min_version": 1}}.',
        ),
        (
            {"min_version": 3, "wait_for": {"doc_id": "docs/1", "min_version": 3}},
            "min_version and wait_for.min_version are both there; say one of them.",
        ),
        ({"wait_for": 3}, 'wait_for is 3, but an object is expected: {"doc_id": "…", "min_version": 1}.'),
        ({"wait_for": {}}, "wait_for.doc_id is missing or null, but text is expected."),
        ({"wait_for": {"doc": "docs/1"}}, "wait_for.doc is not a known key here; did you mean 'doc_id'."),
        (
            {"wait_for": {"source": "docs", "doc_id": "docs/1"}},
            "wait_for.doc_id is not a known key here; known are offset, partition, source, timeout_ms.",
        ),
        (
            {"wait_for": {"doc_id": "docs/1"}},
            f"wait_for.min_version is missing or null, but a whole number from 0 to {2**53 - 1} is expected.",
        ),
        (
            {"wait_for": {"source": "docs", "partition": -1, "offset": 2}},
            f"wait_for.partition is -1, but a whole number from 0 to {2**31 - 1} is expected.",
        ),
        (
            {"wait_for": {"doc_id": "docs/1", "min_version": 3, "timeout_ms": 60_001}},
            "wait_for.timeout_ms is 60001, but a whole number from 0 to 60000 is expected.",
        ),
    ],
)
def test_a_refusal_says_what_was_found_and_what_is_expected(body, sentence):
    assert refusal(**body) == sentence


@pytest.mark.parametrize("body", [b"", b"{", b'{"query": "\\ud800"}', b"\xff", b"NaN"])
def test_bytes_that_are_no_json_are_refused(body):
    with pytest.raises(Misuse, match="The body is not JSON"):
        RULES.question(body)


@pytest.mark.parametrize("body", [b"[]", b'"query"', b"1", b"null"])
def test_json_that_is_no_object_is_refused(body):
    with pytest.raises(Misuse, match="not a JSON object"):
        RULES.question(body)


KEYS = ["query", "queries", "limit", "filter", "tenant", "score_threshold", "group_by", "group_size", "wait_for"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60) | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_body_is_a_question_or_one_sentence(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        question = RULES.question(raw)
    except Misuse as error:
        refused = str(error)
    else:
        assert all(text.strip() for text in question.texts)
        assert 1 <= question.limit <= 20
        return
    assert refused.endswith(".")
    assert not refused.startswith("Traceback")


@pytest.mark.parametrize("character", ["\x01", "\U0001f600"], ids=["control", "beyond the plane"])
def test_all_the_texts_that_there_may_be_fit_into_a_body_however_they_are_escaped(character):
    body = json.dumps({"queries": [character * 50] * 3})
    assert RULES.question(body.encode()).texts == (character * 50,) * 3
    assert len(body) <= RULES.largest_body_bytes
    assert RequestRules().largest_body_bytes <= Limits().max_body_bytes
