"""One finding of the doctor: what was looked at, how bad it is, what was seen, and what to do about it.

    fatal      a process stops over it, or the index would be wrong
    advice     it works, and will not under conditions that may come
    ok         looked at and sound
    unchecked  could not be looked at, and why

A finding is one line. Law: a fatal finding and an advice say what to do; whoever reads only that line can act.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from schemas.chunk_event import Json

Severity = Literal["fatal", "advice", "ok", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``about`` names the part looked at: ``broker``, ``topic kb.chunks``, ``source docs``."""

    about: str
    severity: Severity
    what: str
    cure: str = ""

    def line(self) -> str:
        """As it is printed. Whatever a service said, it stays one line."""
        sentence = f"{self.what}; {self.cure}" if self.cure else self.what
        return f"{self.severity:<9} {self.about}: {' '.join(sentence.split())}"

    def blotted(self, blot: Callable[[str], str]) -> "Finding":
        """With ``blot`` done to its texts: what services say may hold what nobody is to read."""
        return replace(self, what=blot(self.what), cure=blot(self.cure))

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        return {"about": self.about, "severity": self.severity, "what": self.what, "cure": self.cure}


def ok(about: str, what: str) -> Finding:
    return Finding(about, "ok", what)


def advice(about: str, what: str, cure: str) -> Finding:
    return Finding(about, "advice", what, cure)


def fatal(about: str, what: str, cure: str) -> Finding:
    return Finding(about, "fatal", what, cure)


def refused(about: str, sentence: str) -> Finding:
    """A law of the stream that was broken: its sentence says already what to do."""
    return Finding(about, "fatal", sentence.rstrip().removesuffix("."))


def unchecked(about: str, why: str) -> Finding:
    return Finding(about, "unchecked", f"not checked because {why}")
