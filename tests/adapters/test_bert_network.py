"""The own network of BERT says what the library's says, of rows of any lengths and in any number format."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel

from adapters.bert_network import BertNetwork, agrees, fits

VOCABULARY = 60


def bert(number_format=torch.float32, **changed):
    torch.manual_seed(3)
    small = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=40, **{**small, **changed})
    return BertModel(config).to(number_format).eval()


@pytest.fixture(scope="module")
def both():
    module = bert()
    reference = bert()
    return BertNetwork(module), reference


def theirs(module, ids, types, mask):
    features = {"input_ids": ids, "attention_mask": mask.long()}
    with torch.inference_mode():
        return module(**features, **({} if types is None else {"token_type_ids": types})).last_hidden_state


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.booleans(), st.integers(0, 1_000))
def test_every_token_of_every_row_is_as_the_library_makes_it(both, lengths, typed, seed):
    network, reference = both
    chance = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    ids = torch.randint(0, VOCABULARY, shape, generator=chance)
    types = torch.randint(0, 2, shape, generator=chance) if typed else None
    mask = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
    with torch.inference_mode():
        ours = network(ids, types, None if bool(mask.all()) else mask)
    torch.testing.assert_close(ours[mask], theirs(reference, ids, types, mask)[mask], atol=2e-5, rtol=1e-4)
    assert not ours[~mask].any()


@pytest.mark.parametrize("number_format", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new"])
def test_it_agrees_whatever_the_format_and_activation(number_format, activation):
    module = bert(number_format, hidden_act=activation)
    assert fits(module)
    assert agrees(BertNetwork(module), module)


def test_the_module_whose_weights_it_shares_says_what_it_said():
    module, untouched = bert(), bert()
    ids, mask = torch.arange(10)[None], torch.ones(1, 10, dtype=torch.bool)
    BertNetwork(module)
    torch.testing.assert_close(theirs(module, ids, None, mask), theirs(untouched, ids, None, mask))


def test_one_that_computes_otherwise_does_not_agree():
    module = bert()
    network = BertNetwork(module)
    with torch.no_grad():
        network._layers[1].widened.weight.mul_(40)
    other = bert()
    assert agrees(network, module)
    assert not agrees(network, other)


def test_parts_that_are_no_plain_linear_maps_or_of_two_formats_are_left_to_the_library():
    class Adapted(torch.nn.Linear):
        pass

    adapted, mixed = bert(), bert()
    adapted.encoder.layer[1].attention.self.value = Adapted(32, 32)
    mixed.encoder.layer[0].output.dense.to(torch.bfloat16)
    assert not fits(adapted)
    assert not fits(mixed)


def test_a_decoder_or_another_network_is_left_to_the_library():
    assert not fits(bert(is_decoder=True))
    assert not fits(torch.nn.Linear(2, 2))
