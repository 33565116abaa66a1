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
from stream.chunking.window import windows
from stream.contract import ChunkingContract
from stream.ports import Tokenizer


def fixed(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Passages of the text; tokenized as they are asked for."""
    division = Division(text, tokenizer, contract.max_tokens)
    return windows(text, _words(text, division), division, contract, tokenizer)


def _words(text: str, division: Division) -> Iterator[Unit]:
    start = 0
    while start < len(text):
        end = stretch_end(text, start)
        words = division.units(start, end, (Rank.WORD,))
        if end < len(text) and len(words) > 1:
            end = words.pop().start  # the stretch may have broken it
        yield from words
        start = end
