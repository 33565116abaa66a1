"""A window over units in order: as many as fit the limit, each begun with the last ones of the window before.

What the units are decides the strategy: words for ``fixed``, sentences for ``sentence``. A window is as full, and its
overlap within its own limit as long, as whole units allow; a unit is never cut to make one longer.

Law: every unit is shown; windows begin and end in strictly ascending order; each has at most the limit when it is
tokenized alone. Units are counted word by word and a tokenizer may count more over several words, so a window is
counted once, whole, before it is shown, and gives units back where it is too long; a unit that alone is too long then
is divided.
"""

from collections.abc import Iterable, Iterator

from stream.chunking.passage import Passage
from stream.chunking.units import Division, Unit
from stream.contract import ChunkingContract
from stream.ports import Tokenizer


def windows(
    text: str, units: Iterable[Unit], division: Division, contract: ChunkingContract, tokenizer: Tokenizer
) -> Iterator[Passage]:
    """Passages over the units, which are in order and do not overlap; tokenized as they are asked for."""
    window = _Window(text, division, contract, tokenizer)
    for unit in units:
        while not window.takes(unit):
            yield from window.close()
        window.add(unit)
    while window.has_news:
        yield from window.close()


class _Window:
    """Units in order. Its first ones may stand in the last passage already: they are the overlap."""

    def __init__(self, text: str, division: Division, contract: ChunkingContract, tokenizer: Tokenizer) -> None:
        self._text = text
        self._division = division
        self._limit = contract.max_tokens
        self._overlap = contract.overlap_tokens
        self._tokenizer = tokenizer
        self._units: list[Unit] = []
        self._tokens = 0
        self._shown = 0

    @property
    def has_news(self) -> bool:
        """Whether it holds a unit that no passage shows yet."""
        return len(self._units) > self._shown

    def takes(self, unit: Unit) -> bool:
        """Whether the unit still fits, going by words."""
        return not self._units or self._tokens + unit.tokens <= self._limit

    def add(self, unit: Unit) -> None:
        self._units.append(unit)
        self._tokens += unit.tokens

    def close(self) -> Iterator[Passage]:
        """The next passage; or none, where nothing new fits beside the overlap, which then gets shorter, or where
        the first unit is too long alone, and then is divided.
        """
        held = self._fitting()
        if held > self._shown:
            start, end = self._units[0].start, self._units[held - 1].end
            yield Passage((start, end), self._text[start:end])
            self._keep_from(self._overlap_start(held), held)
        elif self._shown:
            self._keep_from(1, self._shown)
        else:
            self._units[:1] = self._division.finer(self._units[0])
            self._keep_from(0, 0)

    def _fitting(self) -> int:
        """How many units, tokenized together, fit the limit; no less than were shown before, which do."""
        held = len(self._units)
        while held > self._shown:
            text = self._text[self._units[0].start : self._units[held - 1].end]
            excess = self._tokenizer.count(text) - self._limit
            if excess <= 0:
                break
            if held == 1:
                return 0
            least = max(self._shown, 1)
            while held > least and excess > 0:
                held -= 1
                excess -= max(1, self._units[held].tokens)
        return held

    def _overlap_start(self, held: int) -> int:
        start, tokens = held, 0
        while self._overlap and start > 1 and tokens + self._units[start - 1].tokens <= self._overlap:
            start -= 1
            tokens += self._units[start].tokens
        return start

    def _keep_from(self, start: int, shown: int) -> None:
        del self._units[:start]
        self._shown = shown - start
        self._tokens = sum(unit.tokens for unit in self._units)
