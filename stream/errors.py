"""The three ways in which something fails, and what each one means for an offset.

    EmbedstreamError
    ├── Poison   this record can never work          → dead letter, the offset advances
    ├── Outage   something out there is down         → retried with back-pressure, nothing is lost
    │   └── Late    its caller's deadline passed before its turn came → not done at all; the caller may ask again
    └── Fatal    going on would make the index wrong → the process stops with this sentence, exit status 1
        └── Misuse  the command or its configuration is wrong → exit status 2

Whether a record is poison follows from its bytes and the contract alone, never from the day: a dead letter today and
an applied revision tomorrow would leave two histories of one document. Anything not in this tree is a bug and is
treated as fatal.
"""


class EmbedstreamError(Exception):
    """One sentence for a person: what is wrong and what to do."""


class Poison(EmbedstreamError):
    """A record that can never work. ``kind`` is a short stable word for metrics and dead letters."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class Outage(EmbedstreamError):
    """The world is away for a while. ``retry_after_s`` is what the other side asked for, if it did."""

    def __init__(self, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Late(Outage):
    """Too much was asked for at once: the deadline passed before the turn came, and nothing was done."""


class Fatal(EmbedstreamError):
    """Stop: whatever comes next would be wrong. After the cure that the sentence names, a restart goes on."""


class Misuse(Fatal):
    """The command line or the configuration is wrong; nothing was started."""
