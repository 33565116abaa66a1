"""Where a text may be cut: seven ranks of boundary, from blank lines down to the ends of tokens.

A boundary is the place before a character that is not white space. A finer rank is looked for only inside a stretch
that exceeds the limit, so a sentence is cut only if it alone is too long, a word likewise. Each rank is one pattern;
every pattern runs in linear time over any text (no run that it fails on is read again from its middle).

A sentence ends at ``. ! ? …`` and their kin before white space, at the full stops of Chinese and Japanese without.
A full stop followed by a small letter, or that belongs to an initial, to a title of a person or to the number of a
list item, ends nothing. Where the rule errs, a passage ends early or late by a sentence: never anything worse.

Below words, nothing separates a letter from the combining marks that follow it, nor joined emoji from each other.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum

from stream.ports import Tokenizer


class Rank(IntEnum):
    """What a boundary ends; the smaller, the better a place to cut."""

    BLOCK = 0
    SENTENCE = 1
    LINE = 2
    CLAUSE = 3
    WORD = 4
    PART = 5
    """In a word: between letters and punctuation, and at every ideograph."""
    TOKEN = 6
    """In a part: where the tokenizer cuts; in a token of several characters, its middle."""


_TOKENIZED_AT_ONCE = 1 << 16
"""Code points of an endless word handed to the tokenizer at a time: its spans take some hundred bytes a token."""

_CLOSING = r"""["'”’»›)\]}」』）】》〉〕*_`]{0,8}+"""
_STOP = r"(?:[。！？｡]|．(?!\d))"
_IDEOGRAPH = r"[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"

_PATTERNS = {
    Rank.BLOCK: re.compile(r"\n[^\S\n]*\n\s*|[\f\u2029]\s*"),
    Rank.SENTENCE: re.compile(
        rf"[.!?…‽؟۔।॥။።։]{_CLOSING}\s+|{_STOP}{_CLOSING}(?!{_STOP})\s*|[!?]{_CLOSING}(?={_IDEOGRAPH})"
    ),
    Rank.LINE: re.compile(r"[\n\u2028]\s*"),
    Rank.CLAUSE: re.compile(rf"[,;:،؛]{_CLOSING}\s+|[，、；：]{_CLOSING}\s*|\s[–—]\s+"),
    Rank.WORD: re.compile(r"\s+"),
    Rank.PART: re.compile(rf"{_IDEOGRAPH}|(?:(?!{_IDEOGRAPH})\w)+|\W"),
}

_NO_END = re.compile(
    r"(?:(?<!\w)(?:[^\W\d_]|[Dd]r|Mrs?|Ms|Mme|Prof|St|No|Nr|vs|cf|[Ff]ig|[Ee]q|al|approx|bzw|ca)"
    r"|(?:^|\n)[^\S\n]*\d{1,3})\Z"
)
_NO_END_LENGTH = 16

_JOINER = "\u200d"
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")


def starts(rank: Rank, text: str, start: int, end: int, tokenizer: Tokenizer) -> Iterator[int]:
    """Places in (start, end), ascending, where a unit of this rank begins within ``text[start:end]``.

    ``text[start:end]`` neither begins nor ends with white space. Only ``Rank.TOKEN`` asks the tokenizer.
    """
    if rank is Rank.TOKEN:
        yield from _token_starts(text, start, end, tokenizer)
        return
    for match in _PATTERNS[rank].finditer(text, start, end):
        place = match.end()
        if start < place < end and not (
            (rank is Rank.SENTENCE and _goes_on(text, match.start(), place))
            or (rank is Rank.PART and _is_glued(text, place))
        ):
            yield place


def _goes_on(text: str, mark: int, place: int) -> bool:
    """Whether the sentence runs on over its seeming end: ``text[mark]`` is the mark, ``text[place]`` comes next."""
    if text[mark] not in ".…":
        return False
    if text[place].islower():
        return True
    return text[mark] == "." and _NO_END.search(text, max(0, mark - _NO_END_LENGTH), mark) is not None


def _is_glued(text: str, place: int) -> bool:
    """Whether what stands at ``place`` belongs to the character before it."""
    here = text[place]
    return (
        text[place - 1] == _JOINER
        or here == _JOINER
        or _SKIN_TONES[0] <= here <= _SKIN_TONES[1]
        or unicodedata.category(here)[0] == "M"
    )


def _token_starts(text: str, start: int, end: int, tokenizer: Tokenizer) -> Iterator[int]:
    last = start
    for begin in range(start, end, _TOKENIZED_AT_ONCE):
        stop = min(begin + _TOKENIZED_AT_ONCE, end)
        ends = sorted({begin + token_end for _, token_end in tokenizer.spans(text[begin:stop])} | {stop})
        for place in ends:
            if last < place < end and not _is_glued(text, place):
                yield place
                last = place
    middle = (start + end) // 2
    if last == start < middle:
        yield middle
