"""The command line: reads arguments, calls ``compose.commands``, prints, and gives the exit status.

0 done, 1 failed, 2 used wrongly. An error is one sentence on standard error, never a traceback, unless it is a bug
and ``EMBEDSTREAM_DEBUG`` is set.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from adapters.confidential import Confidential
from compose.commands import contract as contracts
from compose.commands import doctor as doctors
from compose.commands import inspect as inspecting
from compose.commands import search as searching
from compose.commands import status as statuses
from compose.commands.looking import live_collection
from compose.deployment import Deployment
from compose.logs import log_to_stderr
from compose.native.stack import DEFAULT_FOLDER, Stack
from compose.operating import add_operating
from compose.planning import add_planning
from compose.printing import err, out, print_json
from compose.run import ROLES, Announced, Role, run, stopping_on_signals
from compose.settings import load
from compose.upgrading import add_upgrading
from compose.version import VERSION
from operations.doctor.rights import ROLES as ROLE_NAMES
from schemas.identity import DocId
from stream.contract import differences
from stream.errors import EmbedstreamError, Misuse

DEFAULT_CONFIG = Path("embedstream.toml")
_KEPT: list[Confidential] = []
"""The secrets of every configuration that this process has read: no error tells one."""

app = typer.Typer(
    name="embedstream",
    help="A vector index that is never stale and never wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
contract_app = typer.Typer(help="Fingerprints, and all that enters them.", no_args_is_help=True)
app.add_typer(contract_app, name="contract")

Config = Annotated[Path | None, typer.Option("--config", help="TOML file; embedstream.toml if there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Folder = Annotated[Path, typer.Option("--folder", help="Where the local servers keep their files.")]


@app.callback(invoke_without_command=True)
def _root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(VERSION)
        raise typer.Exit


@app.command()
def demo(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="40 updates instead of 150 or 30 s.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Leave it running, with the search page.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write all figures to this file as JSON.")] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo keeps its files.")] = Path("data/demo"),
) -> None:
    """Show the whole thing on this machine, on a real corpus."""
    from compose.demo import run_demo  # noqa: PLC0415 - needs the packages of the extra [local]

    raise typer.Exit(run_demo(folder, quick=quick, serve=serve, report=report, console=out()))


@app.command()
def up(
    what: Annotated[list[str] | None, typer.Argument(help="kafka, cdc or both; kafka if left out.")] = None,
    *,
    folder: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Start local servers: kafka; cdc adds PostgreSQL and Kafka Connect with Debezium."""
    wanted = set(what or ["kafka"])
    unknown = sorted(wanted - {"kafka", "cdc"})
    if unknown:
        raise Misuse(f"`up` starts kafka or cdc, not {unknown[0]!r}.")
    console = err() if as_json else out()
    stack = Stack(folder, lambda line: console.print(line, markup=False, highlight=False))
    addresses = stack.up(kafka=True, cdc="cdc" in wanted).as_json()
    if as_json:
        print_json(addresses)
        return
    for name, address in addresses.items():
        console.print(f"{name:<9} {address}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def down(*, folder: Folder = DEFAULT_FOLDER) -> None:
    """Stop the local servers that `up` started."""
    stopped = Stack(folder).down()
    typer.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status(*, config: Config = None, folder: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Show lag, collection and contract, and the local servers."""
    servers = Stack(folder).status() if folder.exists() else ()
    path = _config(config)
    found = None if path is None else statuses.status_of(_deployment(path))
    if as_json:
        running = {server.name: server.address if server.pid is not None else None for server in servers}
        print_json({**(found.to_json() if found else {}), "servers": running})
        return
    statuses.show_servers(servers, out())
    if found is not None:
        statuses.show(found, out())
    elif not servers:
        typer.echo("no local servers, and no configuration (--config) to ask about")


@app.command(name="run")
def run_command(
    role: Annotated[str, typer.Argument(help="chunker, embedder, query or all (one process).")],
    *,
    config: Config = None,
    next_: Annotated[
        Path | None, typer.Option("--next", help="The file of an upgrade: its pair runs beside, once it is begun.")
    ] = None,
) -> None:
    """Run a part of the stream until it is told to stop."""
    roles: tuple[Role, ...]
    match role:
        case "chunker" | "embedder" | "query":
            roles = (role,)
        case "all":
            roles = ROLES
        case _:
            raise Misuse(f"`run` takes chunker, embedder, query or all, not {role!r}.")
    deployment = _deployment(config)
    following = None if next_ is None else _deployment(next_)
    both = [deployment] if following is None else [deployment, following]
    log_to_stderr(os.environ, Confidential.of(secret for each in both for secret in each.settings.secrets()))
    with stopping_on_signals() as stopping:
        run(deployment, roles, stopping, _announce, following)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What to search for.")],
    *,
    config: Config = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = 5,
    as_json: AsJson = False,
) -> None:
    """Show hits with their version and age."""
    answer = searching.ask(_deployment(config), text, limit)
    if as_json:
        print_json(answer)
    else:
        searching.show(answer, out())


@app.command()
def dump(
    *, config: Config = None, vectors: Annotated[bool, typer.Option("--vectors", help="Vectors too.")] = False
) -> None:
    """Print every point of the index as JSON lines, marks included."""
    with live_collection(_deployment(config)) as live:
        for point in live.index.scroll(with_vectors=vectors):
            line: dict[str, object] = {"id": point.id, "payload": dict(point.payload)}
            if vectors:
                line["vector"] = None if point.vector is None else point.vector.values.tolist()
            sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


@app.command()
def inspect(
    doc_id: Annotated[str, typer.Argument(help="As <source>/<primary key>.")],
    *,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a document's source revision, chunk event and points, side by side."""
    found = inspecting.inspect(_deployment(config), DocId(doc_id))
    if as_json:
        print_json(found.to_json())
    else:
        inspecting.show(found, out())


@app.command()
def doctor(
    *,
    config: Config = None,
    probes: Annotated[bool, typer.Option("--probes", help="Load the model and compare the golden texts.")] = False,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="Whose rights to ask for: chunker, embedder; all if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong or will be, one finding a line; exit 1 if any is fatal."""
    unknown = sorted(set(role or ()) - ROLE_NAMES)
    if unknown:
        raise Misuse(f"`doctor --role` takes {', '.join(sorted(ROLE_NAMES))}, not {unknown[0]!r}.")
    deployment = _deployment(config)
    if "EMBEDSTREAM_LOG" in os.environ:
        log_to_stderr(os.environ, _KEPT[-1])
    else:
        doctors.keep_quiet()
    roles = ROLE_NAMES if role is None else frozenset(name for name in ROLE_NAMES if name in role)
    found = []
    for finding in doctors.findings_of(deployment, probes=probes, roles=roles):
        found.append(finding.blotted(_KEPT[-1].blotted))
        if not as_json:
            doctors.show(found[-1], out())
    if as_json:
        print_json(doctors.to_json(found))
    else:
        typer.echo(doctors.summary(found))
    raise typer.Exit(1 if any(finding.severity == "fatal" for finding in found) else 0)


@contract_app.command("show")
def contract_show(*, config: Config = None, as_json: AsJson = False) -> None:
    """Show this configuration's contract."""
    deployment = _deployment(config)
    if as_json:
        print_json(contracts.described(deployment))
    else:
        contracts.show(deployment, out())


@contract_app.command("diff")
def contract_diff(
    *,
    config: Config = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Another configuration; the live collection if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where this configuration and the live collection, or another configuration, differ; exit 1 if they do."""
    deployment = _deployment(config)
    if against is None:
        _, found = contracts.against_live(deployment)
        other = "in the collection"
    else:
        found = differences(deployment.contract, _deployment(against).contract)
        other = f"in {against}"
    if as_json:
        print_json([{"path": item.path, "here": item.ours, "there": item.theirs} for item in found])
    else:
        contracts.show_differences(found, other, out())
    raise typer.Exit(1 if found else 0)


def main() -> None:
    """The console script."""
    try:
        status = app(standalone_mode=False)
    except Misuse as error:
        _fail(str(error), 2)
    except EmbedstreamError as error:
        _fail(str(error), 1)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            _fail(f"{usage()} See embedstream --help.", 2)
        if os.environ.get("EMBEDSTREAM_DEBUG"):
            raise
        _fail(
            f"embedstream met something unforeseen ({type(error).__name__}: {error}); set EMBEDSTREAM_DEBUG=1 to see "
            "where, and report it.",
            1,
        )
    sys.exit(status if isinstance(status, int) else 0)


def _config(given: Path | None) -> Path | None:
    return given or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)


def _deployment(given: Path | None) -> Deployment:
    settings = load(_config(given), os.environ)
    _KEPT.append(Confidential.of(settings.secrets()))
    return Deployment(settings)


def _announce(running: Announced) -> None:
    if running.query is not None:
        typer.echo(f"search page  {running.query}")
    typer.echo(f"telemetry    {running.telemetry}")
    sys.stdout.flush()


def _fail(sentence: str, status: int) -> None:
    for kept in _KEPT:
        sentence = kept.blotted(sentence)
    typer.echo(sentence, err=True)
    sys.exit(status)


add_operating(app, _deployment)
add_upgrading(app, _deployment)
add_planning(app, _deployment)

if __name__ == "__main__":
    main()
