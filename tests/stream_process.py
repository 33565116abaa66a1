"""Whoever runs the roles of a deployment in a test: threads of this process, or a process of its own.

A role in a thread (:class:`Running`) starts quickly and its failure is at hand; a process (:class:`Process`) can be
killed. Both serve their metrics over HTTP, and a test reads them there.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from compose.deployment import Deployment
from compose.run import Announced, run

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0


def wait_for(
    condition: Callable[[], Any],
    what: str,
    deadline_s: float = PATIENCE_S,
    pause_s: float = 0.05,
    seen: object = None,
) -> Any:
    """The first true answer of ``condition``. ``seen`` is shown where there is none in time."""
    give_up = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > give_up:
            last = answer if seen is None else seen
            pytest.fail(f"waited {deadline_s:g} s in vain for {what}; the last answer was {last!r}")
        time.sleep(pause_s)
    return answer


class Metered:
    """Whoever serves ``/metrics``."""

    telemetry: str = ""
    query: str | None = None

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series with these labels; 0 where there is none."""
        page = httpx.get(f"{self.telemetry}/metrics", trust_env=False, timeout=20).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"embedstream_{name}" and labels.items() <= sample.labels.items()
        )

    def chunks(self, outcome: str) -> int:
        return int(self.metric("chunks_total", outcome=outcome))

    def events(self, outcome: str) -> int:
        return int(self.metric("events_total", outcome=outcome))

    def search(self, text: str, **more: Any) -> list[dict[str, Any]]:
        body = {"query": text, **more}
        answer = httpx.post(f"{self.query}/v1/search", json=body, trust_env=False, timeout=20)
        return list(answer.json().get("hits", []))


class Running(Metered):
    """Roles in threads of this process."""

    def __init__(self, deployment: Deployment, roles: Iterable[str], following: Deployment | None = None) -> None:
        self._following = following
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(deployment, tuple(roles)), daemon=True)
        self._thread.start()

    def _run(self, deployment: Deployment, roles: Any) -> None:
        try:
            run(deployment, roles, self._stopping, self._announced, self._following)
        except BaseException as error:  # noqa: BLE001 - the test's to judge
            self._failure = error

    def _announced(self, announced: Announced) -> None:
        self.telemetry, self.query = announced.telemetry, announced.query
        self._ready.set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ready(self) -> "Running":
        wait_for(lambda: self._ready.is_set() or not self.alive, "the roles to run")
        if self._failure is not None:
            raise self._failure
        return self

    def failure(self, deadline_s: float = PATIENCE_S) -> BaseException:
        """What ended it; the test takes it, so ``stop`` does not raise it again."""
        wait_for(lambda: not self.alive, "the roles to fail", deadline_s)
        failure, self._failure = self._failure, None
        assert failure is not None, "it ended without a failure"
        return failure

    def stop(self) -> None:
        self._stopping.set()
        wait_for(lambda: not self.alive, "the roles to stop")
        if self._failure is not None:
            raise self._failure


class Process(Metered):
    """``embedstream COMMAND…`` as a process, by this Python."""

    def __init__(self, arguments: Iterable[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._output = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compose.cli", *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONUNBUFFERED": "1",
                "PYTHONFAULTHANDLER": "1",
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def ready(self) -> "Process":
        """Returns when it announced itself; fails with what it said when it ended instead."""
        said = wait_for(lambda: self._announcement() or not self.alive, f"{self.log.name} to run")
        if said is True:
            pytest.fail(f"{self.log.name} ended with status {self._process.returncode}: {self.said()}")
        self.telemetry, self.query = said["telemetry"], said.get("search page")
        return self

    def _announcement(self) -> dict[str, str] | None:
        found = {}
        for line in self.said().splitlines():
            for name in ("search page", "telemetry"):
                if line.startswith(f"{name} "):
                    found[name] = line.removeprefix(name).strip()
        return found if "telemetry" in found else None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """A signal, and only to this process."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and only to this process."""
        if self.alive:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._output.close()

    def stop(self, deadline_s: float = PATIENCE_S) -> int:
        """SIGTERM; its exit status."""
        if self.alive:
            self._process.terminate()
        return self.ended(deadline_s)

    def ended(self, deadline_s: float = PATIENCE_S) -> int:
        """Its exit status, once it ended by itself."""
        give_up = time.monotonic() + deadline_s
        while self.alive:
            if time.monotonic() > give_up:
                # It says where each of its threads stands.
                self._process.send_signal(signal.SIGABRT)
                self._process.wait(PATIENCE_S)
                pytest.fail(f"waited {deadline_s:g} s in vain for {self.log.name} to end: {self.said()[-6000:]}")
            time.sleep(0.05)
        self._output.close()
        return int(self._process.returncode)

    def printed(self) -> str:
        """All that it printed; it has to end well."""
        assert self.ended() == 0, self.said()
        return self.said()
