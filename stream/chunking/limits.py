"""Whether a chunking can be kept at all: sizes that fit each other and the encoder.

What an encoder sees is its own special tokens, the prompt, the title, the template's separator and the passage. Their
limits must add up to no more than its maximum, or it would cut the end off some passage and nobody would know. A
chunking that cannot promise that is refused before anything starts, with the sum shown.
"""

from collections.abc import Iterator

from stream.contract import ChunkingContract
from stream.errors import Misuse
from stream.text import NORMALIZATION, TEMPLATE

SMALLEST_MAX_TOKENS = 16
"""Below it a single character of some scripts may not fit, and no passage says anything."""

_DISJOINT = ("anchored", "structure")


def validate(
    contract: ChunkingContract,
    encoder_max_tokens: int,
    special_tokens: int,
    prompt_tokens: int,
    separator_tokens: int = 0,
) -> None:
    """Raises Misuse with one sentence. All sizes are in tokens; ``special_tokens`` are those that one text gets.

    ``separator_tokens`` is that of ``stream.text``, and counts only where titles are embedded.
    """
    for sentence in (*_unknown(contract), *_unordered(contract)):
        raise Misuse(sentence)
    separator = separator_tokens if contract.title_max_tokens else 0
    wanted = contract.max_tokens + contract.title_max_tokens + separator + prompt_tokens + special_tokens
    if wanted > encoder_max_tokens:
        raise Misuse(
            f"Passage ({contract.max_tokens} tokens), title ({contract.title_max_tokens}), separator ({separator}), "
            f"prompt ({prompt_tokens}) and special tokens ({special_tokens}) make {wanted}, but the encoder reads "
            f"{encoder_max_tokens}; lower chunking.max_tokens by {wanted - encoder_max_tokens} or more."
        )


def _unknown(contract: ChunkingContract) -> Iterator[str]:
    for what, name, known in (
        ("template", contract.template, TEMPLATE),
        ("normalization", contract.normalization, NORMALIZATION),
    ):
        if name != known:
            yield f"The text {what} {name!r} is not known; this version of embedstream has {known!r}."


def _unordered(contract: ChunkingContract) -> Iterator[str]:
    least, most, overlap = contract.min_tokens, contract.max_tokens, contract.overlap_tokens
    sizes = {"min_tokens": least, "overlap_tokens": overlap, "title_max_tokens": contract.title_max_tokens}
    for name, value in sizes.items():
        if value < 0:
            yield f"chunking.{name} = {value} is negative; set it to 0 or more."
    if most < SMALLEST_MAX_TOKENS:
        yield f"chunking.max_tokens = {most} is too small; set it to {SMALLEST_MAX_TOKENS} or more."
    if least > most:
        yield f"chunking.min_tokens = {least} exceeds chunking.max_tokens = {most}; lower it."
    if overlap >= most:
        yield f"chunking.overlap_tokens = {overlap} must be below chunking.max_tokens = {most}; lower it."
    if contract.strategy == "anchored" and least > most // 2:
        yield (
            f"chunking.min_tokens = {least} exceeds half of chunking.max_tokens = {most}: two passages below the "
            "minimum could not be merged; lower the one or raise the other."
        )
    if contract.strategy in _DISJOINT and overlap:
        yield (
            f"chunking.overlap_tokens = {overlap} has no meaning for the strategy {contract.strategy!r}, whose "
            "passages do not overlap; remove it, or choose the strategy 'sentence' or 'fixed'."
        )
