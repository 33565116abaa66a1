"""Runs benchmarks and prints every ratio with its goal.

    python -m benchmarks                 all of them, about an hour; tables and plots into benchmarks/results
    python -m benchmarks B2 B5           these
    python -m benchmarks --quick         all, small, under a minute on two cores; keeps nothing
    python -m benchmarks --into FOLDER   tables and plots there

Each benchmark has a process of its own (with ``--quick`` they share one). The exit status is 0 where all of them ran,
whatever they found; a ratio below its goal is marked, and docs/performance.md says why.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.catalogue import BENCHMARKS, load
from benchmarks.figures import Report, Scale
from benchmarks.printing import console, show, summary
from benchmarks.results import keep, kept

RESULTS = Path(__file__).parent / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed, as ratios with goals.")
    parser.add_argument("names", nargs="*", metavar="B1", help="; ".join(f"{key}: {what}" for key, what in _KEYS))
    parser.add_argument("--quick", action="store_true", help="small, in one process, and nothing is kept")
    parser.add_argument("--into", type=Path, default=None, help="where tables and plots go")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in BENCHMARKS]:
        parser.error(f"There is no {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
    return chosen


_KEYS = [(key, entry.what) for key, entry in BENCHMARKS.items()]


def main() -> int:
    chosen = arguments()
    names = chosen.names or list(BENCHMARKS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="embedstream-bench-") as scratch:
        into = chosen.into or (Path(scratch) if chosen.quick else RESULTS)
        into.mkdir(parents=True, exist_ok=True)
        reports = []
        failed = []
        for name in names:
            report = measured(name, into, quick=chosen.quick)
            if report is None:
                failed.append(name)
            else:
                reports.append(report)
    summary(reports, failed, time.monotonic() - began)
    return 1 if failed else 0


def measured(name: str, into: Path, *, quick: bool) -> Report | None:
    """None where it ended with an error, which was told."""
    if quick:
        try:
            return run(name, into, Scale.QUICK)
        except Exception:  # noqa: BLE001 - the others are to be seen all the same
            console().print_exception()
            return None
    ended = subprocess.run(  # noqa: S603 - this module itself
        [sys.executable, "-c", f"from benchmarks.__main__ import *; run({name!r}, Path({str(into)!r}), Scale.FULL)"],
        check=False,
    )
    return kept(into, name) if ended.returncode == 0 else None


def run(name: str, into: Path, scale: Scale) -> Report:
    """Measures, shows, and keeps."""
    module = load(name)
    began = time.monotonic()
    report: Report = module.measure(scale)
    show(report, time.monotonic() - began)
    keep(into, report, scale)
    if (draw := getattr(module, "draw", None)) is not None and scale is Scale.FULL:
        draw(report, into / f"{name}.svg")
    return report


if __name__ == "__main__":
    sys.exit(main())
