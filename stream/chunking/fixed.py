"""Fixed passages: windows of up to ``max_tokens`` tokens, each begun ``overlap_tokens`` before the last one's end.

Windows begin and end at words; only a word that alone exceeds the maximum is cut, at the boundaries inside it. A
window is as full as whole words allow, the overlap as long as whole words allow within its limit. It is the strategy
to compare others with: an edit near the beginning moves every window behind it. ``min_tokens`` is not used.

Laws: every character that is not white space lies in a window; windows begin and end in strictly ascending order;
each has at most ``max_tokens`` when it is tokenized alone. Time is linear; memory is that of one stretch.
"""

from collections.abc import Iterator

from stream.chunking.boundaries import Rank
from stream.chunking.passage import Passage
from stream.chunking.units import Division, Unit, stretch_end
from stream.contract import ChunkingContract
from stream.ports import Tokenizer


def fixed(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Passages of the text; tokenized as they are asked for."""
    window = _Window(text, contract, tokenizer)
    for word in _words(text, Division(text, tokenizer, contract.max_tokens)):
        while not window.takes(word):
            yield from window.close()
        window.add(word)
    while window.has_news:
        yield from window.close()


def _words(text: str, division: Division) -> Iterator[Unit]:
    start = 0
    while start < len(text):
        end = stretch_end(text, start)
        words = division.units(start, end, (Rank.WORD,))
        if end < len(text) and len(words) > 1:
            end = words.pop().start  # the stretch may have broken it
        yield from words
        start = end


class _Window:
    """Words in order. Its first ones may stand in the last passage already: they are the overlap."""

    def __init__(self, text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> None:
        self._text = text
        self._limit = contract.max_tokens
        self._overlap = contract.overlap_tokens
        self._tokenizer = tokenizer
        self._words: list[Unit] = []
        self._tokens = 0
        self._shown = 0

    @property
    def has_news(self) -> bool:
        """Whether it holds a word that no passage shows yet."""
        return len(self._words) > self._shown

    def takes(self, word: Unit) -> bool:
        """Whether the word still fits, going by words."""
        return not self._words or self._tokens + word.tokens <= self._limit

    def add(self, word: Unit) -> None:
        self._words.append(word)
        self._tokens += word.tokens

    def close(self) -> Iterator[Passage]:
        """The next passage; or none, where nothing new fits beside the overlap, which then gets shorter."""
        held = self._fitting()
        if held > self._shown:
            start, end = self._words[0].start, self._words[held - 1].end
            yield Passage((start, end), self._text[start:end])
            self._keep_from(self._overlap_start(held), held)
        else:
            self._keep_from(1, held)

    def _fitting(self) -> int:
        """How many words, tokenized together, fit the limit; one always does."""
        held = len(self._words)
        least = max(self._shown, 1)
        while held > least:
            text = self._text[self._words[0].start : self._words[held - 1].end]
            excess = self._tokenizer.count(text) - self._limit
            if excess <= 0:
                break
            while held > least and excess > 0:
                held -= 1
                excess -= max(1, self._words[held].tokens)
        return held

    def _overlap_start(self, held: int) -> int:
        start, tokens = held, 0
        while self._overlap and start > 1 and tokens + self._words[start - 1].tokens <= self._overlap:
            start -= 1
            tokens += self._words[start].tokens
        return start

    def _keep_from(self, start: int, shown: int) -> None:
        del self._words[:start]
        self._shown = shown - start
        self._tokens = sum(word.tokens for word in self._words)
