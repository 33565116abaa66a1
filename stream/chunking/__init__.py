"""Chunking: from a document's text to its passages, the same ones in every process.

``cut`` is a pure function of the text, the chunking contract and the tokenizer. Whatever the strategy, these laws
hold: every character of the text that is not white space lies in some passage; ``text[start:end]`` is the passage's
text; no passage is blank; each has at most ``max_tokens`` when it is tokenized alone; passages begin in ascending
order; a word is cut only if it alone exceeds the maximum. ``tests/properties/test_chunking_laws.py`` states them once
and runs them on every strategy in ``STRATEGIES``: a new one joins by its name here.
"""

from collections.abc import Callable, Iterator, Mapping

from stream.chunking.anchored import anchored
from stream.chunking.fixed import fixed
from stream.chunking.library import library_of
from stream.chunking.limits import validate
from stream.chunking.passage import Passage
from stream.chunking.sentence import sentence
from stream.chunking.structure import structure
from stream.contract import ChunkingContract, Strategy
from stream.errors import Fatal
from stream.ports import Tokenizer

__all__ = ["STRATEGIES", "Passage", "cut", "library_of", "validate"]

STRATEGIES: Mapping[Strategy, Callable[[str, ChunkingContract, Tokenizer], Iterator[Passage]]] = {
    "anchored": anchored,
    "fixed": fixed,
    "sentence": sentence,
    "structure": structure,
}


def cut(text: str, contract: ChunkingContract, tokenizer: Tokenizer) -> tuple[Passage, ...]:
    """The passages of a normalized text, in order; none where it is empty or blank.

    Raises Fatal where tokenizer or library are not the contract's, and Poison where one character alone exceeds the
    maximum.
    """
    if tokenizer.digest != contract.tokenizer:
        raise Fatal(
            f"The chunking contract names the tokenizer {contract.tokenizer}, but {tokenizer.digest} is loaded; "
            "point encoding.model at the model of the contract, or build an index for the new one."
        )
    if library_of(contract.strategy) != contract.library:
        raise Fatal(
            f"The chunking contract names the library {contract.library}, but {library_of(contract.strategy)} is "
            "installed; install the one of the contract, or build an index for the new one."
        )
    return tuple(STRATEGIES[contract.strategy](text, contract, tokenizer))
