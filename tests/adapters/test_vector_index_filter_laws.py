"""The laws of a search's filter and least score, on every adapter: it finds what ``stream.filter`` says."""

import itertools
from datetime import UTC, datetime

import pytest
from filter_world import filters, payload_fields
from hypothesis import given, settings
from hypothesis import strategies as st
from index_world import EAST, NORTH, chunk, mark, put, touch, vector

from stream.filter import Between, During, Equals, Filter, IsEmpty, NoneOf, OneOf, both, equals, holds
from stream.ports import VectorIndex

EVERY = 100_000


def test_a_search_finds_exactly_what_the_filter_holds_of(index: VectorIndex, request: pytest.FixtureRequest):
    """Every example adds points, and its filters are asked of all that were added until then."""
    examples = 60 if "qdrant" in request.node.callspec.params["catalog"] else 250
    stored = {}
    names = itertools.count()

    @settings(max_examples=examples, deadline=None)
    @given(payloads=st.lists(payload_fields, max_size=4), asked=st.lists(filters, min_size=1, max_size=4))
    def agrees(payloads, asked):
        writes = [put(next(names), 1, **fields) for fields in payloads]
        index.write([*writes, mark(next(names), 1, tenant="x")])
        stored.update({write.id: write.payload for write in writes})
        for wanted in asked:
            hits = index.search(EAST, EVERY, wanted)
            expected = {point for point, payload in stored.items() if holds(wanted, payload)}
            assert {hit.id for hit in hits} == expected, wanted
            assert len(hits) == len(expected)

    agrees()


MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Equals("section", "x"), "a"),
        (Equals("a.dotted name", "q"), "c"),
        (Equals("pages", 3), "a"),
        (Equals("pages", 2**60 + 1), "b"),
        (Equals("draft", value=True), "a"),
        (Equals("draft", value=False), "b"),
        (Equals("tenant", "acme"), "b"),
        (Equals("undeclared", 7), "b"),
        (Equals("undeclared", value=True), ""),
        (Equals("absent", "x"), ""),
        (Equals("state", "live"), "abcd"),
        (Equals("state", "removed"), ""),
        (Equals("section", "two"), "d"),
        (OneOf("section", ("x", "two")), "ad"),
        (OneOf("section", ()), ""),
        (OneOf("pages", (3, 2**60)), "ac"),
        (NoneOf("section", ("x", "one")), "bcd"),
        (NoneOf("section", ("one", "two")), "abc"),
        (NoneOf("section", ()), "abcd"),
        (NoneOf("draft", ()), "ab"),
        (Between("price", gte=2.5, lt=3), "a"),
        (Between("pages", gt=2), "abc"),
        (Between("pages", gt=3), "bc"),
        (During("updated_at", gte=MOMENT), "ac"),
        (During("updated_at", gt=MOMENT), "c"),
        (During("updated_at", lte=MOMENT), "ab"),
        (IsEmpty("draft"), "cd"),
        (IsEmpty("section"), ""),
        (IsEmpty("a.dotted name"), "abd"),
        (Filter(must=(Equals("section", "x"), Equals("pages", 3))), "a"),
        (Filter(must=(Equals("section", "x"), Equals("pages", 4))), ""),
        (Filter(should=(Equals("section", "x"), Equals("section", "y"))), "ab"),
        (Filter(must_not=(IsEmpty("draft"),)), "ab"),
        (Filter(must_not=(Filter(),)), ""),
        (Filter(should=(Filter(), Equals("section", "x"))), "abcd"),
        (Filter(), "abcd"),
    ],
)
def test_a_condition_means_what_it_says(index: VectorIndex, wanted, names):
    index.write(
        [
            put("a", 1, section="x", pages=3, price=2.5, draft=True, updated_at="2026-01-01T13:00:00+01:00"),
            put("b", 1, section="y", pages=2**60 + 1, price=3.0, draft=False, updated_at="2026-01-01", undeclared=7),
            put("c", 1, section="z", pages=2**60, updated_at="2026-01-01 12:01", **{"a.dotted name": "q"}),
            put("d", 1, section=["one", "two"]),
            mark("e", 1, tenant="acme"),
        ]
    )
    index.write([touch("b", 1, tenant="acme")])
    hits = index.search(EAST, 10, wanted if isinstance(wanted, Filter) else Filter(must=(wanted,)))
    assert {hit.id for hit in hits} == set(map(chunk, names))


def test_what_two_filters_say_together_is_found_where_both_hold(index: VectorIndex):
    index.write([put("a", 1, section="x", pages=1), put("b", 1, section="x", pages=2), put("c", 1, pages=2)])
    either = Filter(should=(Equals("section", "x"), Equals("section", "y")))
    assert [hit.id for hit in index.search(EAST, 10, both(either, equals("pages", 2)))] == [chunk("b")]


def test_a_filter_narrows_the_search_before_its_limit(index: VectorIndex):
    index.write([put(name, 1, EAST, section="near") for name in range(50)])
    index.write([put("far", 1, NORTH, section="far")])
    assert [hit.id for hit in index.search(EAST, 1, equals("section", "far"))] == [chunk("far")]


NOISE = 1e-6
"""By as much may two computations of one cosine differ with 32 bits."""

rows = st.lists(st.tuples(*[st.integers(-9, 9)] * 4), min_size=1, max_size=12)


def test_a_least_score_cuts_exactly_and_nothing_else(index: VectorIndex):
    documents = (f"docs/{number}" for number in itertools.count())

    @settings(max_examples=25, deadline=None)
    @given(rows=rows, limit=st.integers(1, 12))
    def cuts(rows, limit):
        doc = next(documents)
        mine = equals("doc_id", doc)
        index.write([put((doc, number), 1, vector(*row), doc=doc) for number, row in enumerate(rows)])
        every = {hit.id: hit.score for hit in index.search(vector(3, 2, 1, 1), EVERY, mine)}
        for least in [-1.0, 0.0, 0.5, 1.1, *every.values()]:
            cut = index.search(vector(3, 2, 1, 1), EVERY, mine, least_score=least)
            assert all(hit.score >= least for hit in cut)
            assert {point for point, score in every.items() if score >= least + NOISE} <= {hit.id for hit in cut}
            best = index.search(vector(3, 2, 1, 1), limit, mine, least_score=least)
            assert all(hit.score >= least for hit in best)
            surely = sum(score >= least + NOISE for score in every.values())
            assert min(limit, surely) <= len(best) <= limit
            ranked = sorted(every.values(), reverse=True)[: len(best)]
            assert [hit.score for hit in best] == pytest.approx(ranked, abs=NOISE)

    cuts()
