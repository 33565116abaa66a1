"""Places and deadlines of the query service."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.keys import ApiKey
from serving.limits import Deadline, Limits, Places
from serving.refusals import Refused

KEYS = (None, ApiKey("wide", b""), ApiKey("narrow", b"", concurrency=2))


@given(
    st.integers(min_value=1, max_value=4),
    st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=40),
)
def test_no_more_places_are_taken_than_there_are_and_each_is_given_back_once(most, steps):
    places = Places(Limits(concurrency=most))
    held = []
    for key, takes in steps:
        if not takes:
            if held:
                held.pop(0)[1]()
            continue
        own = sum(1 for holder, _ in held if holder is key)
        by_key = key is not None and key.concurrency is not None and own >= key.concurrency
        if by_key or len(held) == most:
            with pytest.raises(Refused) as refused:
                places.take(key)
            assert refused.value.refusal.status == (429 if by_key else 503)
        else:
            held.append((key, places.take(key)))
        assert places.taken == len(held) <= most
        assert sum(1 for holder, _ in held if holder is KEYS[2]) <= 2
    for _, free in held:
        free()
    assert places.taken == 0


@pytest.mark.parametrize(("wish", "most_s"), [(None, 10.0), ("1000", 1.0), ("10000", 10.0), ("999999999", 10.0)])
def test_a_deadline_is_the_services_or_the_clients_whichever_is_sooner(wish, most_s):
    before = time.monotonic()
    deadline = Deadline.of(Limits(deadline_s=10.0), wish)
    assert before + most_s <= deadline.at <= time.monotonic() + most_s
    deadline.check()


def test_a_deadline_that_passed_has_nothing_left_and_refuses():
    passed = Deadline(time.monotonic() - 1)
    assert passed.left_s == 0.0
    with pytest.raises(Refused) as late:
        passed.check()
    assert late.value.refusal.status == 504
