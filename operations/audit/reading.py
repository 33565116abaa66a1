"""Reads the chunk topic for an audit: up to ends that were noted, and behind an embedder that has passed them.

What is written behind the noted ends does not exist for whoever reads up to them, so the two sides of a comparison
speak of the same moment. Nothing is held here but positions.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from operations.audit.surroundings import Surroundings
from schemas.chunk_event import ChunkEvent
from stream.caught_up import behind
from stream.errors import Fatal, Poison
from stream.intake import Work
from stream.ports import Partition, Record

Item = TypeVar("Item")


class TopicReading:
    """One audit's view of the chunk topic."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def ends(self) -> Mapping[Partition, int]:
        """Behind every record that can be read now."""
        return self._around.topics.ends(self._around.chunks.name)

    def lows(self) -> Mapping[Partition, int]:
        return self._around.topics.low_watermarks(self._around.chunks.name)

    def records(self, ends: Mapping[Partition, int], starts: Mapping[Partition, int]) -> Iterator[Record]:
        """Of the partitions of ``ends``, from ``starts`` (else from the first) to there."""
        wanted = [place for place, end in ends.items() if end > starts.get(place, 0)]
        if not wanted:
            return
        begins = {place: starts[place] for place in wanted if place in starts}
        for record in self._around.records(wanted, begins):
            if record.offset < ends[record.partition]:
                yield record

    def events(self, wanted: Mapping[Partition, Mapping[int, Item]]) -> Iterator[tuple[Item, ChunkEvent]]:
        """The good events at these offsets, one at a time; one that compaction has taken meanwhile is left out."""
        ends = {place: max(offsets) + 1 for place, offsets in wanted.items() if offsets}
        starts = {place: min(wanted[place]) for place in ends}
        for record in self.records(ends, starts):
            if record.offset in wanted[record.partition]:
                with suppress(Poison):
                    intake = self._around.admission.of(record)
                    if isinstance(intake, Work):
                        yield wanted[record.partition][record.offset], intake.event

    def await_passed(self, ends: Mapping[Partition, int]) -> None:
        """Returns once the embedders have committed past these ends. Raises Fatal where that takes too long."""
        around = self._around
        lows = self.lows()
        left: dict[Partition, int] = {}

        def passed() -> bool:
            left.clear()
            committed = around.topics.committed(around.group, list(ends))
            left.update(behind(ends, lows, committed, around.admission.sources))
            return not left

        if not around.patience(passed):
            raise Fatal(
                f"The embedders of {around.collection} are {sum(left.values())} records behind the ends of "
                f"{around.chunks.name} that were noted, so what differs may be in flight; start an embedder, or give "
                "it more time (--wait)."
            )
