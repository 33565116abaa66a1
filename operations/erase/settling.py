"""Nulls the keys, and looks behind the nulls for what others wrote meanwhile, until a look finds nothing.

A chunker may have a transaction open in which a newer revision stands already: it is seen once that has ended, so the
log's ends behind the nulls are waited for before a look counts. A newer revision with a null behind it is the one
that compaction would take: it is published again. An older one that a redrive or a repair published between the first
look and the nulls has a key that no null knows: it is nulled too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from operations.erase.report import Erased
from operations.erase.surroundings import Surroundings
from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId
from stream.erasure import Trail, follow, late_nulls, lost, nulls
from stream.ports import Outgoing, Partition

_LOOKS = 5
"""Whoever still writes to the documents then goes on doing so."""


class Settling:
    """Of one run. ``ends``: of the chunk topic's partitions, up to where the trails are known."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self.ends: Mapping[Partition, int] = around.topics.log_ends(around.chunks.name)

    def reached(self) -> bool:
        """Whether all that lies below ``ends`` can be read: no transaction in it is open any more."""
        around, wanted = self._around, self.ends
        return around.patience(lambda: _reached(around.topics.ends(around.chunks.name), wanted))

    def bring_back(self, found: Mapping[DocId, Trail]) -> dict[DocId, int]:
        """Publishes revisions behind which a null lies; document → how many."""
        again = {document: lost(trail, self._around.chunks) for document, trail in found.items()}
        records = [record for each in again.values() for record in each]
        if records and self._around.producer is not None:
            self._around.producer.send(records)
        return {document: len(each) for document, each in again.items() if each}

    def settled(self, told: Sequence[Erased], due: Sequence[Trail]) -> list[Erased]:
        """With what became of the keys. Raises Outage and Fatal."""
        producer = self._around.producer
        found = {trail.document: trail for trail in due}
        deletes = {document: trail.newest for document, trail in found.items()}
        keys = {document: nulls(trail) for document, trail in found.items()}
        nulled = dict.fromkeys(found, 0)
        back = dict.fromkeys(found, 0)
        unfinished: dict[DocId, str] = {}
        for look in range(_LOOKS if found else 0):
            for document, records in keys.items():
                if records and producer is not None:
                    producer.send(records)
                nulled[document] += len(records)
            if producer is None:
                break
            if not self._look(found):
                unfinished = dict.fromkeys(found, self._open_transaction())
                break
            brought = self.bring_back(found)
            for document, count in brought.items():
                back[document] += count
            keys = self._late(found, deletes)
            if not brought and not keys:
                break
            if look == _LOOKS - 1:
                unfinished = dict.fromkeys((*brought, *keys), _WRITTEN_TO)
        return [
            each
            if each.document not in found
            else replace(
                each,
                nulled=nulled[each.document],
                came_back=back[each.document],
                unfinished=unfinished.get(each.document),
            )
            for each in told
        ]

    def _look(self, found: Mapping[DocId, Trail]) -> bool:
        """Takes what was written since the last look; False where a transaction stays open."""
        before = self.ends
        self.ends = self._around.topics.log_ends(self._around.chunks.name)
        if not self.reached():
            self.ends = before
            return False
        follow(found, self._around.records(sorted(self.ends), before))
        return True

    def _late(
        self, found: Mapping[DocId, Trail], deletes: Mapping[DocId, ChunkEvent | None]
    ) -> dict[DocId, list[Outgoing]]:
        made = {}
        for document, delete in deletes.items():
            if delete is not None and (records := late_nulls(found[document], delete)):
                made[document] = records
        return made

    def _open_transaction(self) -> str:
        return (
            f"A transaction in {self._around.chunks.name} stays open behind the nulls, and a newer revision of the "
            "document in it would be lost to compaction; run this again once the chunker goes on, and within "
            "min.compaction.lag.ms."
        )


_WRITTEN_TO = "It is still being written to by a redrive or a repair; stop that, and run this again."


def _reached(now: Mapping[Partition, int], wanted: Mapping[Partition, int]) -> bool:
    return all(now.get(place, 0) >= end for place, end in wanted.items())
