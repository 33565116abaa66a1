"""The commands by which an operator looks whether all is right, mends what the stream gave up, and takes away what
has to go.

They are a part of the command line (``compose.cli``) that stands in a file of its own; what they do is in
``compose.commands``. Exit status: 1 where the index differs, a letter was refused, a document could not be erased, or
no mark could go.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from compose.commands import audit, dead_letters, erase, purge
from compose.deployment import Deployment
from compose.printing import err, out, print_json
from stream.document_name import document_named
from stream.errors import Misuse
from stream.letter_selection import Selection

Opened = Callable[[Path | None], Deployment]
"""The deployment of a configuration file, or of the default one."""

Config = Annotated[Path | None, typer.Option("--config", help="TOML file; embedstream.toml if there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="What it failed by, as `list` shows it.")]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="chunker or embedder.")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="Name of the source.")]
Documents = Annotated[list[str] | None, typer.Option("--document", help="As <source>/<primary key>.")]
Places = Annotated[
    list[str] | None, typer.Option("--at", help="topic, topic:partition or topic:partition:offset of the record.")
]


def add_operating(app: typer.Typer, opened: Opened) -> None:
    """Adds them to the command line."""
    _add_audit(app, opened)
    letters = typer.Typer(help="Look at dead letters, and work with them once more.", no_args_is_help=True)
    app.add_typer(letters, name="dead-letters")
    _add_list(letters, opened)
    _add_show(letters, opened)
    _add_redrive(letters, opened)
    _add_erase(app, opened)
    _add_purge(app, opened)


def _add_audit(app: typer.Typer, opened: Opened) -> None:
    @app.command("audit")
    def audit_index(  # noqa: PLR0913 - one argument for each option
        *,
        config: Config = None,
        repair: Annotated[
            bool, typer.Option("--repair", help="Publish what differs again, wait, look again.")
        ] = False,
        all_vectors: Annotated[bool, typer.Option("--all-vectors", help="Make every vector again.")] = False,
        sample: Annotated[
            int, typer.Option("--sample", min=0, help="Vectors that are made again; 0: none, and no model is loaded.")
        ] = audit.SAMPLE,
        after_snapshot: Annotated[
            bool, typer.Option("--after-snapshot", help="A whole snapshot is complete: look for rows that it lacks.")
        ] = False,
        since: Annotated[
            str | None, typer.Option("--since", help="When that snapshot began, or a little before.")
        ] = None,
        source: Annotated[
            list[str] | None,
            typer.Option("--source", help="Of which source it is; of all that show one if left out."),
        ] = None,
        wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for embedders behind.")] = 60.0,
        hold: Annotated[
            int, typer.Option("--hold", min=1, help="Documents and chunks held in memory at once.")
        ] = audit.HOLD,
        as_json: AsJson = False,
    ) -> None:
        """Compare the index with the chunk topic; exit 1 if they differ."""
        sources = None if source is None else frozenset(source)
        asked = audit.Asked(repair, all_vectors, sample, after_snapshot, since, wait_s, hold, sources)
        report = audit.audited(opened(config), asked)
        if as_json:
            print_json(report.to_json())
        else:
            audit.show(report, out())
        raise typer.Exit(0 if report.equal else 1)


def _add_list(letters: typer.Typer, opened: Opened) -> None:
    @letters.command("list")
    def list_letters(
        *,
        config: Config = None,
        kind: Kinds = None,
        stage: Stages = None,
        source: Sources = None,
        document: Documents = None,
        at: Places = None,
        as_json: AsJson = False,
    ) -> None:
        """Show where each letter lies and what it failed by, one a line; no value of a record."""
        deployment = opened(config)
        found = dead_letters.listed(deployment, _selection(deployment, kind, stage, source, document, at))
        if as_json:
            print_json(dead_letters.list_json(found))
        else:
            dead_letters.show_list(found, out())


def _add_show(letters: typer.Typer, opened: Opened) -> None:
    @letters.command("show")
    def show_letter(
        letter: Annotated[str, typer.Argument(help="partition:offset, or topic:partition:offset of the record.")],
        *,
        config: Config = None,
        raw: Annotated[bool, typer.Option("--raw", help="The value's bytes alone, as they are.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show one letter whole: why it failed, its headers, key and value."""
        kept = dead_letters.one(opened(config), letter)
        if raw:
            sys.stdout.buffer.write(kept.letter.value or b"")
            sys.stdout.buffer.flush()
        elif as_json:
            print_json(dead_letters.one_json(kept))
        else:
            dead_letters.show_one(kept, out())


