"""How commands print: for a person through a console, for a program as JSON."""

import sys

import orjson
import typer
from rich.console import Console


def out() -> Console:
    """Standard output. Words from rows may stand in what is printed, so nothing in them becomes a picture."""
    return Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, emoji=False)


def print_json(value: object) -> None:
    """Indented, on standard output."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
