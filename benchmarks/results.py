"""Reports as files: what was measured, on which machine, at which commit, by which command."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.figures import Ratio, Report, Scale, Side

ROOT = Path(__file__).parent.parent


def keep(into: Path, report: Report, scale: Scale) -> None:
    """Writes ``into/B1.json``."""
    document = {
        **asdict(report),
        "scale": scale.value,
        "command": f"python -m benchmarks {report.key}" + (" --quick" if scale is Scale.QUICK else ""),
        "commit": commit(),
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "machine": machine(),
    }
    (into / f"{report.key}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def kept(folder: Path, key: str) -> Report:
    """Reads it again."""
    said = json.loads((folder / f"{key}.json").read_text())
    return Report(
        said["key"],
        said["title"],
        tuple(Side(one["name"], one["unit"], tuple(one["values"])) for one in said["sides"]),
        tuple(Ratio(**one) for one in said["ratios"]),
        said["facts"],
        tuple(said["told"]),
    )


def commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - whichever git there is
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return said.stdout.strip() or "no commit"


def machine() -> dict[str, Any]:
    """Of a CPU, what decides how fast a network runs on it."""
    info = _cpu_info()
    flags = info.get("flags", "").split()
    return {
        "cpu": info.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "wide": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "sentence-transformers", "confluent-kafka", "qdrant-edge-py")},
    }


def _cpu_info() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
