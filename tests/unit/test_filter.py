"""What a filter holds of, and the algebra that mandatory filters rest on."""

from datetime import UTC, datetime

import pytest
from filter_world import conditions, field_conditions, filters, moment_texts, payload_fields
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client.local.payload_filters import check_filter

from adapters.edge import wire
from adapters.qdrant.filters import server_filter
from stream.filter import (
    AtLeast,
    Between,
    During,
    Equals,
    Filter,
    IsEmpty,
    NoneOf,
    both,
    conditions_of,
    holds,
    moment,
)


@given(filters, payload_fields)
def test_it_means_what_qdrants_own_reading_says(wanted, payload):
    assert holds(wanted, payload) == check_filter(server_filter(wanted), payload, "an id", {})


@given(st.none() | filters, st.none() | filters, payload_fields)
def test_both_hold_or_none(one, other, payload):
    def held(wanted):
        return wanted is None or holds(wanted, payload)

    assert held(both(one, other)) == (held(one) and held(other))


@given(field_conditions, payload_fields)
def test_every_clause_is_a_clause_of_one_condition(condition, payload):
    held = holds(condition, payload)
    assert holds(Filter(must=(condition,)), payload) == held
    assert holds(Filter(should=(condition,)), payload) == held
    assert holds(Filter(must_not=(condition,)), payload) != held
    assert holds(Filter(min_should=AtLeast(1, (condition,))), payload) == held


@given(st.lists(conditions, min_size=1, max_size=4).map(tuple), payload_fields)
def test_at_least_one_is_should_and_at_least_all_is_must(parts, payload):
    assert holds(Filter(min_should=AtLeast(1, parts)), payload) == holds(Filter(should=parts), payload)
    assert holds(Filter(min_should=AtLeast(len(parts), parts)), payload) == holds(Filter(must=parts), payload)


@given(filters)
def test_it_crosses_the_sockets_wire_unchanged(wanted):
    import orjson

    again = wire.filter_in(orjson.loads(orjson.dumps(wire.filter_out(wanted))))
    assert again == wanted
    assert [*map(repr, conditions_of(again))] == [*map(repr, conditions_of(wanted))]


def test_a_value_equals_its_own_kind_alone():
    kinds = [1, 1.0, True, "1"]
    for wanted in (1, True, "1"):
        assert [holds(Equals("a", wanted), {"a": stored}) for stored in kinds] == [
            type(stored) is type(wanted) for stored in kinds
        ]


def test_a_field_that_is_missing_meets_nothing_but_emptiness():
    for stored in ({}, {"a": []}, {"a": None}):
        assert holds(IsEmpty("a"), stored)
        assert not holds(NoneOf("a", ("x",)), stored)
        assert not holds(Between("a", lt=1), stored)
    assert not holds(IsEmpty("a"), {"a": ""})


@pytest.mark.parametrize(
    ("bound", "met"),
    [
        ("gt", [False, False, True]),
        ("gte", [False, True, True]),
        ("lt", [True, False, False]),
        ("lte", [True, True, False]),
    ],
)
def test_a_bound_takes_itself_in_or_does_not(bound, met):
    assert [holds(Between("a", **{bound: 2}), {"a": number}) for number in (1, 2.0, 3)] == met
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    times = ("2026-01-01", "2026-01-01T14:00:00+02:00", "2026-01-01T12:00:00.000001Z")
    assert [holds(During("a", **{bound: noon}), {"a": time}) for time in times] == met
    assert not any(holds(Between("a", **{bound: 2}), {"a": stored}) for stored in (True, "2", [], None))


@given(moment_texts)
def test_every_form_of_a_moment_is_one(text):
    assert moment(text) is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01 10:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("2026-01-01T10:00:00.1234569Z", datetime(2026, 1, 1, 10, microsecond=123456, tzinfo=UTC)),
        ("2026-01-01T10:00:00+02:30", datetime(2026, 1, 1, 7, 30, tzinfo=UTC)),
        ("2026-01-01T10:00Z", None),
        ("2026-02-30", None),
        ("2026-01-01T24:00:00Z", None),
        ("20260101", None),
        ("2026-01-01\n", None),
        ("", None),
    ],
)
def test_a_moment_is_what_every_engine_reads_as_one(text, told):
    assert moment(text) == told
