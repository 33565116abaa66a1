"""Where a Markdown text may be cut: between sections, blocks, list items, table rows, lines of code.

The parser is semantic-text-splitter's, so its name and version are part of the contract of ``structure``. It packs
the largest elements that fit the limit, in order, and is asked for nothing finer than a plain paragraph or a line:
what is smaller is this project's own to cut (``stream.chunking.units``), by one rule whatever the strategy. That also
keeps it from endless lines, for which its time grows with the square (seen: 40 s for 50 kB).

Its time grows so with the rows of a table too, hence it never sees more than a window of the text, some ten times the
limit; a window ends where its last element begins. A code fence that is longer than the limit it does not see at all:
it would cut inside of lines, so such a fence is given line by line.

Law: elements are in order, disjoint, and begin at the beginning of a line; outside of them is white space alone.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from semantic_text_splitter import MarkdownSplitter

from stream.errors import Poison

WINDOW = 1 << 13
"""Code points of one window at least."""
_WINDOW_FOR_A_TOKEN = 32
"""Code points of a window for each token of the limit, at least: so that the last element is a small part of it."""
_LONGEST_LINE = 1 << 18
"""Code points. A line longer than a window is an element of its own; one longer than this is broken between words."""

_BEGINS_A_BLOCK = re.compile(
    r"\n[^\S\n]*(?:\n|#{1,6}[^\S\n]|[>|~`<]|[*+-][^\S\n]|\d{1,9}[.)][^\S\n]|(?:=+|-+)[^\S\n]*(?:\n|\Z)|"
    r":?-+:?[^\S\n]*\||:[^\S\n]|\[\^)"
)
"""A line, but for the first, that makes a text more than one paragraph. Where it errs, lines are told apart."""

_SPACE = re.compile(r"\s")
_LINE_END = re.compile(r"\n")
_FENCE = re.compile(r"^[^\S\n]*(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_OPENING = (
    r" {0,3}#{1,6}(?:[^\S\n]|\n|\Z)"
    r"|(?![^\S\n]*(?:\n|[-*+>|#]|\d{1,9}[.)]))[^\n]*+\n {0,3}(?:=+|-{2,})[^\S\n]*+(?:\n|\Z)"
)
"""A heading: marked by ``#`` in front of it, or by a line drawn under it."""
_OPENS = re.compile(_OPENING)
_INNER_HEADING = re.compile(rf"\n(?P<heading>{_OPENING})")
_HEADING = re.compile(r"#{1,6}(?:[^\S\n]|\Z)")
_UNDERLINE = re.compile(r"=+|-{2,}")
_MARK = re.compile(r"[>\s]*(?:[-*+>]|\d{1,9}[.)])(?:\s*\[[ xX]\])?")
_RULE = re.compile(r"[|:\s-]*-[|:\s-]*\|[|:\s-]*|\|[|:\s-]*-[|:\s-]*")
_LONGEST_MARK = 200
"""Code points of a line that holds nothing but marks; a longer one is taken for text."""


Span = tuple[int, int]


class Element(NamedTuple):
    """``text[start:end]``, white space at its ends left out. Larger than the limit only where it has no parts."""

    start: int
    end: int
    opens: bool
    """It begins with a heading."""
    leads: bool
    """It ends with a heading, or a mark of an item: it belongs to what follows."""


def elements(text: str, limit: int, count: Callable[[str], int]) -> Iterator[Element]:
    """All of the text that is not white space, in order. ``count`` gives tokens; beyond ``limit`` any number will do.

    Raises Poison where the text holds a lone surrogate.
    """
    place = 0
    fences: list[Span] = []
    for begin, end in _fences(text):
        if count(text[begin:end]) > limit:
            yield from _windows(text, place, begin, fences, limit, count)
            yield from _code(text, begin, end)
            place, fences = end, []
        else:
            fences.append((begin, end))
    yield from _windows(text, place, len(text), fences, limit, count)


def within(text: str, element: Element, limit: int, count: Callable[[str], int]) -> list[Element]:
    """The elements of one, each within ``limit``; itself alone where it has no smaller ones."""
    start, end = element.start, element.end
    fences = [(start + begin, start + stop) for begin, stop in _fences(text[start:end])]
    places = _places(text, start, end, limit, count)
    return list(_elements(text, _unbroken(text, places, end, fences, limit, count), end))


def is_fence(part: str) -> bool:
    """Whether the part is one code fence and nothing else."""
    return next(_fences(part), None) == (0, len(part))


def is_paragraph(part: str) -> bool:
    """Whether the part is one paragraph, heading, item or row: nothing in it begins a block of its own."""
    return _BEGINS_A_BLOCK.search(part) is None


def line_starts(text: str, begin: int, end: int) -> list[int]:
    """Where the lines of ``text[begin:end]`` begin, ``begin`` included."""
    return [begin, *(match.end() for match in _LINE_END.finditer(text, begin, end))]


