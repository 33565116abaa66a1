"""Laws of the cutting of batches by a token budget."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stream.batch import cut_by_tokens

lengths = st.lists(st.integers(min_value=1, max_value=600), max_size=200)
budgets = st.integers(min_value=1, max_value=4_096)


@given(lengths, budgets)
def test_every_text_is_in_exactly_one_batch(lengths, budget):
    flat = [index for batch in cut_by_tokens(lengths, budget) for index in batch]
    assert sorted(flat) == list(range(len(lengths)))


@given(lengths, budgets)
def test_the_padded_size_of_a_batch_keeps_the_budget_unless_it_is_one_text(lengths, budget):
    for batch in cut_by_tokens(lengths, budget):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


@given(lengths, budgets)
def test_texts_come_by_length_and_equal_ones_in_their_order(lengths, budget):
    flat = [index for batch in cut_by_tokens(lengths, budget) for index in batch]
    assert flat == sorted(range(len(lengths)), key=lambda index: (lengths[index], index))


@given(lengths, budgets)
def test_no_batch_could_have_taken_the_first_text_of_the_next(lengths, budget):
    batches = cut_by_tokens(lengths, budget)
    for batch, following in itertools.pairwise(batches):
        assert (len(batch) + 1) * lengths[following[0]] > budget


@given(lengths, budgets)
def test_the_same_lengths_give_the_same_batches(lengths, budget):
    assert cut_by_tokens(lengths, budget) == cut_by_tokens(tuple(lengths), budget)


def test_a_text_larger_than_the_budget_is_admitted_alone():
    assert cut_by_tokens([900, 8, 8], 100) == [[1, 2], [0]]


def test_nothing_is_cut_into_nothing():
    assert cut_by_tokens([], 100) == []
