"""The switch itself: one compare-and-set of the alias, behind a fresh watermark.

Between the watermark and the switch more is committed at the source; the pair that takes over may not have applied
that yet, and what it then lacks is the lag at the switch. It is told. Searches that began before go on in the
collection that they began in.
"""

from dataclasses import dataclass

from operations.upgrade.comparing import await_passed
from operations.upgrade.surroundings import Surroundings, lag
from schemas.chunk_event import Json
from stream.errors import Fatal
from stream.upgrade import Pair


@dataclass(frozen=True, slots=True)
class Switched:
    """``lag`` in records at the switch; all that was committed ``watermark_s`` before it had been applied."""

    index: str
    before: str | None
    now: str
    lag: int
    watermark_s: float

    def to_json(self) -> dict[str, Json]:
        return {
            "index": self.index,
            "before": self.before,
            "now": self.now,
            "lag": self.lag,
            "watermark_s": round(self.watermark_s, 3),
        }


def switch(around: Surroundings, target: Pair, *, behind: bool) -> Switched:
    """Sends users to the target's collection. ``behind``: without waiting for a watermark, because somebody forces
    it. Raises Fatal where the pair does not catch up, or somebody else moved the alias meanwhile.
    """
    source = around.other(target)
    around.record(target)
    began = around.now_s()
    if not behind:
        await_passed(around, target)
    left = lag(around, target)
    if not around.catalog.switch_alias(around.index_name, source.collection, target.collection):
        now = around.live
        if now != target.collection:
            raise Fatal(
                f"Index {around.index_name} means {now or 'nothing'} by now: somebody moved it while this command "
                "ran; look at `embedstream upgrade status` and say it again."
            )
    return Switched(around.index_name, source.collection, target.collection, left, around.now_s() - began)
