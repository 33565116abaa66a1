"""What becomes of a dead letter that is to be worked with once more.

A chunker's letter is a row: it is read and cut again under the present contract, at the version it always had. An
embedder's letter is a chunk event and is published again as the event it was. Both go to the chunk topic under a key
of their own (``stream.republication``), and the owner of the partition applies them, or finds them stale.

Refused are letters whose revision has no place in the present order: of another lineage (their versions cannot be
compared), of another chunking, without a version, those of a document that was erased since, and those that fail
today as they failed then. Needless are letters
whose document has moved on, which the embedder would drop, and those that the index shows as applied.

Laws: a redrive never gives a revision another version; it is decided from the letter, the contract and the stored
points alone, so redriving twice decides the same, or finds the first one applied; each attempt is counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId, Fingerprint, Version, document_point_id
from schemas.wrapped import Said
from stream.change import Ignore, read_change
from stream.delta import Plan, Stale, plan_revision
from stream.errors import Fatal, Poison
from stream.intake import Admission, Mismatched, OtherLineage, Work
from stream.kept_letter import CHUNKER, EMBEDDER, KeptLetter
from stream.points import Repaint, State, StoredPoint
from stream.ports import Outgoing
from stream.republication import republished
from stream.revision import ChunkTopic, Cutter
from stream.source import Source

What = Literal["published", "stale", "applied", "repeated", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter; ``sentence`` says it to a person and names no value of the record."""

    kept: KeptLetter
    what: What
    sentence: str
    event: ChunkEvent | None = None


@dataclass(frozen=True, slots=True)
class Redriven:
    """A letter's revision, ready to be published."""

    kept: KeptLetter
    event: ChunkEvent
    chunking: Fingerprint
    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class Redrive:
    """The present deployment, by which letters are judged."""

    sources: Mapping[str, Source]
    """CDC topic → source."""
    fingerprints: Mapping[str, Fingerprint]
    """Source name → header fingerprint."""
    lineages: Mapping[str, str]
    """Source name → lineage now."""
    cutter: Cutter
    chunks: ChunkTopic
    collection: str = ""
    store_text: bool = True
    erased: Mapping[tuple[DocId, str], Version] = field(default_factory=dict)
    """Document and lineage → the version up to which it was erased (``schemas.erasure_note``)."""

    def revision(self, kept: KeptLetter, parts: tuple[Said | None, Said | None] | None) -> Redriven | Outcome:
        """The letter's revision under the present contract. ``parts``: key and value of a row out of their frames.

        The letter holds its whole value, fetched from where it lies if the letter was too small for it.
        """
        try:
            if kept.letter.stage == EMBEDDER:
                return self._as_it_was(kept)
            if kept.letter.stage == CHUNKER:
                return self._cut_again(kept, parts or (None, None))
        except Poison as poison:
            # Its sentence may show a value.
            why = f"`dead-letters show {kept.address}` tells why"
            return _refused(kept, f"It cannot be worked with today either ({poison.kind}); {why}.")
        except Fatal as fatal:
            return _refused(kept, f"It would stop the process: {str(fatal).splitlines()[0]}")
        return _refused(kept, f"It is of the stage {kept.letter.stage!r}, which this version does not know.")

    def decided(self, redriven: Redriven, stored: Sequence[StoredPoint]) -> Redriven | Outcome:
        """The same, unless the index shows that publishing it changes nothing. ``stored``: the document's points."""
        event = redriven.event
        erased = self.erased.get((event.doc_id, event.lineage), -1)
        if event.kind == "upsert" and event.version <= erased:
            return _refused(redriven.kept, f"Its document was erased since, up to version {erased}.")
        plan = plan_revision(event, stored, store_text=self.store_text, collection=self.collection)
        if isinstance(plan, Stale):
            return Outcome(
                redriven.kept,
                "stale",
                f"Its document has moved on: the index holds version {plan.newest}, so an embedder would drop "
                f"version {event.version}.",
                event,
            )
        if _applied(event, plan, stored):
            return Outcome(redriven.kept, "applied", f"The index holds version {event.version} already.", event)
        return redriven

    def _as_it_was(self, kept: KeptLetter) -> Redriven | Outcome:
        if kept.letter.topic != self.chunks.name:
            return _refused(
                kept, f"It is of the chunk topic {kept.letter.topic}, and this configuration's is {self.chunks.name}."
            )
        if kept.letter.value is None:
            return _refused(kept, "Its value is gone, so there is no event to publish.")
        admission = Admission({each: source for source, each in self.fingerprints.items()}, self.lineages)
        match admission.of(kept.record):
            case Work(event, headers):
                return self._ready(kept, event, headers.chunking, (event.attempt or 0) + 1)
            case Mismatched(fingerprint):
                return _refused(
                    kept,
                    f"It was cut under another chunking ({fingerprint}); redrive it with the configuration of that "
                    "chunking.",
                )
            case OtherLineage(source, lineage):
                return self._of_another_lineage(kept, source, lineage)
            case _:
                return _refused(kept, "It says that a document was erased, which nothing has to be done about.")

    def _cut_again(self, kept: KeptLetter, parts: tuple[Said | None, Said | None]) -> Redriven | Outcome:
        letter = kept.letter
        source = self.sources.get(letter.topic)
        if source is None:
            return _refused(kept, f"No source of this configuration reads the topic {letter.topic}.")
        if letter.version is None or letter.lineage is None:
            return _refused(kept, "It carries no version and lineage, so its place among the revisions is not known.")
        lineage = self.lineages.get(source.name)
        if letter.lineage != lineage:
            return self._of_another_lineage(kept, source.name, letter.lineage)
        change = read_change(source, *parts, letter.headers, letter.version, kept.at_ms)
        if isinstance(change, Ignore):
            return _refused(kept, f"It says nothing about a document ({change.reason}).")
        self.chunks.refuse_hopeless(change)
        event = self.cutter.event(source.name, change, letter.lineage)
        return self._ready(kept, event, self.fingerprints[source.name], 1)

    def _ready(self, kept: KeptLetter, event: ChunkEvent, chunking: Fingerprint, attempt: int) -> Redriven:
        counted = replace(event, attempt=attempt)
        named = kept.named(counted.source, counted.doc_id)
        return Redriven(named, counted, chunking, republished(self.chunks, counted, chunking))

    def _of_another_lineage(self, kept: KeptLetter, source: str, lineage: str) -> Outcome:
        now = self.lineages.get(source, "gone")
        return _refused(
            kept,
            f"It is of another lineage ({lineage}; now it is {now}): its topics were made anew since, so its version "
            "cannot be compared; take the row from a new snapshot of the source.",
        )


