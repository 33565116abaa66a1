"""Changes of single rows, and how each is seen to be searchable.

A change is awaited in two looks. A cheap one asks the index for the very points that the change makes, whose ids are
known beforehand because they follow from the text; once they are there, a search is asked as a user would ask it, and
the time stops with the answer that shows the change. A search alone, asked over and over, would take the processor
from the stream that is being measured.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from compose.demo.corpus import Document
from compose.demo.edits import Edit
from compose.demo.expectation import Cut, document_id
from compose.demo.report import Deleted, Edited, Moved
from compose.demo.table import Table
from compose.demo.view import Figures, View
from schemas.identity import ChunkId, DocId
from stream.errors import Fatal
from stream.points import State

_LOOK_EVERY_S = 0.002
_GIVE_UP_S = 60.0
_HITS = 10


@dataclass(frozen=True, slots=True)
class Update:
    """A new text for a row. ``fresh`` are the chunks it makes, and ``wanted`` is the one that has the new words.

    It is asked for by its new ``sentence``, or, where others are nearer to that, by its own ``passage``.
    """

    row: str
    body: str
    fresh: tuple[ChunkId, ...]
    wanted: ChunkId
    sentence: str
    passage: str


def update_of(row: str, edit: Edit, before: Cut, after: Cut) -> Update:
    """The update that makes ``after`` of ``before``; their texts differ by ``edit``."""
    fresh = tuple(chunk for chunk in after.chunks if chunk not in before.chunks)
    wanted = next((chunk for chunk in fresh if edit.new in after.chunks[chunk].text), fresh[0])
    return Update(row, edit.text, fresh, wanted, edit.new, after.embedded(wanted))


def searchable(view: View, updates: Sequence[Update]) -> Collection[Update]:
    """Those whose passages a search finds now."""
    live = view.live([chunk for update in updates for chunk in update.fresh])
    return [
        update
        for update in updates
        if all(chunk in live for chunk in update.fresh)
        and (_finds(view, update.sentence, update.wanted) or _finds(view, update.passage, update.wanted))
    ]


def change_text(view: View, table: Table, update: Update) -> Edited:
    """Writes the new text."""
    before = view.figures()
    committed = table.write_body(update.row, update.body)
    ms = _until(lambda: bool(searchable(view, [update])), committed)
    counted = _settled(view, before)
    return Edited(counted.embedded, counted.kept, ms)


def move(view: View, table: Table, row: Document, cut: Cut, section: str) -> tuple[Moved, int]:
    """Puts the row into a section of its own; also tells how many chunks were kept."""
    versions = view.live(cut.chunks)
    first = next(iter(cut.chunks))
    before = view.figures()
    committed = table.move(row.id, section)

    def moved() -> bool:
        now = view.live(cut.chunks)
        if any(now[chunk] <= versions[chunk] for chunk in cut.chunks):
            return False
        return _finds(view, cut.embedded(first), first, section)

    ms = _until(moved, committed)
    counted = _settled(view, before)
    return Moved(counted.embedded, ms), counted.kept


def delete(view: View, table: Table, row: Document, cut: Cut) -> Deleted:
    """Deletes the row."""
    document: DocId = document_id(row.id)
    question = cut.embedded(next(iter(cut.chunks)))
    committed = table.delete(row.id)

    def gone() -> bool:
        if _any_live(point.state for point in view.points_of(document)):
            return False
        return all(hit["doc_id"] != document for hit in view.search(question, _HITS))

    return Deleted(_until(gone, committed))


def _finds(view: View, question: str, chunk: ChunkId, section: str | None = None) -> bool:
    return any(hit["id"] == chunk for hit in view.search(question, _HITS, section=section))


def _any_live(states: Iterable[State]) -> bool:
    return any(state is State.LIVE for state in states)


def _until(seen: Callable[[], bool], committed: float) -> float:
    """Milliseconds from the commit until it was seen."""
    while not seen():
        if time.monotonic() - committed > _GIVE_UP_S:
            raise Fatal(f"A change was not searchable {_GIVE_UP_S:.0f} s after its commit.")
        time.sleep(_LOOK_EVERY_S)
    return round((time.monotonic() - committed) * 1000, 1)


def _settled(view: View, before: Figures) -> Figures:
    """What one revision added to the figures; they are counted a moment after it is searchable."""
    give_up = time.monotonic() + _GIVE_UP_S
    while (counted := view.figures().since(before)).applied < 1:
        if time.monotonic() > give_up:
            raise Fatal("A change is searchable and was not counted.")
        time.sleep(_LOOK_EVERY_S)
    return counted
