"""One-sentence edits: what an author does to a page, done to any text by rule.

A sentence of running prose is chosen, one that stands in the text exactly once, and a few words are put at its end
that name the edit. An edited sentence that is edited again has these words exchanged, so a text does not grow with
the number of its edits. A text without such a sentence gets one more at its end.

Law: the edited text differs from the text, and in that sentence alone.
"""

import random
import re
from dataclasses import dataclass

_SENTENCE = re.compile(
    r"(?:\A|(?<=\n\n)|(?<=\n\n   )|(?<=[.!?] )|(?<=[.!?]\n))[A-Z](?:(?!\n\n)[^.!?]){20,400}\.(?=\s|$)"
)
_NOTE = re.compile(r", as edit \d+ says\.$")


@dataclass(frozen=True, slots=True)
class Edit:
    """``text`` after the edit; ``old`` and ``new`` are the sentence before and after it, empty where it is new."""

    text: str
    old: str
    new: str


def edit_sentence(text: str, number: int, choice: float) -> Edit:
    """Edit ``number`` of the text; ``choice`` in [0, 1) says how far down the sentence is looked for."""
    candidates = list(_SENTENCE.finditer(text))
    first = int(choice * len(candidates))
    chosen = next((one for one in [*candidates[first:], *candidates[:first]] if text.count(one.group()) == 1), None)
    if chosen is None:
        new = f"This sentence came with edit {number}."
        return Edit(f"{text}\n\n{new}", "", new)
    old = chosen.group()
    new = f"{_NOTE.sub('.', old)[:-1]}, as edit {number} says."
    return Edit(f"{text[: chosen.start()]}{new}{text[chosen.end() :]}", old, new)


class Author:
    """A sequence of edits that is the same in every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - chooses sentences, no secrets
        self._number = 0

    def edit(self, text: str) -> Edit:
        """The next edit, of a sentence anywhere in the text."""
        self._number += 1
        return edit_sentence(text, self._number, self._random.random())