def without_repeats(redriven: Iterable[Redriven]) -> tuple[list[Redriven], list[Outcome]]:
    """One letter for each revision, the one that was written last, in order of version; the others are told."""
    last: dict[tuple[str, int, str], Redriven] = {}
    repeated: list[Redriven] = []
    for each in sorted(redriven, key=lambda each: (each.kept.at_ms, each.kept.place, each.kept.offset)):
        revision = each.event.doc_id, each.event.version, each.chunking
        if before := last.get(revision):
            repeated.append(before)
        last[revision] = each
    chosen = sorted(last.values(), key=lambda each: (each.event.doc_id, each.event.version))
    by = {(each.event.doc_id, each.event.version, each.chunking): each for each in chosen}
    told = [
        Outcome(
            each.kept,
            "repeated",
            "It is of the same revision as the letter "
            f"{by[each.event.doc_id, each.event.version, each.chunking].kept.address}.",
            each.event,
        )
        for each in repeated
    ]
    return chosen, told


def _applied(event: ChunkEvent, plan: Plan, stored: Sequence[StoredPoint]) -> bool:
    """Whether applying it would change nothing: every point that it names is there at its version, and no other."""
    if event.recompute is not None:
        return False
    at = {point.id: point for point in stored}
    if not event.chunks:
        own = at.get(document_point_id(event.doc_id))
        gone = own is not None and own.state is State.DELETED and own.version == event.version
        return gone and not plan.removed_count
    if plan.missing or plan.removed or any(isinstance(write, Repaint) for write in plan.kept):
        return False
    return all(at[chunk.id].version == event.version for chunk in event.chunks)


def _refused(kept: KeptLetter, sentence: str) -> Outcome:
    return Outcome(kept, "refused", sentence)
