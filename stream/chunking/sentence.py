"""Sentence passages: whole sentences, as many as fit ``max_tokens``, each passage begun with the last ones before it.

For readers who want passages of even size that read as prose. The overlap, ``overlap_tokens``, is made of whole
sentences too: a passage repeats the last sentences of the one before as far as they fit it, so it may be shorter than
asked or none at all, and never begins in mid-sentence. A blank line ends a sentence, so headings and list items stand
as sentences of their own. Like ``fixed``, an edit near the beginning moves every passage behind it; ``min_tokens`` is
not used.

Laws: those of ``stream.chunking``; a sentence is cut only if it alone exceeds the maximum, then at the ends of lines,
clauses, words, each only where the coarser one did not suffice. Time is linear; memory is that of one stretch.
"""

from collections.abc import Iterator

from stream.chunking.boundaries import Rank
from stream.chunking.passage import Passage
from stream.chunking.units import Division, Unit, stretch_end
from stream.chunking.window import windows
from stream.contract import ChunkingContract
from stream.ports import Tokenizer


def sentence(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> Iterator[Passage]:
    """Passages of the text; tokenized as they are asked for."""
    division = Division(text, tokenizer, contract.max_tokens)
    return windows(text, _sentences(text, division), division, contract, tokenizer)


def _sentences(text: str, division: Division) -> Iterator[Unit]:
    start = 0
    while start < len(text):
        end = stretch_end(text, start)
        units = division.units(start, end, (Rank.BLOCK, Rank.SENTENCE))
        if end < len(text) and len(units) > 1:
            end = units.pop().start  # the stretch may have broken it
        yield from units
        start = end
