"""All that a fault meets: servers, a table under change, and two deployments that follow it.

``shared``: two chunkers and two embedders, a process each, on one index server, which is the loopback double with its
faults to order. ``edge``: all roles in one process with the embedded index, its files on a small file system of their
own where we may mount one; it runs only during its own faults. Both read the table's CDC topic through Debezium and
the broker through the proxy. ``settled`` waits until a deployment's index equals the table.
"""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

from chaos.comparison import PATIENCE_S, Difference, Wire, compared, points_of
from chaos.members import Members
from chaos.servers import Servers
from chaos.table import SOURCE, Table, Writer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from deployed_stream import Stream, records_before
from qdrant_process import QdrantProcess

from adapters.kafka.topics import KafkaTopics
from compose.native import debezium
from compose.waiting import outlasting
from stream.errors import EmbedstreamError
from stream.ports import Partition

CONSUMER = {"group.protocol": "consumer", "session.timeout.ms": None}
CLASSIC = {"group.protocol": "classic", "session.timeout.ms": 6000}
PROTOCOLS = {"consumer": CONSUMER, "classic": CLASSIC}
SESSION_S = 6.0
PARTITIONS = 6
INDEX_TIMEOUT_S = 2
"""After which the roles give an answer of the index up."""
EDGE_BYTES = 192 << 20
_LOOK_S = 0.1
_QUESTIONS = 5


class Deployed:
    """One deployment: its stream, its processes, and what its topics said so far."""

    def __init__(self, stream, roles, servers):
        self.stream, self.members = stream, Members(stream, roles)
        self.deployment = stream.deployment()
        self.topics = KafkaTopics({"bootstrap.servers": servers.kafka})
        self.wire = Wire(self.topics, servers.kafka, self.deployment, stream.letter_topic)

    def lag(self):
        return records_before(self.deployment, self.topics)

    def committed(self):
        """Chunk partition → what the embedders committed of it."""
        places = [Partition(self.stream.chunks, number) for number in range(PARTITIONS)]
        return outlasting(lambda: self.topics.committed(self.deployment.embedder_group, places), PATIENCE_S)


