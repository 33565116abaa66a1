"""The double of a Qdrant server as a process of its own, for the tests that run several processes against one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

SCRIPT = Path(__file__).parent / "doubles" / "qdrant_double.py"


class QdrantProcess:
    """Serves from construction to ``close``; what it keeps ends with it."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the double did not start"

    def order(self, kind: str, where: str = "", **more: Any) -> None:
        """See ``doubles.ordered_faults``."""
        fault = {"kind": kind, "where": where, **more}
        httpx.post(f"{self.url}/double/faults", json=fault, trust_env=False).raise_for_status()

    def clear(self) -> None:
        """Nothing is ordered any more."""
        httpx.post(f"{self.url}/double/clear", trust_env=False).raise_for_status()

    def met(self) -> int:
        """Requests that were done wrong since the last ``clear``."""
        return int(self._asked()["met"])

    def left(self) -> int:
        """Requests that are still to be done wrong."""
        return int(self._asked()["left"])

    def _asked(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/double/faults", trust_env=False, timeout=30).raise_for_status()
        return dict(answer.json())

    def close(self) -> None:
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._process.stdout.close()
