"""What came of a campaign so far, in a file that a later run goes on from, and what it says in the end.

A campaign of hours outlives a machine's patience: each injection is a line of JSON, written as it ends, so a run that
is interrupted, or meant to be short, is gone on with at the round where it stopped. The first line is the seed, which
all runs share; each run adds a line that names the commit it ran.
"""

import dataclasses
import json
import os
import secrets
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from chaos.comparison import Difference
from chaos.striking import Outcome

from stream.errors import Misuse

KINDS = tuple(kind.name for kind in dataclasses.fields(Difference))


@dataclass(frozen=True)
class Injection:
    """``outcome`` is None where the fault was not injected or not healed, and ``failure`` says why."""

    round: int
    fault: str
    seconds: float
    outcome: Outcome | None
    failure: str = ""

    def written(self):
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, line):
        said = json.loads(line)
        if (outcome := said["outcome"]) is not None:
            found = {kind: tuple(sentences) for kind, sentences in outcome["difference"].items()}
            outcome |= {"difference": Difference(**found), "stopped": tuple(outcome["stopped"])}
            said["outcome"] = Outcome(**outcome)
        return cls(**said)


class Tally:
    """Of the campaign in ``path``, which may not be there yet; None keeps nothing.

    ``seed`` is what is asked for; without it that of the file, or any. Raises Misuse where the file has another one.
    """

    def __init__(self, path=None, seed=None):
        self.injections = []
        self.commits = []
        self._path = None if path is None else Path(path)
        lines, torn_at = self._lines()
        self.seed = _seed(lines[0], path) if lines else secrets.randbelow(10**6) if seed is None else seed
        if seed not in (None, self.seed):
            raise Misuse(f"{path} holds a campaign of seed {self.seed}, not of {seed}.")
        if torn_at is not None:
            os.truncate(self._path, torn_at)
        for line in lines[1:]:
            if "commit" in (said := json.loads(line)):
                self.commits.append(said["commit"])
            else:
                self.injections.append(Injection.read(line))
        if not lines:
            self._write(json.dumps({"seed": self.seed}))

    def begin(self, commit):
        """A run of this commit begins."""
        self.commits.append(commit)
        self._write(json.dumps({"commit": commit}))

    def add(self, injection):
        self.injections.append(injection)
        self._write(injection.written())

    def _lines(self):
        """The whole ones, and where one begins that was being written when a run was killed; None where all are."""
        said = self._path.read_bytes() if self._path is not None and self._path.exists() else b""
        end = said.rfind(b"\n") + 1
        if said and not end:
            raise Misuse(f"{self._path} is no campaign.")
        return said[:end].decode().splitlines(), None if end == len(said) else end

    def _write(self, line):
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    @property
    def minutes(self):
        """Of all injections: what starting servers took is not in it."""
        return sum(one.seconds for one in self.injections) / 60

    def done(self, round_, fault):
        return any((one.round, one.fault) == (round_, fault) for one in self.injections)

    def outcomes(self):
        """Fault → its outcomes."""
        found = defaultdict(list)
        for one in self.injections:
            if one.outcome is not None:
                found[one.fault].append(one.outcome)
        return found

    def failures(self):
        return [one for one in self.injections if one.outcome is None]

    def good(self, faults, least):
        """Whether each of these faults bit so often and nothing was wrong with any."""
        found = self.outcomes()
        often = all(len(found[fault]) >= least for fault in faults)
        wrong = any(one.difference or one.stopped for outcomes in found.values() for one in outcomes)
        return often and not self.failures() and not wrong

    def table(self):
        """In Markdown, aligned for a terminal."""
        found = self.outcomes()
        rows = [["fault", "injected", *KINDS, "worst recovery"]]
        for fault in sorted(found):
            counts = _counts(found[fault])
            worst = max(outcome.recovery_s for outcome in found[fault])
            rows.append([fault, str(len(found[fault])), *(str(counts[kind]) for kind in KINDS), f"{worst:.1f} s"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in rows
        ]
        lines.insert(1, "|" + "-" * (widths[0] + 2) + "".join(f"|{'-' * (width + 1)}:" for width in widths[1:]) + "|")
        return "\n".join(lines)

    def sum(self):
        found = self.outcomes()
        outcomes = [outcome for of_fault in found.values() for outcome in of_fault]
        counts = _counts(outcomes)
        figures = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
        stopped = sum(len(outcome.stopped) for outcome in outcomes)
        runs = f"{len(self.commits)} runs" if len(self.commits) > 1 else "a run"
        return (
            f"{len(found)} faults, {len(outcomes)} injections in {self.minutes:.0f} minutes of {runs} "
            f"({', '.join(dict.fromkeys(self.commits))}), seed {self.seed}: {figures}; "
            f"{len(self.failures())} not healed, {stopped} members stopped unasked"
        )


def _seed(line, path):
    try:
        return json.loads(line)["seed"]
    except (ValueError, TypeError, KeyError):
        raise Misuse(f"{path} is no campaign.") from None


def _counts(outcomes):
    counted = [outcome.difference.counts() for outcome in outcomes]
    return {kind: sum(counts[kind] for counts in counted) for kind in KINDS}
