"""Which benchmarks there are. Their modules have ``measure(scale) -> Report``, and perhaps ``draw(report, file)``."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    module: str
    what: str


BENCHMARKS = {
    "B1": Entry("end_to_end", "chunk topic to index, against the model alone"),
    "B2": Entry("chunking_speed", "chunking, against other splitters"),
    "B3": Entry("dropping", "dropping another contract's events by header"),
    "B4": Entry("writing", "conditional writes, against plain ones"),
    "B5": Entry("edits", "what an edit costs"),
    "B6": Entry("freshness", "commit to searchable"),
    "B7": Entry("searching", "searches during ingest"),
    "B8": Entry("scaling", "1 to 16 members with a simulated device"),
    "B9": Entry("memory", "resident memory and cold start"),
    "B10": Entry("retrieval", "retrieval quality of each chunking strategy"),
}


def load(key: str) -> Any:
    return import_module(f"benchmarks.{BENCHMARKS[key].module}")
