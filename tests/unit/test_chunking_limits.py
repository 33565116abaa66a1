import dataclasses

import pytest

from stream.chunking import validate
from stream.contract import ChunkingContract
from stream.errors import Misuse

GOOD = ChunkingContract("anchored", 48, 200, 0, 32, "digest")
FIXED = ChunkingContract("fixed", 0, 200, 20, 32, "digest")
SENTENCE = ChunkingContract("sentence", 0, 200, 20, 32, "digest")
STRUCTURE = ChunkingContract("structure", 150, 200, 0, 32, "digest", library="a library 1.0")


@pytest.mark.parametrize("contract", [GOOD, FIXED, SENTENCE, STRUCTURE])
def test_a_chunking_that_fits_its_encoder_is_accepted(contract):
    validate(contract, 256, 2, 0)
    validate(contract, 234, 2, 0)


@pytest.mark.parametrize(
    ("encoder", "special", "prompt", "separator"), [(233, 2, 0, 0), (234, 3, 0, 0), (234, 2, 1, 0), (234, 2, 0, 1)]
)
def test_passage_title_separator_prompt_and_special_tokens_must_fit_the_encoder(encoder, special, prompt, separator):
    with pytest.raises(Misuse, match=r"235|234.*lower chunking.max_tokens by 1 or more"):
        validate(GOOD, encoder, special, prompt, separator)


def test_a_separator_counts_only_with_a_title():
    validate(dataclasses.replace(GOOD, title_max_tokens=0), 202, 2, 0, 2)


@pytest.mark.parametrize(
    ("contract", "sentence"),
    [
        (dataclasses.replace(GOOD, max_tokens=15), "max_tokens = 15 is too small"),
        (dataclasses.replace(GOOD, min_tokens=-1), "min_tokens = -1 is negative"),
        (dataclasses.replace(FIXED, overlap_tokens=-1), "overlap_tokens = -1 is negative"),
        (dataclasses.replace(GOOD, title_max_tokens=-1), "title_max_tokens = -1 is negative"),
        (dataclasses.replace(GOOD, min_tokens=201), "min_tokens = 201 exceeds chunking.max_tokens = 200"),
        (dataclasses.replace(GOOD, min_tokens=101), "exceeds half of chunking.max_tokens"),
        (dataclasses.replace(FIXED, overlap_tokens=200), "must be below chunking.max_tokens"),
        (dataclasses.replace(GOOD, overlap_tokens=10), "no meaning for the strategy 'anchored'"),
        (dataclasses.replace(STRUCTURE, overlap_tokens=10), "no meaning for the strategy 'structure'"),
        (dataclasses.replace(SENTENCE, overlap_tokens=200), "must be below chunking.max_tokens"),
        (dataclasses.replace(GOOD, template="bare"), "template 'bare' is not known"),
        (dataclasses.replace(GOOD, normalization="nfc"), "normalization 'nfc' is not known"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused_with_their_names(contract, sentence):
    with pytest.raises(Misuse, match=sentence):
        validate(contract, 10_000, 2, 0)
