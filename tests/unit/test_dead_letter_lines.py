"""What the commands about dead letters print."""

import io
import json

import pytest
import typer
from letter_world import kept_row, row_record
from rich.console import Console
from typer.testing import CliRunner

from compose import operating
from compose.commands import dead_letters
from stream.errors import Outage
from stream.redrive import Outcome


@pytest.fixture
def command(monkeypatch):
    """`dead-letters redrive` over a redrive that tells one outcome and then meets an outage."""

    def redriven(deployment, selection, *, dry_run):
        yield Outcome(kept_row(row_record("1", 3)), "published", "Version 4 of :heart: is published.")
        raise Outage("no broker")

    class Settings:
        sources = ()

    class Deployment:
        settings = Settings

    monkeypatch.setattr(dead_letters, "redriven", redriven)
    app = typer.Typer()
    operating.add_operating(app, lambda _config: Deployment)
    return lambda *given: CliRunner().invoke(app, ["dead-letters", "redrive", "--all", *given])


def test_what_was_published_before_an_outage_is_told_as_json_too(command):
    said = command("--json")
    assert isinstance(said.exception, Outage)
    (outcome,) = json.loads(said.stdout)
    assert (outcome["outcome"], outcome["document"]) == ("published", "docs/1")


def test_a_word_between_colons_stays_what_it_is(command):
    assert ":heart:" in command().stdout


def test_an_id_with_a_line_break_forges_no_line():
    said = io.StringIO()
    dead_letters.show_list([kept_row(row_record("1\n0:9  forged", 3))], Console(file=said, width=300))
    lines = said.getvalue().splitlines()
    assert len(lines) == 3
    assert "docs/1\\n0:9  forged" in lines[1]
