"""Events are produced one by one, and the offsets committed behind them: at least once. A chunker that comes late, or
again, writes an old revision behind a newer one, and compaction keeps it.
"""

from adapters.memory.bus import MemoryTransactionalProducer
from stream.errors import Outage


def transact(producer, records, offsets):
    for record in records:
        producer._step(f"produce {record.partition.topic}")
        producer._broker.append(record)
    producer._step("send offsets")
    group, member = producer._consumer.group, producer._consumer.member
    if not group.has(member):
        raise Outage("The group went on without this member.")
    group.committed.update(offsets)


PATCHES = [(MemoryTransactionalProducer, "transact", transact)]
