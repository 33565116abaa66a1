"""The demo from beginning to end, in the order in which it is told.

Whatever ends it, its end, an error, Ctrl-C or SIGTERM, the workspace is left as it was found: everything that was
started is stopped, and its data is gone. Only ``serve`` leaves it running, and then until Ctrl-C.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from compose.demo import changes, loading, recovery
from compose.demo.corpus import Document, characters, corpus
from compose.demo.edits import Author
from compose.demo.expectation import Cut, document_id
from compose.demo.freshness import Freshness, OpenLoop, arrivals, summary
from compose.demo.narration import Narrator
from compose.demo.report import Deleted, Edited, Moved, Report, check_writable
from compose.demo.stage import Stage, raised
from compose.demo.view import View
from compose.demo.workspace import held
from stream.comparison import Comparison
from stream.errors import Fatal

_UPDATES = 150
_QUICK_UPDATES = 40
_PER_SECOND = 5.0
_LONGEST_S = 30.0
_SEED = 20
"""Any number: the same edits in every run."""


def run_demo(folder: Path, *, quick: bool, serve: bool, report: Path | None, console: Console) -> int:
    """Exit status: 0, or 1 where the index differs from the table after the kill. Raises EmbedstreamError.

    ``folder`` takes the demo's files and is empty, or holds an earlier demo's.
    """
    if report is not None:
        check_writable(report)
    narrator = Narrator(console)
    began = time.monotonic()
    with _ending_on_signals():
        with held(folder) as workspace:
            documents = corpus()
            narrator.plain(
                f"A table of {len(documents)} documents, {characters(documents) / 1000:.0f} kB: what Python's own "
                "help() tells. Every row that is committed becomes searchable."
            )
            narrator.step("PostgreSQL, Kafka, Debezium and Embedstream start")
            with raised(workspace, documents, narrator) as stage:
                figures = _told(stage, documents, quick=quick, narrator=narrator)
                if report is not None:
                    figures.write(report)
                narrator.plain("")
                if serve:
                    _serve(stage, narrator)
                narrator.plain("stopping")
        narrator.plain(f"Stopped after {time.monotonic() - began:.0f} s; nothing is left running or on disk.")
    return 0 if figures.recovery.equal else 1


def _told(stage: Stage, documents: list[Document], *, quick: bool, narrator: Narrator) -> Report:
    cuts = loading.cut_all(stage, documents)
    author = Author(_SEED)
    with stage.view() as view:
        narrator.step("The corpus is chunked, embedded and searchable")
        loaded, rate = loading.load(stage, view, cuts, narrator)
        loading.ask(view, narrator)
        narrator.step("Single rows change")
        edited, moved, deleted, rows = _single_changes(stage, view, documents, cuts, author, narrator)
        narrator.step("Updates arrive, whether the last one is searchable or not")
        freshness = _freshness(stage, view, rows, author, _QUICK_UPDATES if quick else _UPDATES, narrator)
    narrator.step("The process is killed in the middle of a backlog")
    outcome = _recovery(stage, rate, author, narrator)
    return Report(loaded, edited, moved, deleted, freshness, outcome)


def _single_changes(
    stage: Stage, view: View, documents: list[Document], cuts: dict[str, Cut], author: Author, narrator: Narrator
) -> tuple[Edited, Moved, Deleted, list[Document]]:
    """Also the rows as they are afterwards."""
    by_length = sorted(documents, key=lambda document: -len(document.body))
    longest, going = by_length[0], by_length[len(by_length) // 2]
    change = author.edit(longest.body)
    row = replace(longest, body=change.text)
    after = stage.expectation.cut(row)
    edited = changes.change_text(view, stage.table, changes.update_of(row.id, change, cuts[row.id], after))
    name = document_id(row.id)
    narrator.row(
        "a sentence",
        f"of {name} ({len(row.body) / 1000:.0f} kB, {len(after.chunks)} chunks): {edited.embedded} embedded, "
        f"{edited.kept} kept, searchable {edited.ms:.0f} ms after COMMIT",
    )
    moved, kept = changes.move(view, stage.table, row, after, "moved")
    row = replace(row, section="moved")
    narrator.row(
        "a column",
        f"of {name} that is in the payload alone: {moved.embedded} embedded, {kept} kept, {moved.ms:.0f} ms",
    )
    deleted = changes.delete(view, stage.table, going, cuts[going.id])
    narrator.row("a row", f"{document_id(going.id)} deleted: gone from search after {deleted.ms:.0f} ms")
    rows = [row if document.id == row.id else document for document in documents if document.id != going.id]
    return edited, moved, deleted, rows


def _freshness(
    stage: Stage, view: View, rows: list[Document], author: Author, count: int, narrator: Narrator
) -> Freshness:
    due = arrivals(count, _PER_SECOND, _LONGEST_S)
    updates = _updates(stage, rows, author, len(due))
    with stage.another_table() as table, narrator.working("updating", len(due)) as bar:
        loop = OpenLoop(
            updates,
            lambda update: table.write_body(update.row, update.body),
            lambda waiting: changes.searchable(view, waiting),
            time.monotonic,
        )
        ages = loop.run(due, lambda done: bar.reach(done, f"{done} of {len(due)} searchable"))
    found = summary(ages)
    narrator.say(
        f"{found.n} one-sentence edits, {_PER_SECOND:.0f} a second: COMMIT to searchable "
        f"p50 {found.p50:.0f} ms, p95 {found.p95:.0f} ms, p99 {found.p99:.0f} ms"
    )
    return found


def _updates(stage: Stage, rows: list[Document], author: Author, count: int) -> list[changes.Update]:
    """Made before the clock runs: cutting texts would take the processor from what is measured."""
    now = {row.id: (row, stage.expectation.cut(row)) for row in rows}
    made: list[changes.Update] = []
    while len(made) < count:
        for name, (row, before) in list(now.items())[: count - len(made)]:
            edit = author.edit(row.body)
            edited = replace(row, body=edit.text)
            after = stage.expectation.cut(edited)
            made.append(changes.update_of(name, edit, before, after))
            now[name] = edited, after
    return made


def _recovery(stage: Stage, rate: float, author: Author, narrator: Narrator) -> Comparison:
    with stage.view() as view:
        before = view.figures().embedded
    made = recovery.burst(stage, rate, author)
    narrator.say(
        f"a burst of {made.edits} edits, {made.inserts} new rows, {made.deletes} deletes and {made.moves} moves: "
        f"{made.chunks:,} chunks to embed"
    )
    embedded, left = recovery.kill_in_the_middle(stage, made, before)
    narrator.say(
        f"SIGKILL after {embedded:,} of them: {left.chunker} rows were not chunked yet, {left.embedder} chunk events "
        "not committed to the index"
    )
    killed = time.monotonic()
    stage.process.start()
    stage.process.await_ready()
    ready = time.monotonic()
    expected = recovery.drain(stage, narrator, left)
    narrator.say(f"started again in {ready - killed:.1f} s, drained {time.monotonic() - ready:.1f} s later")
    outcome = recovery.compare_with_index(stage, expected)
    recovery.show(outcome, narrator)
    return outcome


def _serve(stage: Stage, narrator: Narrator) -> None:
    """Until Ctrl-C. Raises Fatal where the process ends by itself."""
    narrator.plain(f"It keeps running. Search page: {stage.process.query}")
    narrator.plain(f"Change a row:  psql {stage.addresses.postgres}")
    narrator.plain("Ctrl-C stops it and removes its data.")
    try:
        while stage.process.child.find() is not None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        narrator.plain("")
        return
    raise Fatal(f"The process ended by itself. The end of its log:\n{stage.process.child.log_tail()}")


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does, so that it cleans up; what nohup ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupted) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
