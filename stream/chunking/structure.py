"""Structure passages: sections, blocks, list items and table rows of a Markdown text, packed up to ``max_tokens``.

Elements are packed in order. A heading begins a new passage once the one before has ``min_tokens``, so a passage
seldom tells of two sections; and a heading never ends one where the beginning of what follows can be brought to it.
For that alone, an element that fits is opened: a section at its blocks, a list at its items, a paragraph at its
sentences, a code fence and a table row never.

Laws: those of ``stream.chunking``; a code fence, a table row or a list item is cut only if it alone exceeds the
maximum, a paragraph as well but for the sake of its heading; an element that does not fit is cut between its largest
parts that do, lines of code and sentences last. Passages are disjoint, white space alone lies between them. Time is
linear; memory is that of a window.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from stream.chunking.boundaries import Rank
from stream.chunking.markdown import Element, elements, is_fence, is_paragraph, line_starts, within
from stream.chunking.passage import Passage
from stream.chunking.units import Division, Unit
from stream.contract import ChunkingContract
from stream.ports import Tokenizer

_HEADINGS_IN_A_ROW = 8

_WHOLE = re.compile(r"[-*+|#]|\d{1,9}[.)]\s")
"""Begins what has no sentences of its own to be brought to a heading: an item, a row, another heading."""


def structure(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Passages of the text; tokenized as they are asked for."""
    packing = _Packing(text, contract, tokenizer)
    division = packing.division
    for element in elements(text, contract.max_tokens, division.tokens):
        yield from packing.take(element)
    yield from packing.end()


class _Part(NamedTuple):
    """An element, or a piece of one that was too long."""

    unit: Unit
    opens: bool
    leads: bool


class _Packing:
    """The passage that is being filled."""

    def __init__(self, text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> None:
        self.division = Division(text, tokenizer, contract.max_tokens)
        self._text = text
        self._least = contract.min_tokens
        self._limit = contract.max_tokens
        self._tokenizer = tokenizer
        self._held: list[_Part] = []
        self._tokens = 0

    def take(self, element: Element) -> Iterator[Passage]:
        """Packs one more element; the passages that are full thereby."""
        for part in self._parts(element):
            yield from self._add(part)

    def end(self) -> Iterator[Passage]:
        """What is left."""
        while self._held:
            yield from self._show(len(self._held))

    def _parts(self, element: Element) -> list[_Part]:
        start, end, opens, leads = element
        part = self._text[start:end]
        lines = not is_paragraph(part) and self.division.tokens(part) > self._limit
        units = self.division.between(line_starts(self._text, start, end) if lines else [start], end)
        return [_Part(unit, opens=opens and unit is units[0], leads=leads and unit is units[-1]) for unit in units]

    def _add(self, part: _Part) -> Iterator[Passage]:
        while self._held and part.opens and self._tokens >= self._least and not self._held[-1].leads:
            yield from self._show(len(self._held))
        self._held.append(part)
        self._tokens += part.unit.tokens
        while len(self._held) > 1 and self._tokens > self._limit:
            kept = self._led_from()
            if kept:
                yield from self._show(kept)
                continue
            opened = self._opened(part)
            if not opened:
                yield from self._show(self._surplus())
                continue
            self._tokens -= self._held.pop().unit.tokens
            for smaller in opened:
                yield from self._add(smaller)
            return

    def _led_from(self) -> int:
        """Where those begin that lead to the last part; 0 where all do."""
        place = len(self._held) - 1
        while place and self._held[place - 1].leads:
            place -= 1
        return place

    def _surplus(self) -> int:
        """How many of the first parts must go for the others to fit; of a long row of headings half at least, or each
        would be a passage of its own.
        """
        tokens = self._tokens
        place = 0
        while place < len(self._held) - 1 and tokens > self._limit:
            tokens -= self._held[place].unit.tokens
            place += 1
        return max(place, len(self._held) // 2 if len(self._held) > _HEADINGS_IN_A_ROW else 0)

    def _opened(self, part: _Part) -> list[_Part]:
        """The smaller elements of one, or its sentences; none where it has no parts that may stand alone."""
        begin, end = part.unit.start, part.unit.end
        if (part.opens and part.leads) or is_fence(self._text[begin:end]):  # a heading alone, or code
            return []
        smaller = self._smaller(part)
        if smaller or _WHOLE.match(self._text, begin):
            return smaller
        sentences = self.division.units(begin, end, (Rank.BLOCK, Rank.SENTENCE))
        return [_Part(sentence, opens=False, leads=False) for sentence in sentences] if len(sentences) > 1 else []

    def _smaller(self, part: _Part) -> list[_Part]:
        """The elements that one consists of; none where it is one."""
        unit = part.unit
        if self._text.find("\n", unit.start, unit.end) < 0:
            return []
        whole = Element(unit.start, unit.end, part.opens, part.leads)
        found = within(self._text, whole, max(1, unit.tokens - 1), self.division.tokens)
        return [piece for inner in found for piece in self._parts(inner)] if len(found) > 1 else []

    def _show(self, count: int) -> Iterator[Passage]:
        """The first ``count`` parts as a passage, or as many of them as fit when they are tokenized together."""
        fitting = self._fitting(count)
        if fitting:
            start, end = self._held[0].unit.start, self._held[fitting - 1].unit.end
            yield Passage((start, end), self._text[start:end])
            self._keep_from(fitting, [])
        else:
            first = self._held[0]
            finer = self._smaller(first) or [
                _Part(piece, opens=False, leads=False) for piece in self.division.finer(first.unit)
            ]
            self._keep_from(1, finer)

    def _keep_from(self, place: int, instead: list[_Part]) -> None:
        self._held[:place] = instead
        self._tokens = sum(part.unit.tokens for part in self._held)

    def _fitting(self, count: int) -> int:
        """How many of the first ``count`` parts fit; 0 where the first alone does not."""
        while True:
            text = self._text[self._held[0].unit.start : self._held[count - 1].unit.end]
            excess = self._tokenizer.count(text) - self._limit
            if excess <= 0:
                return count
            if count == 1:
                return 0
            while count > 1 and excess > 0:
                count -= 1
                excess -= max(1, self._held[count].unit.tokens)
            while count > 1 and self._held[count - 1].leads:
                count -= 1
