"""Which partition of the chunk topic a document belongs to.

Every event of a document stands in one partition, or its revisions could be applied out of order. So the partition is
computed here, from the document's id alone, and handed to the client explicitly: client libraries disagree on their
default (librdkafka's is a CRC32), and two of them writing one topic would spread a document.

The function is that of Kafka's Java client: 32-bit murmur2 with its seed, the sign bit cleared, modulo the number of
partitions (org.apache.kafka.common.utils.Utils.murmur2 and toPositive). Any Java producer, ksqlDB or Flink job that
keys by the document's id therefore finds the same partition.
"""

from schemas.identity import DocId

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def partition_of(document: DocId, partitions: int) -> int:
    """The document's partition, in [0, ``partitions``)."""
    return partition_for(document.encode(), partitions)


def partition_for(key: bytes, partitions: int) -> int:
    """The Java client's partition of a key, in [0, ``partitions``). Raises ValueError where there is none."""
    if partitions < 1:
        raise ValueError(f"A topic has at least one partition, not {partitions}.")
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 with the Java client's seed, as an unsigned 32-bit number."""
    state = _SEED ^ len(data)
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        state = (state * _MULTIPLIER & _MASK) ^ word
    if tail := data[whole:]:
        state = (state ^ int.from_bytes(tail, "little")) * _MULTIPLIER & _MASK
    state = (state ^ state >> 13) * _MULTIPLIER & _MASK
    return state ^ state >> 15
