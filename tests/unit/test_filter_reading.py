import json
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.filter_reading import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, read_filter
from stream.errors import Misuse
from stream.filter import AtLeast, Between, During, Equals, Filter, IsEmpty, NoneOf, OneOf, conditions_of

FIELDS = {"section": "keyword", "year": "integer", "draft": "boolean", "rank": "float", "updated_at": "datetime"}


def one(**condition):
    """The condition that a filter of it alone is read as."""
    (read,) = read_filter({"must": [condition]}, FIELDS).must
    return read


def refusal(document) -> str:
    with pytest.raises(Misuse) as refused:
        read_filter(document, FIELDS)
    return str(refused.value)


@pytest.mark.parametrize(
    ("condition", "read"),
    [
        ({"key": "section", "match": {"value": "a"}}, Equals("section", "a")),
        ({"key": "year", "match": {"value": -(2**63)}}, Equals("year", -(2**63))),
        ({"key": "draft", "match": {"value": False}}, Equals("draft", value=False)),
        ({"key": "doc_id", "match": {"any": ["docs/1", "docs/2"]}}, OneOf("doc_id", ("docs/1", "docs/2"))),
        ({"key": "year", "match": {"any": []}}, OneOf("year", ())),
        ({"key": "tenant", "match": {"except": ["acme"]}}, NoneOf("tenant", ("acme",))),
        ({"key": "year", "range": {"gte": 2024, "lt": 2026.0}}, Between("year", gte=2024, lt=2026)),
        ({"key": "year", "range": {"gt": 2.5, "lte": 4.5}}, Between("year", gt=2, lte=4)),
        ({"key": "year", "range": {"gte": -2.5, "lt": 4.5}}, Between("year", gte=-2, lt=5)),
        ({"key": "rank", "range": {"gt": 1, "lte": None}}, Between("rank", gt=1.0)),
        (
            {"key": "updated_at", "range": {"gte": "2026-01-01T01:00:00+01:00", "lt": "2026-01-02"}},
            During("updated_at", gte=datetime(2026, 1, 1, tzinfo=UTC), lt=datetime(2026, 1, 2, tzinfo=UTC)),
        ),
        ({"is_empty": {"key": "year"}}, IsEmpty("year")),
        ({"must_not": {"is_empty": {"key": "year"}}}, Filter(must_not=(IsEmpty("year"),))),
        ({"key": "section", "match": {"value": "a"}, "range": None}, Equals("section", "a")),
    ],
)
def test_a_condition_is_read_in_the_type_of_its_field(condition, read):
    assert one(**condition) == read
    assert type(getattr(one(**condition), "value", None)) is type(getattr(read, "value", None))


def test_all_clauses_are_read_as_a_list_or_as_one_condition():
    a, b = ({"key": "section", "match": {"value": name}} for name in "ab")
    document = {
        "must": a,
        "should": [a, {"should": [b]}],
        "must_not": [],
        "min_should": {"conditions": [a, b], "min_count": 1},
    }
    read_a, read_b = Equals("section", "a"), Equals("section", "b")
    assert read_filter(document, FIELDS) == Filter(
        must=(read_a,), should=(read_a, Filter(should=(read_b,))), min_should=AtLeast(1, (read_a, read_b))
    )
    assert read_filter({}, FIELDS) == Filter()


def must(**condition):
    return {"must": [condition]}


