"""Reports on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Ratio, Report

_LARGE = 100


def console() -> Console:
    return Console(width=118)


def show(report: Report, seconds: float) -> None:
    """Its sides."""
    table = Table(title=f"{report.key}  {report.title}  ({seconds:.0f} s)", title_justify="left")
    for heading in ("", "median", "least", "most", "rounds"):
        table.add_column(heading, justify="right" if heading else "left")
    for side in report.sides:
        figures = (side.median, min(side.values), max(side.values))
        table.add_row(f"{side.name} ({side.unit})", *map(_figure, figures), str(len(side.values)))
    out = console()
    out.print(table)
    for sentence in report.told:
        out.print(sentence, markup=False, highlight=False)


def summary(reports: Sequence[Report], failed: Sequence[str], seconds: float) -> None:
    """Every ratio with its goal, and a last line."""
    table = Table(title="Ratios", title_justify="left")
    for heading, justify in (
        ("", "left"),
        ("ratio", "left"),
        ("found", "right"),
        ("rounds", "right"),
        ("goal", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("")
    ratios = [(report.key, one) for report in reports for one in report.ratios]
    for key, one in ratios:
        ends = "" if one.least == one.most else f"{one.least:.2f} – {one.most:.2f}"
        table.add_row(key, one.name, f"{one.value:.2f}", ends, _goal(one), "" if one.met else "below")
    out = console()
    out.print(table)
    asked = [one for _, one in ratios if one.goal is not None]
    missed = [one for one in asked if not one.met]
    out.print(
        f"{len(reports)} benchmarks in {seconds:.0f} s: {len(asked) - len(missed)} of {len(asked)} goals reached"
        + (f", {len(missed)} not: docs/performance.md says why" if missed else "")
        + (f"; FAILED: {', '.join(failed)}" if failed else ""),
        highlight=False,
    )


def _goal(one: Ratio) -> str:
    return "" if one.goal is None else f"{'≤' if one.at_most else '≥'} {one.goal:g}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= _LARGE else f"{value:,.2f}"
