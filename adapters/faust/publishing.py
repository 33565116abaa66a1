"""At least once: what stands for a transaction where there is none.

The order is the guarantee: first the records, until every in-sync replica has them; then the lineage; then the
offsets, which Faust commits after that. Killed anywhere, the successor reads the same records again and publishes the
same events again, at their own versions; an embedder finds them stale or equal.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from stream.ports import Committed, Outgoing, Partition, Producer


class Offsets(Protocol):
    """Where offsets are committed."""

    def commit(self, offsets: Mapping[Partition, Committed]) -> None: ...


class PublishThenCommit:
    """See ``stream.ports.TransactionalProducer``, of whose laws one does not hold: readers see the records of a call
    that failed, and see them again after it was repeated.
    """

    def __init__(self, producer: Producer, notes: Offsets, offsets: Offsets) -> None:
        self._producer = producer
        self._notes = notes
        self._offsets = offsets

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[Partition, Committed]) -> None:
        """Raises Outage; the same call may be made again."""
        self._producer.send(records)
        lineage = {partition: place for partition, place in offsets.items() if place.metadata}
        if lineage:
            self._notes.commit(lineage)
        self._offsets.commit({place: done for place, done in offsets.items() if place not in lineage})

    def close(self) -> None:
        """The producer is the caller's."""
