"""The demo's corpus: the topics of Python's own ``help()``, real prose that is on every machine.

A topic becomes a document: its heading is the title, the rest is the text, and the kind of thing that it tells of is
the section, a payload field. The topics differ from one version of Python to the next, so nothing here names one of
them or counts on their number; what is chosen is chosen by length, the same in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

QUESTIONS: Final = (
    "What happens when an exception is not handled?",
    "What is the result of comparing NaN with itself?",
    "How do I set a breakpoint?",
)
"""On the language, on a detail of it, and on a tool."""

SECTIONS: Final = ("statements", "types", "expressions", "names", "reference")
"""In the order in which a title is tried; the last takes the rest."""

_WORDS: Final = {
    "statements": ("statement", "definition"),
    "types": ("type", "object", "number", "literal", "string", "list", "dict", "boolean", "integer", "tuple"),
    "expressions": ("operat", "expression", "comparison", "call", "slicing", "subscription", "arithmetic"),
    "names": ("name", "identifier", "attribute", "scope", "import"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """A row of the table. ``body`` is plain text with blank lines between paragraphs."""

    id: str
    title: str
    body: str
    section: str


def corpus() -> list[Document]:
    """Every topic, in order of id."""
    from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte of text that nothing else needs

    return [document_of(name, text) for name, text in sorted(topics.items())]


def document_of(name: str, text: str) -> Document:
    """A topic as a document: a first line that is underlined is its title, else its name is."""
    lines = text.split("\n")
    for number, (line, below) in enumerate(pairwise(lines)):
        if line.strip():
            if _underlines(below, line):
                title, body = line.strip(), "\n".join(lines[number + 2 :]).strip("\n")
                return Document(name, title, body or text, _section(title))
            break
    title = name.replace("-", " ")
    return Document(name, title, text.strip("\n"), _section(title))


def characters(documents: Sequence[Document]) -> int:
    """Of all texts together."""
    return sum(len(document.body) for document in documents)


def _underlines(below: str, line: str) -> bool:
    mark = below.strip()
    return len(mark) >= len(line.strip()) > 0 and len(set(mark)) == 1 and not mark[0].isalnum()


def _section(title: str) -> str:
    lowered = title.lower()
    for section, words in _WORDS.items():
        if any(word in lowered for word in words):
            return section
    return SECTIONS[-1]