NEAR = "but a number between -2^53 and 2^53 is expected."


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([1], 'filter is [1], but an object is expected: {"must": [{"key": "…", "match": {"value": …}}]}.'),
        (
            {"section": "install"},
            (
                "filter.section is the short form, which is no more; say "
                '{"must": [{"key": "section", "match": {"value": "install"}}]}.'
            ),
        ),
        (
            {"year": [2024]},
            (
                "filter.year is the short form, which is no more; say "
                '{"must": [{"key": "year", "match": {"value": …}}]}.'
            ),
        ),
        ({"mast": []}, "filter.mast is not a clause of a filter; did you mean 'must'."),
        (
            {"sektion": "a"},
            "filter.sektion is not a clause of a filter; known are min_should, must, must_not, should.",
        ),
        (
            {"key": "section", "match": {"value": "a"}},
            'filter is one condition; put it into a clause: {"must": [{…}]}.',
        ),
        (
            must(key="sektion", match={"value": "a"}),
            "filter.must[0].key is \"sektion\", which is no field of the sources; did you mean 'section'.",
        ),
        (must(match={"value": 1}), "filter.must[0].key is missing or null, but the name of a field is expected."),
        (
            must(key="version", match={"value": 1}),
            (
                'filter.must[0].key is "version", which is no field of the sources; known are doc_id, draft, rank, '
                "section, tenant, updated_at, year."
            ),
        ),
        (
            must(key="section", match={"value": 1}),
            "filter.must[0].match.value is 1, but text is expected, which section holds.",
        ),
        (
            must(key="year", match={"value": True}),
            "filter.must[0].match.value is true, but a whole number of 64 bits is expected, which year holds.",
        ),
        (
            must(key="year", match={"any": [1, 2**63]}),
            f"filter.must[0].match.any[1] is {2**63}, but a whole number of 64 bits is expected, which year holds.",
        ),
        (
            must(key="draft", match={"value": 1}),
            "filter.must[0].match.value is 1, but true or false is expected, which draft holds.",
        ),
        (
            must(key="draft", match={"any": [True]}),
            "filter.must[0].match.any lists values of draft, which is true or false; say value.",
        ),
        (must(key="section", match={"any": "a"}), 'filter.must[0].match.any is "a", but a list is expected.'),
        (
            must(key="section", match={"any": ["a"] * (MAX_VALUES + 1)}),
            "filter.must[0].match.any has 1,025 values; at most 1,024 are read.",
        ),
        (
            must(key="section", match={"text": "a b"}),
            (
                "filter.must[0].match.text is not read, because each engine cuts words in its own way; compare "
                "the whole value."
            ),
        ),
        (
            must(key="section", match={"values": 1}),
            "filter.must[0].match.values is not a known key; did you mean 'value'.",
        ),
        (
            must(key="section", match={"value": "a", "any": ["a"]}),
            "filter.must[0].match has any, value; say one of value, any and except.",
        ),
        (must(key="section", match={}), "filter.must[0].match has nothing; say one of value, any and except."),
        (
            must(key="rank", match={"value": 1.5}),
            'filter.must[0].match compares rank, a float, for equality; say {"range": {"gte": …, "lte": …}}.',
        ),
        (
            must(key="section", range={"gte": "a"}),
            'filter.must[0].range orders section, a keyword, which has no order; say {"match": {"value": …}}.',
        ),
        (must(key="year", range={}), "filter.must[0].range has no bound; say one of gt, gte, lt, lte."),
        (must(key="year", range={"gte": "2024"}), f'filter.must[0].range.gte is "2024", {NEAR}'),
        (must(key="year", range={"gte": 2**53}), f"filter.must[0].range.gte is {2**53}, {NEAR}"),
        (must(key="year", range={"lt": True}), f"filter.must[0].range.lt is true, {NEAR}"),
        (
            must(key="year", range={"lt": 1, "lte": 2}),
            "filter.must[0].range has lt and lte; leave out the one that says less.",
        ),
        (
            must(key="rank", range={"from": 1}),
            "filter.must[0].range.from is not a known key; known are gt, gte, lt, lte.",
        ),
        (must(key="rank", range={"gt": "1"}), 'filter.must[0].range.gt is "1", but a number is expected.'),
        (
            must(key="updated_at", range={"gt": "yesterday"}),
            (
                'filter.must[0].range.gt is "yesterday", but a time as RFC 3339 has it is expected: '
                "2026-01-31T12:00:00Z."
            ),
        ),
        (
            must(key="updated_at", range={"gt": "0001-01-01T00:00:00+01:00"}),
            (
                'filter.must[0].range.gt is "0001-01-01T00:00:00+01:00", but a time as RFC 3339 has it is expected: '
                "2026-01-31T12:00:00Z."
            ),
        ),
        (
            must(key="year", match={"value": 1}, range={"gt": 1}),
            "filter.must[0] has match and range; make two conditions of it.",
        ),
        (must(key="year"), "filter.must[0] has neither match nor range; say what year is compared with."),
        (must(), "filter.must[0] says nothing; leave it out."),
        ({"must": [7]}, 'filter.must[0] is 7, but an object is expected: {"key": "…", "match": {"value": …}}.'),
        (
            must(is_null={"key": "year"}),
            "filter.must[0].is_null is not read, because null is never stored; say is_empty.",
        ),
        (
            must(has_id=["a"]),
            "filter.must[0].has_id is not read, because chunks are told by their document; compare doc_id.",
        ),
        (
            must(key="year", geo_radius={"radius": 1}),
            "filter.must[0].geo_radius is not a known key; known are is_empty, key, match, range.",
        ),
        (
            {"min_should": {"conditions": [{"is_empty": {"key": "year"}}], "min_count": 2}},
            "filter.min_should.min_count is 2, but a whole number from 1 to that of its conditions, 1, is expected.",
        ),
        (
            {"must": [{"is_empty": {"key": "year"}}] * (MAX_CONDITIONS + 1)},
            "filter has 129 conditions; at most 128 are read.",
        ),
    ],
)
def test_a_refusal_says_where_and_what_is_expected(document, sentence):
    assert refusal(document) == sentence


def test_filters_lie_within_one_another_to_a_depth():
    document = {"is_empty": {"key": "year"}}
    for _ in range(MAX_DEPTH):
        document = {"must": [document]}
    assert list(conditions_of(read_filter(document, FIELDS))) == [IsEmpty("year")]
    assert refusal({"must": document}).endswith("lies within 8 filters; at most 7 are read.")
    for _ in range(500):
        document = {"must": [document]}
    assert refusal(document).endswith("lies within 8 filters; at most 7 are read.")


def test_a_sources_fields_may_be_none():
    with pytest.raises(Misuse, match="known are doc_id, tenant"):
        read_filter(must(key="a", match={"value": 1}), {})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["must", "should", "min_should", "conditions", "min_count", "key", "match", "value", "any"]
            )
            | st.sampled_from(["range", "gt", "lte", "is_empty", "has_id"]),
            inner | st.sampled_from(sorted(FIELDS)),
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_a_filter_or_one_sentence(document):
    try:
        read = read_filter(orjson.loads(json.dumps(document)), FIELDS)
    except Misuse as error:
        refused = str(error)
    else:
        assert all(condition.key in {*FIELDS, "doc_id", "tenant"} for condition in conditions_of(read))
        return
    assert refused.endswith(".")
    assert refused.startswith("filter")
