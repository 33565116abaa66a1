"""The kill: a backlog, SIGKILL in the middle of it, a new start, and every point of the index against the table.

The backlog is a burst of what a table sees in an hour, edits, new rows, deletes, a row that is deleted and comes back
and rows that move, sized so that the process is busy for some seconds at the speed it showed before. It is killed
once part of the burst is in the index and part of it is not, which the figures tell.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compose.demo.corpus import SECTIONS, Document
from compose.demo.edits import Author
from compose.demo.expectation import Cut
from compose.demo.narration import Narrator
from compose.demo.stage import Stage
from compose.demo.view import Lags
from schemas.identity import DocId
from stream.comparison import Comparison, ExpectedDocument, compare
from stream.errors import Fatal

_BUSY_S = 3.0
_LEAST_CHUNKS = 60
_MOST_CHUNKS = 1_500
_EDITS = 24
_CHANGES = 4
_COPIED = range(4, 30)
"""Chunks of a row that is worth copying: not so many that one row alone is the backlog."""
_PART = 0.2
_LOOK_EVERY_S = 0.05
_DRAINED_EVERY_S = 0.25
_GIVE_UP_S = 180.0
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """What was written, and about how many chunks of it are new."""

    edits: int
    inserts: int
    deletes: int
    moves: int
    chunks: int


def burst(stage: Stage, rate: float, author: Author) -> Burst:
    """Writes a backlog of some seconds at ``rate`` chunks a second; every statement is a transaction."""
    table, rows = stage.table, stage.table.rows()
    cuts = {row.id: stage.expectation.cut(row) for row in rows}
    copies = _copies(rows, cuts, min(max(rate * _BUSY_S, _LEAST_CHUNKS), _MOST_CHUNKS))
    edited = rows[:: max(1, len(rows) // _EDITS)][:_EDITS]
    rest = [row for row in rows if row not in edited]
    deleted, moved, back = rest[:_CHANGES], rest[_CHANGES : 2 * _CHANGES], rest[2 * _CHANGES : 2 * _CHANGES + 1]
    chunks = sum(len(cuts[copy.id.removesuffix(_COPY)].chunks) for copy in copies)
    half = len(copies) // 2
    table.insert(copies[:half])
    for row in edited:
        text = author.edit(row.body).text
        chunks += len(stage.expectation.cut(replace(row, body=text)).chunks.keys() - cuts[row.id].chunks.keys())
        table.write_body(row.id, text)
    for row in deleted:
        table.delete(row.id)
    for row in moved:
        table.move(row.id, next(section for section in SECTIONS if section != row.section))
    for row in back:
        table.delete(row.id)
        table.insert([row])
    table.insert(copies[half:])
    return Burst(
        len(edited), len(copies) + len(back), len(deleted) + len(back), len(moved), chunks + _chunks(back, cuts)
    )


_COPY = "-copy"


def _copies(rows: Sequence[Document], cuts: dict[str, Cut], chunks: float) -> list[Document]:
    """New rows with so many chunks together, or as many as the table has to copy."""
    copies: list[Document] = []
    for row in rows:
        if chunks <= 0:
            break
        if len(cuts[row.id].chunks) in _COPIED:
            copies.append(replace(row, id=f"{row.id}{_COPY}", title=f"{row.title} (copy)"))
            chunks -= len(cuts[row.id].chunks)
    return copies


def _chunks(rows: Sequence[Document], cuts: dict[str, Cut]) -> int:
    return sum(len(cuts[row.id].chunks) for row in rows)


def kill_in_the_middle(stage: Stage, made: Burst, embedded_before: int) -> tuple[int, Lags]:
    """SIGKILL once a part of the burst is embedded; returns how many chunks were, and what was left."""
    give_up = time.monotonic() + _GIVE_UP_S
    with stage.view() as view:
        while True:
            embedded = view.figures().embedded - embedded_before
            if embedded >= made.chunks * _PART and stage.broker.lags():
                break
            if time.monotonic() > give_up:
                raise Fatal(f"The burst did not arrive; see {stage.process.child.log}.")
            time.sleep(_LOOK_EVERY_S)
    stage.process.kill()
    return embedded, stage.broker.lags()


def drain(stage: Stage, narrator: Narrator, left: Lags) -> dict[DocId, ExpectedDocument]:
    """Returns what the index should hold once the CDC topic tells all of the table and nobody is behind it."""
    give_up = time.monotonic() + _GIVE_UP_S
    expected: dict[DocId, ExpectedDocument] | None = None
    with narrator.working("draining") as bar:
        while True:
            lags = stage.broker.lags()
            bar.reach(0, f"{lags.chunker} rows and {lags.embedder} chunk events behind")
            if not lags:
                if expected is not None:
                    return expected
                revisions = stage.expectation.revisions(stage.broker.cdc_records())
                expected = stage.expectation.documents(stage.table.rows(), revisions)
                if expected is not None:
                    continue
            if time.monotonic() > give_up:
                raise Fatal(
                    f"After {_GIVE_UP_S:.0f} s {lags.chunker + lags.embedder} of {left.chunker + left.embedder} "
                    f"events are still to be done; see {stage.process.child.log}."
                )
            time.sleep(_DRAINED_EVERY_S)


def show(outcome: Comparison, narrator: Narrator) -> None:
    """Equal, or the difference."""
    if outcome.equal:
        narrator.say(
            f"equal: {outcome.documents} documents, {outcome.chunks:,} chunks, every id and every version as the "
            "table says"
        )
        return
    narrator.say(f"NOT EQUAL: {outcome.chunks:,} chunks expected, {outcome.live:,} found")
    for name in ("missing", "orphans", "stale", "duplicated"):
        different = getattr(outcome, name)
        if different:
            narrator.row(name, f"{len(different):,}")
            for one in different[:_SHOWN]:
                narrator.say(f"  {one.doc_id}  {one.id}  version {one.version}")


def compare_with_index(stage: Stage, expected: dict[DocId, ExpectedDocument]) -> Comparison:
    """Reads every point of the index."""
    with stage.view() as view:
        return compare(expected, view.points())
