"""What is read off the processes while they run, and what it says in the end."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path

MEGABYTE = 1 << 20


def resident(pid):
    """Resident bytes of a process: all of it, and its own memory without the files that are mapped into it."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))


def slope(samples):
    """Megabytes a minute: the least squares line through (seconds, bytes); 0 for fewer than two moments."""
    if len({at for at, _ in samples}) < 2:
        return 0.0
    line = statistics.linear_regression([at / 60 for at, _ in samples], [size / MEGABYTE for _, size in samples])
    return line.slope


@dataclass
class Memory:
    """Of one process."""

    samples: list[tuple[float, int]] = field(default_factory=list)
    own: list[tuple[float, int]] = field(default_factory=list)

    def look(self, at_s, pid):
        whole, own = resident(pid)
        self.samples.append((at_s, whole))
        self.own.append((at_s, own))

    def __str__(self):
        return f"{self.samples[-1][1] / MEGABYTE:.0f} MB ({self.own[-1][1] / MEGABYTE:.0f} without mapped files)"

    def since(self, at_s):
        """Slope of the whole, slope of its own memory, first and last megabytes, from this second on."""
        whole = [sample for sample in self.samples if sample[0] >= at_s]
        own = [sample for sample in self.own if sample[0] >= at_s]
        if not whole:
            return 0.0, 0.0, 0.0, 0.0
        return slope(whole), slope(own), whole[0][1] / MEGABYTE, whole[-1][1] / MEGABYTE
