"""The text of a document and of its passages: one normalization and one template, both named in the contract.

``lf`` turns CRLF and CR into LF and does nothing else: spans are counted in the text so made, and whatever else a
tokenizer wants to fold, it folds itself. ``title-blank-passage`` embeds the passage alone, or the title, a blank line
and the passage.

A title shares the encoder's window with every passage of its document, so what is embedded of it is cut once, to a
limit of its own. The whole title is stored and shown. Law: nothing is truncated by the encoder, silently.
"""

import re

from stream.ports import Tokenizer

NORMALIZATION = "lf"
TEMPLATE = "title-blank-passage"
SEPARATOR = "\n\n"

_WORD = re.compile(r"\S+")
_LONGEST_TITLE = 1 << 14
"""Code points. Behind them a title that is too long is not even looked at."""


def normalize(text: str) -> str:
    """CRLF and CR → LF, nothing else. Applying it twice changes nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def embedded_text(title: str | None, passage: str) -> str:
    """What the encoder sees: the passage alone where there is no title, else title, blank line, passage."""
    return f"{title}{SEPARATOR}{passage}" if title else passage


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
