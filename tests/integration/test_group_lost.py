"""A broker that comes back without its groups: their members join anew, and read what no commit tells of any more."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from adapters.kafka.bus import KafkaBus
from compose.native.stack import Stack
from stream.errors import Outage
from stream.ports import Committed, Outgoing, Partition

DOCS = Partition("docs", 0)


class Owner:
    def __init__(self):
        self.told, self.committed = [], []

    def on_assigned(self, partitions, committed):
        self.told.append("assigned")
        self.committed.append(dict(committed))

    def on_revoked(self, partitions):
        self.told.append("revoked")

    def on_lost(self, partitions):
        self.told.append("lost")


def read_until(consumer, found, value):
    give_up = time.monotonic() + 90
    while value not in found:
        assert time.monotonic() < give_up, f"{value} did not come; {found} did"
        try:
            found.extend(record.value for record in consumer.poll(100, 0.1).records)
        except Outage:
            continue


def write(bus, *values):
    producer = bus.producer()
    producer.send([Outgoing(DOCS, None, value) for value in values])
    producer.close()


@pytest.mark.kafka
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_members_of_a_group_that_the_broker_forgot_join_it_anew(protocol):
    folder = Path(tempfile.mkdtemp(prefix="embedstream-group-"))
    stack = Stack(folder)
    try:
        bus = KafkaBus({"bootstrap.servers": stack.up(kafka=True).kafka, "group.protocol": protocol, "log_level": 0})
        bus.topics().create(DOCS.topic, 1, 1, {})
        write(bus, b"first", b"second")
        owner, found = Owner(), []
        consumer = bus.consumer("group", [DOCS.topic], owner)
        read_until(consumer, found, b"second")
        assert consumer.commit({DOCS: Committed(1)}) == [DOCS]

        os.kill(next(server.pid for server in stack.status() if server.name == "kafka"), signal.SIGKILL)
        kept = list(folder.rglob("__consumer_offsets-*"))
        assert kept
        for log in kept:
            shutil.rmtree(log)
        stack.up(kafka=True)

        write(bus, b"third")
        read_until(consumer, found, b"third")
        # Or where it was, with a coordinator that took the member as it came.
        assert found in ([b"first", b"second", b"first", b"second", b"third"], [b"first", b"second", b"third"])
        assert consumer.commit({DOCS: Committed(3)}) in ([DOCS], [])
        consumer.close()
        assert protocol == "classic" or owner.committed == [{}, {}]
    finally:
        stack.remove()
        shutil.rmtree(folder, ignore_errors=True)
