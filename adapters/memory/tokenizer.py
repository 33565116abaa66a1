"""The tokenizer of :class:`adapters.memory.encoder.HashEncoder`: words, pieces of long words, and single signs.

It decides what one token is where no model is at hand. A run of letters and digits is cut every twelve characters, so
that an endless word still has as many tokens as it has text; every other visible sign is a token of its own; white
space is none. It keeps the laws of ``stream.ports.Tokenizer``: the encoder counts with the very same pattern, and
spans are code points in order of start.
"""

import hashlib
import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\w{1,12}|[^\w\s]")
_SPECIAL_TOKENS = 2
"""As many as the usual models add, so that a caller who forgets them is found out."""


class WordTokenizer:
    """Stateless: every instance equals every other."""

    digest: str = hashlib.blake2b(f"words\n{_TOKEN.pattern}\n{_SPECIAL_TOKENS}".encode(), digest_size=16).hexdigest()

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """[start, end) in code points of each token."""
        return [match.span() for match in _TOKEN.finditer(text)]

    def words(self, text: str) -> list[str]:
        """The tokens themselves, without regard to case."""
        return [match.group().casefold() for match in _TOKEN.finditer(text)]

    def count(self, text: str) -> int:
        """Tokens of the text alone, special tokens not counted."""
        return sum(1 for _ in _TOKEN.finditer(text))

    def counts(self, texts: Sequence[str]) -> Sequence[int]:
        """As :meth:`count`, of each text."""
        return [self.count(text) for text in texts]

    def special_tokens(self) -> int:
        """How many special tokens one text gets."""
        return _SPECIAL_TOKENS
