"""A passage: the part of a document's text that one chunk shows, and the span that it has there.

Law: ``text[start:end]`` is the passage's text, character for character, for [start, end) in code points of the
normalized text. A passage begins and ends with something else than white space, so it is never blank.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Passage:
    """``span`` is [start, end) in code points of the document's text; ``text`` is exactly that part."""

    span: tuple[int, int]
    text: str
