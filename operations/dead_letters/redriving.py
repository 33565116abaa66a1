"""Redrives letters: decides each (``stream.redrive``), looks up what the index holds, and publishes the rest.

It only publishes: the owner of a document's partition applies the revision, or drops it. Letters are worked through
in portions bounded in bytes, so that a topic full of large ones fits into memory. What was published is acknowledged
by all replicas when its outcome is told; an outage ends the command with what was told by then done and the rest as
it was, and running it again is harmless.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from operations.dead_letters.reading import Fetch, whole
from schemas.wrapped import Said
from stream.errors import Fatal, Poison
from stream.kept_letter import CHUNKER, KeptLetter
from stream.ports import Producer, Unframer, VectorIndex
from stream.redrive import Outcome, Redrive, Redriven, without_repeats

_PORTION_BYTES = 64 << 20
_PORTION_LETTERS = 500


@dataclass(frozen=True, slots=True)
class Redriving:
    """``index`` is the collection that this deployment writes, None where it was not made yet. Without a producer
    nothing is published, and it is told what would be.
    """

    redrive: Redrive
    fetch: Fetch
    unframer: Unframer
    index: VectorIndex | None
    producer: Producer | None

    def run(self, letters: Iterable[KeptLetter]) -> Iterator[Outcome]:
        """One outcome a letter, a portion at a time. Raises Outage and Fatal."""
        for portion in _portions(letters):
            yield from self._portion(portion)

    def _portion(self, letters: Sequence[KeptLetter]) -> Iterator[Outcome]:
        readable: list[Redriven] = []
        for kept in letters:
            found = self._revision(kept)
            if isinstance(found, Outcome):
                yield found
            else:
                readable.append(found)
        chosen, repeated = without_repeats(readable)
        documents = list(dict.fromkeys(each.event.doc_id for each in chosen))
        stored = {} if self.index is None or not documents else self.index.read(documents)
        due: list[Redriven] = []
        for each in chosen:
            decided = self.redrive.decided(each, stored.get(each.event.doc_id, ()))
            if isinstance(decided, Outcome):
                yield decided
            else:
                due.append(decided)
        if due and self.producer is not None:
            self.producer.send([each.outgoing for each in due])
        for each in due:
            yield self._published(each)
        yield from repeated

    def _revision(self, kept: KeptLetter) -> Redriven | Outcome:
        found = whole(kept, self.fetch)
        if found is None:
            return Outcome(
                kept,
                "refused",
                f"Its value was too large for the letter, and its original at {kept.origin} is gone.",
            )
        parts: tuple[Said | None, Said | None] | None = None
        if kept.letter.stage == CHUNKER and kept.letter.topic in self.redrive.sources:
            try:
                parts = self.unframer.unframed(found.record)
            except Poison as poison:
                return Outcome(kept, "refused", f"It cannot be worked with today either ({poison.kind}).")
            except Fatal as fatal:
                return Outcome(kept, "refused", f"It would stop the process: {fatal}")
        return self.redrive.revision(found, parts)

    def _published(self, each: Redriven) -> Outcome:
        event, place = each.event, each.outgoing.partition
        would = "would be published" if self.producer is None else "is published"
        return Outcome(
            each.kept,
            "published",
            f"Version {event.version} of {event.doc_id} {would} to {place.topic} [{place.number}], attempt "
            f"{event.attempt}.",
            event,
        )


def _portions(letters: Iterable[KeptLetter]) -> Iterator[list[KeptLetter]]:
    portion: list[KeptLetter] = []
    size = 0
    for kept in letters:
        if portion and (size + kept.length > _PORTION_BYTES or len(portion) >= _PORTION_LETTERS):
            yield portion
            portion, size = [], 0
        portion.append(kept)
        size += kept.length
    if portion:
        yield portion