class World:
    """Made by the constructor with everything running; ``long``: faults last as in a campaign, not as in a test."""

    def __init__(self, seed, *, long=False):
        self.long = long
        self._closing = threading.Event()
        self.servers = Servers(seed).start()
        self.table = Table(self.servers.postgres, f"c{uuid.uuid4().hex[:8]}")
        self.connector = debezium.Connector(
            self.table.schema, self.servers.postgres, (self.table.name,), partitions=PARTITIONS
        )
        debezium.register(self.servers.connect, self.connector)
        self.qdrant = QdrantProcess()
        self.files = Path(tempfile.mkdtemp(prefix="embedstream-chaos-edge-"))
        self.mounted = _mounted(self.files, EDGE_BYTES)
        roles = {f"{role} {name}": (role, name) for role in ("chunker", "embedder") for name in "ab"}
        roles = {name: (role, instance if role == "chunker" else "") for name, (role, instance) in roles.items()}
        server = {"url": self.qdrant.url, "qdrant": {"timeout_s": INDEX_TIMEOUT_S}}
        self.shared = Deployed(self._stream(index=server), roles, self.servers)
        self.edge = Deployed(
            self._stream(index={"url": f"edge:{self.files / 'index'}"}), {"all": ("all", "")}, self.servers
        )
        self.protocol = ""
        # In the short form other tests share the machine, and what arrived meanwhile has to be searchable in time.
        self.writer = Writer(self.table, seed, 0.03 if long else 0.1)
        self.found = Difference()
        self.equal_at = 0.0

    def _stream(self, **tables):
        return Stream(self.servers.proxy.address, **tables).follow(self.connector, self.table.name, SOURCE)

    def use(self, protocol):
        """Every member speaks this group protocol from now on."""
        if protocol != self.protocol:
            for deployed in (self.shared, self.edge):
                deployed.members.all_leave()
                deployed.stream.change({"kafka": PROTOCOLS[protocol]})
            self.protocol = protocol

    def hold(self, seconds):
        """Lets time pass: what a fault is about."""
        self._closing.wait(seconds)

    def until(self, condition, seconds):
        """Whether the condition came true in time; the campaign goes on either way."""
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                return False
            self.hold(0.02)
        return True

    def calm(self):
        """Takes back what a fault that failed on the way may have left broken."""
        self.found = Difference()
        self.servers.proxy.heal()
        self.qdrant.clear()
        for name in ("kafka", "postgres", "connect"):
            self.servers.restore(name)
        for deployed in (self.shared, self.edge):
            for process in deployed.members.running.values():
                if process.alive:
                    process.send(signal.SIGCONT)

    def bites(self, sign, what, seconds=30):
        """A fault that nobody met says nothing: waits for its sign."""
        assert self.until(sign, seconds), f"after {seconds:g} s there was no sign that {what}"

    def group_size(self, role):
        """Members of the group of that role on the shared deployment, as the broker's coordinator knows them."""
        deployment = self.shared.deployment
        group = deployment.chunker_group if role == "chunker" else deployment.embedder_group
        for _ in range(_QUESTIONS):
            # A client that saw brokers come and go may never answer: each question has one of its own.
            client = AdminClient({"bootstrap.servers": self.servers.kafka})
            try:
                return len(client.describe_consumer_groups([group], request_timeout=5)[group].result(6).members)
            except (KafkaException, TimeoutError):
                continue
        raise AssertionError(f"nobody could say who is in the group of the {role}s")

    def report(self, difference):
        """What a fault found by itself."""
        self.found += difference

    # --- outcome ---

    def settled(self, deployed, deadline_s):
        """The writer is at rest. Waits until index equals table and nothing is on its way; what is wrong then.

        ``equal_at`` is when the two were equal first, by the monotonic clock.
        """
        began = time.monotonic()
        documents = self.table.documents()
        wanted = self.table.wanted(documents, deployed.deployment.cutter)
        while True:
            points, difference = self._look(deployed, documents, wanted)
            self.equal_at = time.monotonic()
            if not difference or self.equal_at - began > deadline_s:
                break
            self.hold(_LOOK_S)
        # Equal is not yet drained: an older revision may be on its way, and must change nothing.
        drained = self.until(lambda: self._is_drained(deployed), deadline_s)
        points, difference = self._look(deployed, documents, wanted)
        wire = deployed.wire.read()
        difference += wire + deployed.wire.outdated(points) + self.found
        self.found = Difference()
        if not drained:
            left = outlasting(deployed.lag, PATIENCE_S)
            difference += Difference(lost=(f"{left} records are not drained after {deadline_s:g} s",))
        return difference

    @staticmethod
    def _look(deployed, documents, wanted):
        try:
            points = points_of(deployed.deployment)
        except EmbedstreamError as error:
            return [], Difference(lost=(f"the index cannot be read: {error}",))
        return points, compared(documents, wanted, points)

    @staticmethod
    def _is_drained(deployed):
        try:
            return deployed.lag() == 0
        except EmbedstreamError:
            return False

    def close(self):
        self._closing.set()
        self.writer.close()
        try:
            for deployed in (self.shared, self.edge):
                deployed.stream.close()
        finally:
            self.qdrant.close()
            if self.mounted:
                subprocess.run(["umount", str(self.files)], check=True, capture_output=True)
            shutil.rmtree(self.files, ignore_errors=True)
            self.servers.close()


def dice_of(seed, fault, number):
    """The same seed lets each injection fall as it fell before, whatever came between."""
    return random.Random(f"{seed} {fault} {number}")


def _mounted(folder, size):
    """A file system of its own and of this size in ``folder``; False where we may not mount one."""
    if os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0
