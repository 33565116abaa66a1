"""The commands of ``embedstream upgrade``, as the command line gives them.

Each takes two files: ``--config`` of what was searched when the upgrade began, ``--next`` of what is to follow. They
stay as they are until the upgrade is retired, whichever of the two users search meanwhile.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from compose.commands import audit, upgrade
from compose.commands.dead_letters import printable
from compose.commands.upgrade import Asked, Verdict
from compose.commands.upgrade_plan import AskedMeans, Planned, planned
from compose.deployment import Deployment
from compose.pairs import Both
from compose.printing import err, out, print_json
from operations.upgrade.gates import Gate
from operations.upgrade.progress import Progress, Side
from operations.upgrade.retiring import Retirement
from stream.errors import Misuse

Opened = Callable[[Path | None], Deployment]
Config = Annotated[Path | None, typer.Option("--config", help="The present file; embedstream.toml if there is one.")]
Next = Annotated[Path, typer.Option("--next", help="The file of what is to follow.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for chunkers and embedders behind.")]
SampleSize = Annotated[int, typer.Option("--sample", min=0, help="Vectors of the target that are made again.")]
QueryFile = Annotated[
    Path | None, typer.Option("--queries", help="Queries for the overlap, one a line; sampled if left out.")
]
Least = Annotated[float, typer.Option("--least-overlap", min=0, max=1, help="A floor for the overlap.")]
Services = Annotated[
    list[str] | None, typer.Option("--query", help="Query services to ask, as http://host:port; [query] listen's.")
]
Force = Annotated[bool, typer.Option("--force", help="Pass gates that are not met, and say which.")]
WAIT_S = 60.0


def add_upgrading(app: typer.Typer, opened: Opened) -> None:
    """Adds them to the command line."""
    commands = typer.Typer(help="Move the index to another chunking or encoding.", no_args_is_help=True)
    app.add_typer(commands, name="upgrade")
    _add_plan(commands, opened)
    _add_start(commands, opened)
    _add_status(commands, opened)
    _add_verify(commands, opened)
    _add_move(commands, opened, "cutover", back=False)
    _add_move(commands, opened, "rollback", back=True)
    _add_retire(commands, opened)


def _add_plan(commands: typer.Typer, opened: Opened) -> None:
    @commands.command("plan")
    def plan_upgrade(
        *,
        next_: Next,
        config: Config = None,
        rate: Annotated[
            float | None, typer.Option("--rate", help="Chunks a second and device; measured here if left out.")
        ] = None,
        devices: Annotated[int, typer.Option("--devices", min=1, help="How many encode.")] = 1,
        share: Annotated[float, typer.Option("--share", help="Of each device, in (0, 1].")] = 1.0,
        price: Annotated[float | None, typer.Option("--price", min=0, help="Of a device hour.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Say what an upgrade would replay, copy, embed and cost; change nothing. Exit 1 if it cannot begin."""
        means = AskedMeans(rate, devices, share, price)
        found = planned(_both(opened, config, next_), means)
        if as_json:
            print_json(found.to_json())
        else:
            _show_plan(found, out())
        raise typer.Exit(0 if found.refused is None else 1)


