"""Bodies of ``POST /v1/search``: read, or refused with one sentence, exactly where their schema says so."""

import json
import re

import jsonschema
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from adapters.admission import MAX_VERSION
from serving.filter_reading import MAX_VALUES
from serving.filter_schema import TIME_PATTERN
from serving.request import RequestRules
from serving.search_schemas import search_components
from stream.errors import Misuse
from stream.filter import EXACT, moment

RULES = RequestRules(
    max_text_chars=10,
    max_queries=3,
    max_limit=20,
    max_wait_ms=500,
    fields={"section": "keyword", "year": "integer", "draft": "boolean", "rank": "float", "updated_at": "datetime"},
)
COMPONENTS = search_components(RULES)
SCHEMA = jsonschema.Draft202012Validator({**COMPONENTS["SearchRequest"], "components": {"schemas": COMPONENTS}})


def refusal(body) -> str | None:
    try:
        RULES.question(json.dumps(body).encode())
    except Misuse as error:
        return str(error)
    return None


def mostly(known, others):
    """Known values, and sometimes another."""
    return st.one_of(known, known, known, others)


def some_of(**entries):
    """An object with some of these entries."""
    return st.fixed_dictionaries({}, optional=entries)


NULL = st.none()
SCALARS = st.sampled_from(
    ["", "a", " ", "2026-01-31", "2026-02-30T00:00:00Z", 0, 1, 2.0, 2.5, -(2**63), 2**63, EXACT, True, False, None]
)
KEYS = mostly(
    st.sampled_from(["section", "year", "draft", "rank", "updated_at", "tenant", "doc_id"]),
    st.sampled_from(["version", "", 1, None]),
)
MATCHES = some_of(
    value=SCALARS, any=SCALARS | st.lists(SCALARS, max_size=2), **{"except": st.lists(SCALARS, max_size=2)}
)
RANGES = some_of(gt=SCALARS, gte=SCALARS, lt=SCALARS, lte=SCALARS)
FILTERS = st.deferred(
    lambda: some_of(
        must=CLAUSES,
        should=CLAUSES,
        must_not=CLAUSES,
        min_should=some_of(conditions=CLAUSES, min_count=SCALARS) | NULL,
        other=mostly(NULL, SCALARS),
    )
)
CONDITIONS = st.deferred(
    lambda: st.one_of(
        st.fixed_dictionaries(
            {"key": KEYS, "match": mostly(MATCHES, SCALARS)}, optional={"range": NULL, "other": NULL}
        ),
        st.fixed_dictionaries({"key": KEYS, "range": mostly(RANGES, SCALARS)}, optional={"match": NULL | MATCHES}),
        some_of(is_empty=some_of(key=KEYS, other=NULL), key=NULL | KEYS, has_id=NULL | st.just([])),
        FILTERS,
    )
)
CLAUSES = st.deferred(lambda: mostly(st.lists(CONDITIONS, max_size=2) | CONDITIONS, SCALARS))
NUMBERS = st.sampled_from(
    [0, 1, 10, 11, 20, 21, -1, 1.0, 1.5, 500, 501, MAX_VERSION - 1, MAX_VERSION, True, "1", None]
)
TEXTS = st.sampled_from(["a", "x" * 10, "x" * 11, "", " \n", "\x1c", "\u3000", 1, None])
WAITS = st.one_of(
    some_of(doc_id=TEXTS, min_version=NUMBERS, timeout_ms=NUMBERS, source=NULL),
    some_of(source=TEXTS, partition=NUMBERS, offset=NUMBERS, timeout_ms=NUMBERS, doc_id=NULL, other=NULL | TEXTS),
    SCALARS,
)
BODIES = st.one_of(
    st.fixed_dictionaries({"query": st.just("a")}, optional={"filter": FILTERS}),
    st.fixed_dictionaries({"query": st.just("a"), "wait_for": WAITS}, optional={"min_version": NUMBERS}),
    some_of(
        query=TEXTS,
        queries=mostly(st.lists(TEXTS, max_size=4), SCALARS),
        limit=NUMBERS,
        tenant=SCALARS,
        score_threshold=NUMBERS,
        group_by=st.sampled_from(["document", "section", None, 1]),
        group_size=NUMBERS,
        other=NULL,
    ),
)


@given(BODIES)
def test_a_body_is_read_exactly_where_its_schema_allows_it(body):
    refused, allowed = refusal(body), SCHEMA.is_valid(body)
    event("read" if refused is None else "refused")
    beyond_words = (
        allowed and refused is not None and "but a whole number from 1 to that of its conditions" in refused
    )
    assert beyond_words or allowed == (refused is None), refused


