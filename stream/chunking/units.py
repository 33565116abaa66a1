"""Units: the smallest parts of a text that a strategy puts together, each with its number of tokens.

A unit never exceeds the limit when its words are counted alone; a sentence that does is divided at line ends, then at
clauses, words, parts of words, tokens, each rank only where the one above did not suffice. Between units lies white
space only, and there is none at their ends, so units keep the law of coverage for every strategy built on them.

Tokens are counted by distinct words: a word costs one call however often it stands in the text, and the sum over a
passage is what a tokenizer that splits at white space counts there. Other tokenizers may count a little more or less
over several words, so a strategy must count each finished passage once, alone, and cut it again where it is too long.

Memory hardly grows with the text: strategies divide it stretch by stretch (``stretch_end``).
"""

import re
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from stream.chunking.boundaries import Rank, starts
from stream.errors import Poison
from stream.ports import Tokenizer

STRETCH = 1 << 18
"""Code points looked at together, up to the next white space."""
LONGEST_WORD = 1 << 20
"""Code points. A longer run without white space counts as too long for any limit, and is cut."""

_COUNTED_AT_ONCE = 1 << 16
"""Code points of one word."""

_WORDS_KNOWN = 1 << 19
"""Distinct words remembered: some 60 MB. Natural texts stay far below; a dump of identifiers does not."""

_JOINED = 2
"""Words that have more tokens alone than together have at most so many times more, or are taken for too long."""
_SAMPLE = 1 << 11
"""Code points by which a tokenizer is judged."""

_SPACE = re.compile(r"\s")


class Unit(NamedTuple):
    """``text[start:end]``, without white space at its ends. ``rank`` is that of the boundary before it."""

    start: int
    end: int
    rank: Rank
    tokens: int


def stretch_end(text: str, start: int) -> int:
    """Where the stretch that begins at ``start`` ends. The sentence or the word there may be broken."""
    space = _SPACE.search(text, start + STRETCH, start + LONGEST_WORD)
    return space.start() if space else min(start + LONGEST_WORD, len(text))


class Division:
    """Divides one text for one limit. Holds what is known of its words, so it serves one document."""

    def __init__(self, text: str, tokenizer: Tokenizer, limit: int) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._limit = limit
        self._known: dict[str, int] = {}

    def units(self, start: int, end: int, ranks: tuple[Rank, ...]) -> list[Unit]:
        """The units of ``text[start:end]``: cut at every boundary of ``ranks``, and finer where one is too long.

        Empty where the stretch is blank. Raises Poison where one character alone exceeds the limit.
        """
        if len(self._known) > _WORDS_KNOWN:
            self._known.clear()
        pieces = self._without_space([start], end, Rank.BLOCK)
        for rank in ranks:
            pieces = [part for piece in pieces for part in self._parted(piece, rank)]
        return self._limited(pieces)

    def between(self, places: list[int], end: int) -> list[Unit]:
        """The units that begin at ``places`` and end before the next one, or ``end``; finer where one is too long."""
        return self._limited(self._without_space(places, end, Rank.BLOCK))

    def tokens(self, text: str) -> int:
        """Of a part of the text, word by word; counted whole where that may make it fit the limit."""
        words = text.split()
        self._learn(words)
        tokens = sum(map(self._known.__getitem__, words))
        if self._limit < tokens <= self._limit * _JOINED and self._joins:
            return self._tokenizer.count(text)
        return tokens

    @cached_property
    def _joins(self) -> bool:
        """Whether words may have fewer tokens together than alone, going by the beginning of the text."""
        sample = self._text[:_SAMPLE]
        words = sample.split()
        self._learn(words)
        spans = self._tokenizer.spans(sample)
        return len(spans) != sum(map(self._known.__getitem__, words)) or any(
            len(sample[begin:end].split()) > 1 for begin, end in spans
        )

    def finer(self, unit: Unit) -> list[Unit]:
        """At least two units in place of one whose words fit the limit one by one and not together."""
        return self._limited(self._divided(unit))

    def _limited(self, pieces: list[Unit]) -> list[Unit]:
        """The pieces with their tokens, in their place smaller ones where one is too long."""
        texts = [self._text[piece.start : piece.end] for piece in pieces]
        words = [text.split() for text in texts]
        self._learn(chain.from_iterable(words))
        units: list[Unit] = []
        for piece, text, held in zip(pieces, texts, words, strict=True):
            tokens = sum(map(self._known.__getitem__, held))
            if tokens > self._limit and len(held) > 1:
                tokens = self._tokenizer.count(text)  # the sum may be too much where the sentence alone is not
            if tokens <= self._limit:
                units.append(Unit(piece.start, piece.end, piece.rank, tokens))
            else:
                units.extend(self._limited(self._divided(piece)))
        return units

    def _divided(self, piece: Unit) -> list[Unit]:
        """At least two parts, at the coarsest boundaries that the piece has."""
        for rank in Rank:
            parts = self._parted(piece, rank)
            if len(parts) > 1:
                return parts
        raise Poison(
            "unsplittable",
            f"The character {self._text[piece.start : piece.end]!r} alone has more than "
            f"chunking.max_tokens = {self._limit} tokens; raise it.",
        )

    def _parted(self, piece: Unit, rank: Rank) -> list[Unit]:
        places = [piece.start, *starts(rank, self._text, piece.start, piece.end, self._tokenizer)]
        if len(places) == 1:
            return [piece]
        if rank >= Rank.PART:  # inside a word there is no white space
            parts = [Unit(begin, stop, rank, 0) for begin, stop in zip(places, [*places[1:], piece.end], strict=True)]
        else:
            parts = self._without_space(places, piece.end, rank)
        parts[0] = parts[0]._replace(rank=piece.rank)
        return parts

    def _without_space(self, places: list[int], end: int, rank: Rank) -> list[Unit]:
        """The parts that begin at ``places``, without white space at their ends; blank ones are left out."""
        parts = []
        for begin, stop in zip(places, [*places[1:], end], strict=True):
            part = self._text[begin:stop]
            kept = part.strip()
            if kept:
                first = begin + len(part) - len(part.lstrip()) if part[0].isspace() else begin
                parts.append(Unit(first, first + len(kept), rank, 0))
        return parts

    def _learn(self, words: Iterable[str]) -> None:
        fresh = [word for word in dict.fromkeys(words) if word not in self._known]
        short = [word for word in fresh if len(word) <= _COUNTED_AT_ONCE]
        self._known.update(zip(short, self._tokenizer.counts(short), strict=True))
        if len(short) < len(fresh):
            self._known.update((word, self._endless(word)) for word in fresh if len(word) > _COUNTED_AT_ONCE)

    def _endless(self, word: str) -> int:
        """Its tokens slice by slice, and no further than the limit: the whole would take gigabytes to tokenize."""
        tokens = 0
        for begin in range(0, len(word), _COUNTED_AT_ONCE):
            tokens += self._tokenizer.count(word[begin : begin + _COUNTED_AT_ONCE])
            if tokens > self._limit:
                break
        return tokens
