"""What the demo says, to a person who has never seen it: numbered steps, a few plain lines each.

On a terminal, work that takes a while shows a bar that goes away when it is done; elsewhere it is told in plain lines
at every quarter, so that a log stays readable. Nothing that comes from a document is taken for markup.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

_INDENT = "   "
_WIDEST = 110


class Bar(Protocol):
    """Work that goes on."""

    def reach(self, done: int, note: str = "") -> None:
        """So much of the total is done."""


class Narrator:
    """Speaks to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = 0
        self._width = min(_WIDEST, console.width) if console.is_terminal else _WIDEST

    def say(self, text: str = "") -> None:
        """One line, indented below its step."""
        self._print(f"{_INDENT}{text}" if text else "", None)

    def plain(self, text: str) -> None:
        """One line at the margin."""
        self._print(text, None)

    def step(self, text: str) -> None:
        """The next step begins."""
        self._steps += 1
        self._print("", None)
        self._print(f"{self._steps}  {text}", "bold")

    def row(self, name: str, text: str) -> None:
        """A name and what there is to say of it, aligned with the other rows."""
        self.say(f"{name:<12} {text}")

    def question(self, text: str) -> None:
        """A question; its hits follow."""
        self._print(f"{_INDENT}{text}", "italic")

    def hit(self, facts: str, passage: str) -> None:
        """Facts on one line, the passage on at most two."""
        self.say(f"  {facts}")
        lines = textwrap.wrap(
            " ".join(passage.split()), self._width - 9, max_lines=2, placeholder=" …", break_on_hyphens=False
        )
        for line in lines:
            self._print(f"{_INDENT}      {line}", "dim")

    @contextmanager
    def working(self, what: str, total: int | None = None) -> Iterator[Bar]:
        """Shows how far the work of the block is; ``total`` None says that nobody knows."""
        if not self._console.is_terminal:
            yield _Lines(self, what, total)
            return
        columns = (
            TextColumn(f"{_INDENT}{what}", markup=False),
            BarColumn(32),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self._console, transient=True, refresh_per_second=5) as progress:
            yield _Shown(progress, total)

    def _print(self, text: str, style: str | None) -> None:
        self._console.print(text, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)


class _Shown:
    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total, note="")

    def reach(self, done: int, note: str = "") -> None:
        self._progress.update(self._task, completed=done, note=note)


class _Lines:
    def __init__(self, narrator: Narrator, what: str, total: int | None) -> None:
        self._narrator = narrator
        self._what = what
        self._total = total
        self._told = 0

    def reach(self, done: int, note: str = "") -> None:
        if not self._total:
            return
        quarter = 4 * done // self._total
        if self._told < quarter < 4:
            self._told = quarter
            self._narrator.say(f"{self._what} {quarter * 25} %  {note}".rstrip())