def _add_start(commands: typer.Typer, opened: Opened) -> None:
    @commands.command("start")
    def start_upgrade(
        *,
        next_: Next,
        config: Config = None,
        resnapshot: Annotated[
            bool, typer.Option("--resnapshot", help="History is gone: ask the connectors to write all rows again.")
        ] = False,
        resnapshotted: Annotated[
            bool, typer.Option("--resnapshotted", help="History is gone, and they were asked already.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Make the next collection; processes that run with --next begin to fill it."""
        both = _both(opened, config, next_)
        begun = upgrade.begun(both, resnapshot=resnapshot, resnapshotted=resnapshotted)
        if as_json:
            print_json({"collection": begun.collection, "made": begun.anew})
            return
        did = "made" if begun.anew else "found"
        _say(out(), f"{did} {begun.collection}; run its processes with --config and --next, both files")


def _add_status(commands: typer.Typer, opened: Opened) -> None:
    @commands.command("status")
    def upgrade_status(*, next_: Next, config: Config = None, as_json: AsJson = False) -> None:
        """Show both collections, how far the next one is, and which one users search."""
        found = upgrade.progress_of(_both(opened, config, next_))
        if as_json:
            print_json(found.to_json())
        else:
            _show_progress(found, out())


def _add_verify(commands: typer.Typer, opened: Opened) -> None:
    @commands.command("verify")
    def verify_upgrade(
        *,
        next_: Next,
        config: Config = None,
        wait_s: Wait = WAIT_S,
        sample: SampleSize = audit.SAMPLE,
        queries: QueryFile = None,
        least_overlap: Least = 0.0,
        query: Services = None,
        as_json: AsJson = False,
    ) -> None:
        """Try every gate of a cutover (of a rollback, after one); exit 1 if one is not met."""
        asked = Asked(wait_s, sample, _queries(queries), least_overlap, tuple(query or ()))
        verdict = upgrade.verified(_both(opened, config, next_), asked, _teller(as_json=as_json))
        _report(verdict, as_json=as_json)
        raise typer.Exit(0 if all(gate.passed for gate in verdict.gates) else 1)


def _add_move(commands: typer.Typer, opened: Opened, name: str, *, back: bool) -> None:
    where = "back to the collection before" if back else "to the next collection"

    @commands.command(name, help=f"Send users {where}, if every gate is met; exit 1 if not.")
    def move(  # noqa: PLR0913 - one argument for each option
        *,
        next_: Next,
        config: Config = None,
        wait_s: Wait = WAIT_S,
        sample: SampleSize = audit.SAMPLE,
        queries: QueryFile = None,
        least_overlap: Least = 0.0,
        query: Services = None,
        force: Force = False,
        as_json: AsJson = False,
    ) -> None:
        asked = Asked(wait_s, sample, _queries(queries), least_overlap, tuple(query or ()), force)
        verdict = upgrade.moved(_both(opened, config, next_), asked, _teller(as_json=as_json), back=back)
        _report(verdict, as_json=as_json)
        raise typer.Exit(0 if verdict.already or verdict.switched is not None else 1)


def _add_retire(commands: typer.Typer, opened: Opened) -> None:
    @commands.command("retire")
    def retire_pair(
        *,
        next_: Next,
        config: Config = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is taken away.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Take away the collection that users do not search; names first what goes."""
        both = _both(opened, config, next_)
        going = upgrade.planned_retirement(both)
        _show_retirement(going, err() if as_json else out())
        if not yes:
            typer.confirm("Take this away?", abort=True, err=True)
        retired = upgrade.retired(both, WAIT_S)
        if as_json:
            print_json(retired.to_json())
        else:
            _say(out(), f"retired {going.pair.collection}; {retired.nulled:,} keys nulled in the chunk topic")
        if retired.unfinished is not None:
            _say(err(), f"left: {retired.unfinished}")
        raise typer.Exit(0 if retired.unfinished is None else 1)


def _both(opened: Opened, config: Path | None, next_: Path) -> Both:
    return Both(opened(config), opened(next_))


def _queries(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"The queries in {path} cannot be read ({error}); write one a line, as UTF-8.") from None
    queries = tuple(line.strip() for line in lines if line.strip())
    if not queries:
        raise Misuse(f"There are no queries in {path}; write one a line.")
    return queries


def _teller(*, as_json: bool) -> Callable[[Gate], None]:
    """Gates are told as they are known; a machine reads them at the end."""
    console = out()
    return (lambda _: None) if as_json else (lambda gate: _say(console, _line(gate)))


def _line(gate: Gate) -> str:
    return f"{'met' if gate.passed else 'NOT MET':<8} {gate.name:<10} {gate.said}"


def _report(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "target": verdict.target,
                "already": verdict.already,
                "gates": [gate.to_json() for gate in verdict.gates],
                "overridden": list(verdict.overridden),
                "switched": None if verdict.switched is None else verdict.switched.to_json(),
            }
        )
        return
    if verdict.already:
        _say(out(), f"users search {verdict.target} already")
    if verdict.overridden:
        _say(err(), f"passed by force: {', '.join(verdict.overridden)}")
    if verdict.switched is not None:
        switched = verdict.switched
        _say(
            out(),
            f"switched  {switched.index} → {switched.now}, {switched.lag} records behind; all that was committed "
            f"{switched.watermark_s:.2f} s before is in it",
        )


def _show_plan(found: Planned, console: Console) -> None:
    cost = found.cost
    lines = [
        ("change", f"{found.change}; replays {', '.join(found.replays)}"),
        ("from", found.present),
        ("to", found.following),
        (
            "chunks",
            f"{cost.chunks:,} of {cost.documents:,} documents: {cost.embedded:,} embedded, {cost.copied:,} copied",
        ),
        ("device", f"{cost.device_seconds / 3600:,.2f} device hours at {found.rate:,.1f} chunks a second"),
        ("wall-clock", _duration(cost.wall_seconds)),
        (
            "index",
            f"{_bytes(cost.vector_bytes)} of vectors, {_bytes(cost.payload_bytes)} of payloads, beside the present",
        ),
        ("topic", f"{_bytes(cost.topic_bytes)} more in the chunk topic"),
    ]
    if cost.cost is not None:
        lines.append(("cost", f"{cost.cost:,.2f}"))
    for name, said in lines:
        _say(console, f"{name:<11} {said}")
    if found.refused is not None:
        _say(err(), f"It cannot begin yet: {found.refused}")


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} seconds"


def _bytes(count: int) -> str:
    return decimal(count)


def _show_progress(found: Progress, console: Console) -> None:
    _say(console, f"upgrade     {found.change}: {found.step}" + (f", {found.done:.0%}" if found.done < 1 else ""))
    for name, side in (("present", found.before), ("next", found.after)):
        _say(console, f"{name:<11} {_told(side)}")


def _told(side: Side) -> str:
    if side.points is None:
        return f"{side.collection}, not there"
    searched = ", searched" if side.live else ""
    return f"{side.collection}{searched}: {side.points:,} points live, {side.lag:,} records behind"


def _show_retirement(going: Retirement, console: Console) -> None:
    _say(console, f"users search {going.live}; of {going.pair.collection} these go:")
    for line in going.lines():
        _say(console, f"  {line}")


def _say(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, emoji=False, highlight=False, soft_wrap=True)