@pytest.mark.parametrize(
    "body",
    [
        {"query": "a", "filter": {"must": {"key": "section", "match": {"any": ["x"] * MAX_VALUES}}}},
        {"query": "a", "filter": {"must": {"key": "year", "range": {"gt": 1 - EXACT, "lte": EXACT - 1}}}},
        {
            "query": "a",
            "filter": {"must": [{"key": "rank", "range": {"gte": -1e308}}, {"is_empty": {"key": "tenant"}}]},
        },
        {"query": "a", "filter": {"min_should": {"conditions": [{"must": []}], "min_count": 1.0}}},
        {"query": "a", "filter": {"must": {"must": {"must": {"key": "draft", "match": {"value": True}}}}}},
        {"queries": ["a", "b"], "query": None, "group_by": "document", "group_size": 10, "score_threshold": -1},
        {"query": "a", "wait_for": {"doc_id": "docs/1", "source": None}, "min_version": MAX_VERSION - 1},
        {"query": "a", "wait_for": {"source": "docs", "partition": 0, "offset": 2**63 - 1, "timeout_ms": 500}},
        dict.fromkeys(["queries", "filter", "tenant", "score_threshold", "group_by", "group_size", "wait_for"])
        | {"query": "a", "min_version": None},
    ],
)
def test_what_may_be_said_is_read_and_allowed(body):
    assert refusal(body) is None
    SCHEMA.validate(body)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "a", "filter": {"must": {"key": "section", "match": {"any": ["x"] * (MAX_VALUES + 1)}}}},
        {"query": "a", "filter": {"must": {"key": "year", "range": {"gt": -EXACT}}}},
        {"query": "a", "filter": {"must": {"key": "year", "range": {"gt": 1, "gte": 1}}}},
        {"query": "a", "filter": {"must": {"key": "year", "match": {"value": 1}, "range": {"gt": 1}}}},
        {"query": "a", "filter": {"must": {"key": "section", "match": {"value": "a", "any": ["a"]}}}},
        {"query": "a", "filter": {"must": {"key": "draft", "match": {"any": [True]}}}},
        {"query": "a", "filter": {"must": {}}},
        {"query": "a", "filter": {"section": "a"}},
        {"query": "a", "queries": ["a"]},
        {"queries": ["a"] * 4},
        {"query": "a", "limit": 21},
        {"query": "a", "group_by": "document", "group_size": 11},
        {"query": "a", "score_threshold": 1.001},
        {"query": "a", "wait_for": {"doc_id": "docs/1", "min_version": MAX_VERSION}},
        {"query": "a", "wait_for": {"doc_id": "docs/1", "min_version": 1, "timeout_ms": 501}},
        {"query": "a", "wait_for": {"source": "docs", "partition": 2**31, "offset": 1}},
        {"query": "a", "group_size": 2},
        {"query": "a", "min_version": 3},
        {"query": "a", "wait_for": {"doc_id": "docs/1", "min_version": 3}, "min_version": 3},
        {"query": "a", "wait_for": {"source": "docs", "partition": 0, "offset": 1}, "min_version": 3},
        {"query": "a", "wait_for": {"source": "docs", "partition": 0, "offset": 1, "doc_id": "docs/1"}},
        {"query": "a", "wait_for": {}},
    ],
)
def test_what_may_not_be_said_is_refused_and_not_allowed(body):
    assert refusal(body) is not None
    assert not SCHEMA.is_valid(body)


TIMES = st.one_of(
    st.datetimes().map(lambda told: told.isoformat()),
    st.from_regex(
        r"(0000|0001|1900|2000|2024|2026|9999)-(0[0-9]|1[0-3])-(0[01]|2[89]|3[0-2])"
        r"([T t](0[0-9]|2[34]):([05][09]|60)(:([05][09]|60)(\.[0-9]{0,7})?(Z|z|[+-](00|2[34]):([05]9|60|6))?)?)?",
        fullmatch=True,
    ),
    st.sampled_from(["2026-01-31\n", "\u0662026-01-31", "2026-1-31", "20260131", "2026-W05-6", "2026-01-31Z"]),
)


@given(TIMES)
def test_the_pattern_of_a_time_allows_what_is_read_as_one(text):
    """As ECMAScript has it, where ``$`` is the very end."""
    told = re.search(TIME_PATTERN.removesuffix("$") + r"\Z", text) is not None
    event("a time" if told else "none")
    assert told == (moment(text) is not None)
