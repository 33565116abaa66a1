"""Offsets of a group are read by who is no member, through a broker that starts, dies and comes back.

In a process of its own: what went wrong here was librdkafka following a null pointer, which ends the one that asks.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from stream_process import ROOT

ASK = """
import os, signal, sys, threading
from pathlib import Path
from adapters.kafka.topics import KafkaTopics
from compose.native.stack import Stack
from stream.errors import Outage
from stream.ports import Partition

ROUNDS, GROUPS = 3, ("one", "two", "three")

def ask(topics, group, asked, stopping):
    while not stopping.is_set():
        try:
            assert topics.committed(group, [Partition("never-made", 0)]) == {}
            asked[group] += 1
        except Outage:
            pass
        stopping.wait(0.01)

stack = Stack(Path(sys.argv[1]))
try:
    stopping, asked = threading.Event(), dict.fromkeys(GROUPS, 0)
    topics = KafkaTopics({"bootstrap.servers": stack.up(kafka=True).kafka, "log_level": 0})
    askers = [
        threading.Thread(target=ask, args=(topics, group, asked, stopping), daemon=True) for group in GROUPS
    ]
    for asker in askers:
        asker.start()
    for _ in range(ROUNDS):
        os.kill(next(server.pid for server in stack.status() if server.name == "kafka"), signal.SIGKILL)
        stack.up(kafka=True)
    before = dict(asked)
    while any(asked[group] < before[group] + 10 for group in GROUPS):
        assert all(asker.is_alive() for asker in askers)
        stopping.wait(0.05)
    stopping.set()
    for asker in askers:
        asker.join()
    print("answered")
finally:
    stack.remove()
"""


@pytest.mark.kafka
def test_a_broker_that_starts_and_dies_does_not_end_who_asks_for_offsets():
    folder = Path(tempfile.mkdtemp(prefix="embedstream-offsets-"))
    folder.chmod(0o755)
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ASK, str(folder / "stack")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert (asked.returncode, asked.stdout) == (0, "answered\n"), asked.stderr[-3000:]
