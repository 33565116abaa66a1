"""The text of a document and of its passages: one normalization and one template, both named in the contract.

``lf`` turns CRLF and CR into LF and does nothing else: spans are counted in the text so made, and whatever else a
tokenizer wants to fold, it folds itself. ``title-blank-passage`` embeds the passage alone, or the title, a blank line
and the passage.

A title shares the encoder's window with every passage of its document, so what is embedded of it is cut once, to a
limit of its own. The whole title is stored and shown. Law: nothing is truncated by the encoder, silently.

Some tokenizers count more over the joint of two texts than in each alone (a blank line is one token at the end of a
text and two before a word). What joints usually cost is measured here, on ends and beginnings of every kind, and kept
free; ``stream.revision`` counts each text as it is embedded, so that the limit holds for the unusual ones too.
"""

import re

from stream.ports import Tokenizer

NORMALIZATION = "lf"
TEMPLATE = "title-blank-passage"
SEPARATOR = "\n\n"

_ENDS = ("word", "Word", "7", ".", ")", "`", "é", "数", "😀", "ש")
_BEGINNINGS = ("word", "Word", "7", "(", "#", "-", "`", "é", "数", "😀", "ש")

_WORD = re.compile(r"\S+")
_LONGEST_TITLE = 1 << 14
"""Code points. Behind them a title that is too long is not even looked at."""


def normalize(text: str) -> str:
    """CRLF and CR → LF, nothing else. Applying it twice changes nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def embedded_text(title: str | None, passage: str) -> str:
    """What the encoder sees: the passage alone where there is no title, else title, blank line, passage."""
    return f"{title}{SEPARATOR}{passage}" if title else passage


def separator_tokens(tokenizer: Tokenizer) -> int:
    """How many tokens title and passage have more together than each alone, at most, as far as is known before."""
    return max(
        tokenizer.count(SEPARATOR),
        *(_joint(tokenizer, end, SEPARATOR, beginning) for end in _ENDS for beginning in _BEGINNINGS),
    )


def prompt_tokens(prompt: str, tokenizer: Tokenizer) -> int:
    """How many tokens a text has more behind this prompt than alone, at most; 0 without a prompt."""
    if not prompt:
        return 0
    return max(tokenizer.count(prompt), *(_joint(tokenizer, "", prompt, beginning) for beginning in _BEGINNINGS))


def _joint(tokenizer: Tokenizer, end: str, between: str, beginning: str) -> int:
    whole, *parts = tokenizer.counts((end + between + beginning, end, beginning))
    return whole - sum(parts)


def fit_title(title: str | None, tokenizer: Tokenizer, max_tokens: int) -> str | None:
    """The title's longest beginning, up to a word's end, of at most ``max_tokens`` when it is tokenized alone.

    A first word that alone exceeds them is cut at a token's end. White space around it is dropped. None where nothing
    is left: no title, a blank one, a limit of 0, or one below the tokens of the first character.
    """
    whole = (title or "").strip()
    if not whole or max_tokens < 1:
        return None
    if len(whole) <= _LONGEST_TITLE and tokenizer.count(whole) <= max_tokens:
        return whole
    seen = whole[:_LONGEST_TITLE]
    first, *others = (word.end() for word in _WORD.finditer(seen))
    # One token more than fits, since a tokenizer may count a beginning otherwise than the whole.
    tokens = sorted({end for _, end in tokenizer.spans(seen) if end})[: max_tokens + 1]
    words = [first, *(end for end in others if tokens and end <= tokens[-1])]
    for end in [*reversed(words), *reversed(tokens)]:
        beginning = seen[:end].rstrip()
        if beginning and tokenizer.count(beginning) <= max_tokens:
            return beginning
    return None
