"""Audit's repair reads, plans, embeds and writes by itself, beside the owner of the partition. What the owner does
between its look and its writes, it does not know.
"""

from contextlib import suppress
from dataclasses import replace

from simulation import operators
from simulation.network import UnreliableIndex
from simulation.process import PLAN_MAX_AGE_S, Process

from consumers.stages import ShrinkingEncoder, apply_batch, encode_batch, plan_batch
from consumers.workload import Revision
from stream.errors import Outage
from stream.ports import Partition, Record


class Repairer(Process):
    def __init__(self, world, pair, event):
        self._event = event
        super().__init__(world, f"repair-{pair.name}.{world.number()}", pair)

    @property
    def idle(self):
        return not self.runs

    def run(self):
        """Once: after an outage an operator says it again, for it is still to be repaired."""
        with suppress(Outage):
            self._write()

    def _write(self):
        pair, world, event = self.pair, self.world, self._event
        index = UnreliableIndex(world.tables[pair], self)
        revision = Revision(event, Record(Partition("", 0), 0, None, None), 0, 0)
        planned = plan_batch(
            index,
            [revision],
            pair.cutter.embedded_title,
            world.clock,
            store_text=True,
            collection=pair.collection,
        )
        encoded, _ = encode_batch(ShrinkingEncoder(world.encoders[pair], lambda: None), planned)
        if (
            encoded
            and not apply_batch(index, encoded, world.clock, PLAN_MAX_AGE_S).expired
            and operators.is_last(world, pair, event)
        ):
            world.to_repair.discard((pair, event.doc_id))


def repair(world, pair, document):
    event = world.laws.newest.get((document, pair.header))
    if event is not None:
        world.laws.recomputed.add((document, event.version, pair.collection))
        world.processes.append(Repairer(world, pair, replace(event, recompute=pair.collection, attempt=None)))


PATCHES = [(operators, "repair", repair)]
