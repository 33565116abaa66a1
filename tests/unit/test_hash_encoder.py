import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.encoder import HashEncoder
from adapters.memory.tokenizer import WordTokenizer
from stream.errors import Misuse

ANY_TEXT = st.text(st.characters(), max_size=200)


def cosine(left, right) -> float:
    return float(left.values @ right.values)


@given(st.lists(ANY_TEXT, max_size=6), st.integers(1, 40))
def test_a_vector_depends_on_its_text_alone(texts, dimensions):
    encoder = HashEncoder(dimensions)
    together = encoder.encode("passage", texts)
    for text, vector in zip(texts, together, strict=True):
        (alone,) = HashEncoder(dimensions).encode("query", [text])
        assert np.array_equal(vector.values, alone.values)
        assert vector.values.shape == (dimensions,)
        assert vector.values.dtype == np.float32
        assert np.linalg.norm(vector.values) == pytest.approx(1.0, abs=1e-5)


@given(ANY_TEXT)
def test_the_encoder_counts_what_its_tokenizer_sees(text):
    tokenizer = WordTokenizer()
    spans = tokenizer.spans(text)
    assert spans == sorted(spans)
    assert all(start < end <= len(text) for start, end in spans)
    assert len(spans) == tokenizer.count(text) == len(tokenizer.words(text))
    assert HashEncoder().count_tokens("passage", [text]) == [tokenizer.count(text) + tokenizer.special_tokens()]


def test_texts_that_share_words_are_near():
    near, same, far = HashEncoder(256).encode(
        "passage", ["Delete a topic of the broker", "how do I delete a topic", "ripe plums and wild honey"]
    )
    assert cosine(near, same) > cosine(near, far) + 0.3


def test_two_salts_have_the_same_width_and_nothing_else_in_common():
    plain, salted = HashEncoder(64), HashEncoder(64, salt="another")
    assert plain.contract.dimensions == salted.contract.dimensions
    assert plain.contract.fingerprint != salted.contract.fingerprint
    text = ["one and the same sentence about topics and partitions"]
    assert abs(cosine(plain.encode("passage", text)[0], salted.encode("passage", text)[0])) < 0.6


def test_a_text_is_cut_at_the_maximum_and_not_before():
    encoder = HashEncoder(max_tokens=5)
    three, four, cut = encoder.encode("passage", ["a b c", "a b c d", "a b c e f g"])
    assert np.array_equal(three.values, cut.values)
    assert np.array_equal(three.values, four.values)


def test_an_endless_word_has_many_tokens():
    assert WordTokenizer().count("x" * 1200) == 100


@pytest.mark.parametrize("sizes", [{"dimensions": 0}, {"max_tokens": 2}])
def test_sizes_that_hold_nothing_are_refused(sizes):
    with pytest.raises(Misuse, match="at least 1 dimension and more than 2 tokens"):
        HashEncoder(**sizes)
