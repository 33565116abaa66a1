"""Publishes the revisions of damaged documents again, whole, for the owners of their partitions.

Nothing is written to the index here: one writer a partition, always. Each revision goes out at its own version, under
a key of its own, with ``recompute`` naming the collection, so that its embedder puts every chunk anew and removes
what else is live; in other collections it is applied as any revision of an equal version, and changes nothing.

A document that is in no revision is deleted at the newest version that is stored of it, marks too, which its planner
does not find stale. That can only be wrong where the topic once held its revision and lost it: not by compaction,
which keeps the last record of every key, but by retention or by records that were deleted. So where a partition's
beginning is gone nothing of the kind is published, and the sentence says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from operations.audit.gone_rows import Gone
from operations.audit.reading import TopicReading
from operations.audit.report import Repair
from operations.audit.second_look import stored_points
from operations.audit.surroundings import Surroundings
from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId, source_of
from stream.difference import Difference, Kind
from stream.errors import Poison
from stream.last_state import LastState
from stream.ports import Outgoing, Partition, Producer
from stream.republication import republished
from stream.survey import Foreign, stored_of

_TOGETHER = 100
"""Records that are sent in one call."""


class Repairing:
    """Of one audit. What it did is in ``done``."""

    def __init__(self, around: Surroundings, reading: TopicReading, producer: Producer) -> None:
        self._around = around
        self._reading = reading
        self._producer = producer
        self._waiting: list[Outgoing] = []
        self._lows = reading.lows()
        self.done = Repair()

    def publish(self, found: Sequence[Difference], state: LastState, gone: Mapping[DocId, Gone]) -> None:
        """Each document of ``found`` once; returns when all is acknowledged. Raises Outage."""
        wanted: dict[Partition, dict[int, DocId]] = {}
        for document, differences in _by_document(found).items():
            revision = state.get(document)
            if why := _hopeless(differences):
                self.done.left[document] = why
            elif document in gone and gone[document].version is None:
                self.done.left[document] = gone[document].why
            elif revision is not None:
                wanted.setdefault(revision.place, {})[revision.offset] = document
            else:
                self._delete_unknown(document)
        for document, event in self._reading.events(wanted):
            self._republish(_as_gone(event, gone.get(document)))
        self._flush()
        for documents in wanted.values():
            for document in documents.values():
                if document not in self.done.published and document not in self.done.left:
                    self.done.left[document] = "its revision was replaced meanwhile; audit again"

    def _delete_unknown(self, document: DocId) -> None:
        source = source_of(document)
        place = self._around.place_of(document)
        lineage = self._around.admission.lineages.get(source)
        if lineage is None or self._around.chunking_of(source) is None:
            self.done.left[document] = "its source is none of the collection's; take its points out by hand"
        elif self._lows.get(place, 0) > 0:
            self.done.left[document] = (
                f"partition {place.number} of {place.topic} has lost what lay below offset {self._lows[place]}, its "
                "revision perhaps too; audit again"
            )
        else:
            # Marks too: they are no difference, and would refuse a delete below theirs.
            stored = map(stored_of, stored_points(self._around, [document]))
            newest = max((one.version for one in stored if not isinstance(one, Foreign)), default=None)
            if newest is None:
                self.done.left[document] = "nothing is stored of it any more; audit again"
                return
            self._republish(ChunkEvent("delete", source, document, newest, lineage))

    def _republish(self, event: ChunkEvent) -> None:
        chunking = self._around.chunking_of(event.source)
        if chunking is None:
            self.done.left[event.doc_id] = "its source is none of the collection's"
            return
        wanted = replace(event, recompute=self._around.collection) if event.kind == "upsert" else event
        try:
            outgoing = republished(self._around.chunks, wanted, chunking)
        except Poison as poison:
            self.done.left[event.doc_id] = str(poison)
            return
        self._waiting.append(outgoing)
        self.done.published[event.doc_id] = event.version
        if len(self._waiting) >= _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._producer.send(self._waiting)
            self._waiting = []


def _as_gone(event: ChunkEvent, gone: Gone | None) -> ChunkEvent:
    if gone is None or gone.version is None:
        return event
    return ChunkEvent("delete", event.source, event.doc_id, gone.version, event.lineage, tenant=event.tenant)


def _hopeless(differences: Iterable[Difference]) -> str | None:
    for one in differences:
        if one.kind is Kind.AHEAD:
            return (
                f"the index knows version {one.version} and the topic none so new, so a repair would be stale; its "
                "row's next change mends it if that is newer, else the next generation does (index.generation)"
            )
        if one.kind is Kind.FOREIGN:
            return "a payload that no planner can read; take the point out of the index by its own tools, audit again"
    return None


def _by_document(found: Iterable[Difference]) -> dict[DocId, list[Difference]]:
    grouped: dict[DocId, list[Difference]] = {}
    for one in found:
        grouped.setdefault(one.doc_id, []).append(one)
    return grouped
