"""The partition of a document is the one that Java's client would choose."""

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import DocId
from stream.partitioning import murmur2, partition_for, partition_of


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafkas_own_tests(key, signed):
    assert murmur2(key) == signed % 2**32


@given(key=st.binary(max_size=40), partitions=st.integers(1, 1000))
def test_the_partition_is_that_of_librdkafkas_murmur2(key, partitions):
    assert partition_for(key, partitions) == confluent_kafka.murmur2(key, partitions)


def test_a_document_is_placed_by_the_bytes_of_its_id():
    document = DocId("docs/Ж-42")
    assert partition_of(document, 8) == partition_for(document.encode(), 8)


def test_a_topic_without_partitions_is_refused():
    with pytest.raises(ValueError, match="at least one partition"):
        partition_for(b"key", 0)
