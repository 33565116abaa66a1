"""Units: the smallest parts of a text that a strategy puts together, each with its number of tokens.

A unit never exceeds the limit when its words are counted alone; a sentence that does is divided at line ends, then at
clauses, words, parts of words, tokens, each rank only where the one above did not suffice. Between units lies white
space only, and there is none at their ends, so units keep the law of coverage for every strategy built on them.

Tokens are counted by distinct words: a word costs one call however often it stands in the text, and the sum over a
passage is what a tokenizer that splits at white space counts there. Other tokenizers may count a little more or less
over several words, so a strategy must count each finished passage once, alone, and cut it again where it is too long.

Memory does not grow with the text: strategies divide it in stretches of ``STRETCH`` code points.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stream.chunking.boundaries import Rank, starts
from stream.errors import Poison
from stream.ports import Tokenizer

STRETCH = 1 << 20
"""Code points looked at together. A longer run without white space counts as too long for any limit."""

_WORDS_KNOWN = 1 << 19
"""Distinct words remembered: some 60 MB. Natural texts stay far below; a dump of identifiers does not."""


class Unit(NamedTuple):
    """``text[start:end]``, without white space at its ends. ``rank`` is that of the boundary before it."""

    start: int
    end: int
    rank: Rank
    tokens: int


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
        pieces = self._stripped([start], end, Rank.BLOCK)
        for rank in ranks:
            pieces = [part for piece in pieces for part in self._parted(piece, rank)]
        self._learn(self._words(pieces))
        return [unit for piece in pieces for unit in self._limited(piece)]

    def finer(self, unit: Unit) -> list[Unit]:
        """At least two units in place of one whose words fit the limit one by one and not together."""
        return [part for piece in self._divided(unit) for part in self._limited(piece)]

    def _limited(self, piece: Unit) -> list[Unit]:
        """The piece with its tokens, or smaller ones. Tokens of pieces are not counted before this."""
        tokens = self._tokens(piece)
        if tokens <= self._limit:
            return [Unit(piece.start, piece.end, piece.rank, tokens)]
        parts = self._divided(piece)
        self._learn(self._words(parts))
        return [unit for part in parts for unit in self._limited(part)]

    def _divided(self, piece: Unit) -> list[Unit]:
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
        first, *others = self._stripped(places, piece.end, rank)
        return [first._replace(rank=piece.rank), *others]

    def _stripped(self, places: list[int], end: int, rank: Rank) -> list[Unit]:
        """The parts that begin at ``places``, without white space at their ends; blank ones are left out."""
        parts = []
        for begin, stop in zip(places, [*places[1:], end], strict=True):
            part = self._text[begin:stop]
            kept = part.strip()
            if kept:
                first = begin + len(part) - len(part.lstrip()) if part[0].isspace() else begin
                parts.append(Unit(first, first + len(kept), rank, 0))
        return parts

    def _tokens(self, piece: Unit) -> int:
        """Summed over words; where that is too much, of the whole piece alone."""
        text = self._text[piece.start : piece.end]
        words = text.split()
        try:
            tokens = sum(map(self._known.__getitem__, words))
        except KeyError:
            self._learn(words)
            tokens = sum(map(self._known.__getitem__, words))
        if tokens > self._limit and len(words) > 1:
            return self._tokenizer.count(text)
        return tokens

    def _words(self, pieces: list[Unit]) -> Iterator[str]:
        return (word for piece in pieces for word in self._text[piece.start : piece.end].split())

    def _learn(self, words: Iterable[str]) -> None:
        if len(self._known) > _WORDS_KNOWN:
            self._known.clear()
        fresh = [word for word in dict.fromkeys(words) if word not in self._known]
        if fresh:
            self._known.update(zip(fresh, self._tokenizer.counts(fresh), strict=True))