def _add_redrive(letters: typer.Typer, opened: Opened) -> None:
    @letters.command("redrive")
    def redrive_letters(  # noqa: PLR0913 - one argument for each option
        letter: Annotated[list[str] | None, typer.Argument(help="Letters by place; or name them by options.")] = None,
        *,
        config: Config = None,
        kind: Kinds = None,
        stage: Stages = None,
        source: Sources = None,
        document: Documents = None,
        at: Places = None,
        every: Annotated[bool, typer.Option("--all", help="Every letter of the topic.")] = False,
        dry_run: DryRun = False,
        as_json: AsJson = False,
    ) -> None:
        """Publish letters' revisions again, each at its own version; exit 1 if any is refused."""
        deployment = opened(config)
        meant = _selection(deployment, kind, stage, source, document, [*(letter or ()), *(at or ())])
        if meant.everything and not every:
            raise Misuse("`dead-letters redrive` wants to know which letters: name some, or say --all.")
        told = []
        try:
            for outcome in dead_letters.redriven(deployment, meant, dry_run=dry_run):
                told.append(outcome)
                if not as_json:
                    dead_letters.show_outcome(outcome, out())
        finally:
            # What was published by then is told even where an outage ends the command.
            if as_json:
                print_json(dead_letters.outcomes_json(told))
        if not as_json:
            typer.echo(dead_letters.summary(told, dry_run=dry_run))
        raise typer.Exit(1 if any(outcome.what == "refused" for outcome in told) else 0)


def _add_erase(app: typer.Typer, opened: Opened) -> None:
    @app.command("erase")
    def erase_documents(
        doc_id: Annotated[list[str], typer.Argument(help="As <source>/<primary key>, or with the key as JSON.")],
        *,
        config: Config = None,
        dry_run: DryRun = False,
        wait_s: Annotated[
            float | None,
            typer.Option("--wait", min=0, help=f"Seconds to wait for processes that are behind ({erase.WAIT_S:g})."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Erase documents that are gone from their source; exit 1 if any is not."""
        deployment = opened(config)
        documents = list(dict.fromkeys(document_named(typed, deployment.settings.sources) for typed in doc_id))
        report = erase.erased(deployment, documents, dry_run=dry_run, wait_s=wait_s)
        if as_json:
            print_json(erase.to_json(report))
        else:
            erase.show(report, out())
        raise typer.Exit(0 if report.done else 1)


def _add_purge(app: typer.Typer, opened: Opened) -> None:
    @app.command("purge")
    def purge_marks(
        *,
        config: Config = None,
        dry_run: DryRun = False,
        wait_s: Annotated[
            float,
            typer.Option("--wait", min=0, help="Seconds to wait after the grace: for embedders, then for the index."),
        ] = purge.WAIT_S,
        as_json: AsJson = False,
    ) -> None:
        """Take marks of removed chunks away for good, after the grace; exit 1 if none could go."""
        report = purge.purged(
            opened(config),
            dry_run=dry_run,
            wait_s=wait_s,
            begun=lambda begun: purge.show_begun(begun, err()),
        )
        if as_json:
            print_json(report.to_json())
        else:
            purge.show(report, out(), dry_run=dry_run)
        raise typer.Exit(0 if report.done or dry_run else 1)


def _selection(
    deployment: Deployment,
    kinds: list[str] | None,
    stages: list[str] | None,
    sources: list[str] | None,
    documents: list[str] | None,
    places: list[str] | None,
) -> Selection:
    known = deployment.settings.sources
    names = {source.name for source in known}
    if unknown := sorted(set(sources or ()) - names):
        raise Misuse(f"{unknown[0]!r} is no source of this configuration; it has {', '.join(sorted(names))}.")
    if unknown := sorted(set(stages or ()) - {"chunker", "embedder"}):
        raise Misuse(f"--stage takes chunker or embedder, not {unknown[0]!r}.")
    return Selection.written(
        kinds=kinds,
        stages=stages,
        sources=sources,
        documents=[document_named(typed, known) for typed in documents or ()],
        places=places,
    )