def _windows(
    text: str, start: int, stop: int, fences: list[Span], limit: int, count: Callable[[str], int]
) -> Iterator[Element]:
    size = max(WINDOW, limit * _WINDOW_FOR_A_TOKEN)
    while start < stop:
        end = _window_end(text, start, stop, size)
        if end - start > size:
            places = [start]
        else:
            inside = fences[bisect_left(fences, (start, start)) : bisect_left(fences, (end, end))]
            places = _unbroken(text, _places(text, start, end, limit, count), end, inside, limit, count)
            if end < stop and len(places) > 1:
                end = places.pop()
        yield from _elements(text, places, end)
        start = end


def _window_end(text: str, start: int, stop: int, size: int) -> int:
    if start + size >= stop:
        return stop
    end = text.rfind("\n", start + 1, start + size)
    if end < 0:
        end = text.find("\n", start + size, min(start + _LONGEST_LINE, stop))
    if end < 0:
        space = _SPACE.search(text, min(start + _LONGEST_LINE, stop), stop)
        end = space.start() if space else stop
    return end


def _places(text: str, start: int, end: int, limit: int, count: Callable[[str], int]) -> list[int]:
    """Where elements begin in ``text[start:end]``, the start included: at the beginnings of lines alone."""

    def size(part: str) -> int:
        body = part.strip()
        return min(count(body), limit) if is_paragraph(body) else count(body)

    try:
        found = MarkdownSplitter.from_callback(size, limit, trim=False).chunk_indices(text[start:end])
    except UnicodeEncodeError as error:
        raise Poison(
            "surrogate",
            f"The text holds a lone surrogate at character {start + error.start}; mend it in the source.",
        ) from error
    places = {_line_start(text, start + offset + len(part) - len(part.lstrip())) for offset, part in found}
    return [start, *sorted(place for place in places if start < place < end)]


def _line_start(text: str, place: int) -> int:
    """Where the line begins, the space in front of it left out of account."""
    begin = text.rfind("\n", 0, place) + 1
    return place if not text[begin:place].strip() else begin


def _unbroken(
    text: str, places: list[int], stop: int, fences: list[Span], limit: int, count: Callable[[str], int]
) -> list[int]:
    """The places without those in a fence. One that had any, or is in an element that is too long, is one itself."""
    for begin, end in fences:
        first, last = bisect_right(places, begin), bisect_left(places, end)
        around = text[places[first - 1] : places[last] if last < len(places) else stop]
        if first < last or count(around) > limit:
            places = sorted({*places[:first], begin, *([end] if end < stop else []), *places[last:]})
    return places


def _code(text: str, begin: int, end: int) -> Iterator[Element]:
    places = line_starts(text, begin, end)
    for place, stop in zip(places, [*places[1:], end], strict=True):
        line = _element(text, place, stop)
        if line is not None:
            yield line._replace(opens=False, leads=place == begin)


def _elements(text: str, places: list[int], end: int) -> Iterator[Element]:
    for begin, stop in zip(places, [*places[1:], end], strict=True):
        element = _element(text, begin, stop)
        if element is not None:
            cuts = [begin, *_headings_to_cut(text, element), stop]
            yield from filter(None, (_element(text, *part) for part in pairwise(cuts)))


def _headings_to_cut(text: str, element: Element) -> list[int]:
    """Where a section begins inside an element that is none itself; and all headings, where none has text behind it.

    The parser packs across them: the former once it has packed smaller parts, the latter wherever they fit.
    """
    if element.opens and not element.leads:
        return []
    part = text[element.start : element.end]
    code = list(_fences(part))
    found = (match.start("heading") for match in _INNER_HEADING.finditer(part))
    places = [element.start + place for place in found if not any(begin < place < end for begin, end in code)]
    return places if element.leads else places[:1]


def _element(text: str, begin: int, end: int) -> Element | None:
    part = text[begin:end]
    kept = part.strip()
    if not kept:
        return None
    first = begin + len(part) - len(part.lstrip())
    return Element(first, first + len(kept), _OPENS.match(kept) is not None, _leads(kept))


def _leads(part: str) -> bool:
    """Whether it ends with a heading, the mark of an item, or the rule below the head of a table."""
    place = part.rfind("\n") + 1
    last = part[place:].strip()
    if _HEADING.match(last):
        return True
    if len(last) > _LONGEST_MARK:
        return False
    if _UNDERLINE.fullmatch(last):
        return bool(part[part.rfind("\n", 0, max(0, place - 1)) + 1 : place].strip())
    return _MARK.fullmatch(last) is not None or _RULE.fullmatch(last) is not None


def _fences(text: str) -> Iterator[Span]:
    """[start, end) of each code fence, its marks included; one that is not closed ends with the text."""
    start, opened = 0, ""
    for match in _FENCE.finditer(text):
        marks, rest = match.groups()
        if not opened and not ("`" in marks and "`" in rest):
            start, opened = match.start(), marks
        elif opened and marks.startswith(opened) and not rest.strip():
            yield start, match.end()
            opened = ""
    if opened:
        yield start, len(text)
