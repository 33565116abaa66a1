"""An upgrade through which every process and every command is killed, in every phase of it.

Each role is a process of its own, on one index server. Whoever is killed has a successor, and a command that is
killed is said again; nothing else is done for them. In the end the index equals the rows.
"""

import json
import random

import pytest
from cdc_events import envelope, row, sentences
from qdrant_process import QdrantProcess
from stream_process import wait_for
from upgrading import Upgrade

pytestmark = pytest.mark.kafka

ROWS = 120
OTHER_CHUNKING = {"chunking": {"min_tokens": 6, "max_tokens": 16}}


@pytest.fixture
def qdrant():
    double = QdrantProcess()
    yield double
    double.close()


class Cast:
    """The five processes of an upgrade between two chunkings; ``both`` once the next pair's are there."""

    def __init__(self, upgrade):
        self.upgrade, self.running = upgrade, {}

    def launch(self, name):
        stream, changed = self.upgrade.stream, self.upgrade.changed
        match name:
            case "query":
                process = self.upgrade.start("query")
            case "next chunker" | "next embedder":
                process = stream.start(name.removeprefix("next "), **changed)
            case _:
                process = stream.start(name)
        self.running[name] = process
        return process

    def begin(self, *names):
        for process in [self.launch(name) for name in names]:
            process.ready()
        self.upgrade.running = self.running["query"]

    def kill_each(self):
        """One after the other, each with a successor that has announced itself."""
        for name in list(self.running):
            self.running[name].kill()
            self.launch(name).ready()
        self.upgrade.running = self.running["query"]

    def stop(self, *names):
        for name in names:
            assert self.running.pop(name).stop() == 0


class Table:
    """Rows as they were written last."""

    def __init__(self, stream, seed=5):
        self.stream, self.dice, self.rows = stream, random.Random(seed), {}

    def put(self, number, text):
        change = envelope("u", row(number, text)) if text else envelope("d", before=row(number, None))
        self.stream.put({"id": number}, change)
        self.rows[number] = text

    def change_some(self, word):
        """Some rows get other texts, some are deleted, some come back."""
        for number in self.dice.sample(range(ROWS), 25):
            self.put(number, sentences(self.dice.choice([0, 2, 3, 4]), f"{word} {number}"))
        self.stream.flush()


def said_until_killed(upgrade, command, words, *more):
    """Says the command, and kills it when it has said these words; it may have ended by then."""
    process = upgrade.command(command, *more)
    wait_for(lambda: words in process.said() or not process.alive, f"{command} to say {words!r}", 120)
    process.kill()


def equals_the_rows(upgrade, table, **changed):
    """The collection of that configuration holds what its cutter makes of the rows, and what the topic says."""
    audit = upgrade.stream.command("audit", "--json", "--all-vectors", "--wait", "120", **changed)
    status, said = audit.ended(180), audit.said()
    report = json.loads(said[said.index("{\n") :])
    assert (status, report["differences"]) == (0, [])
    there = {f"docs/{number}" for number, text in table.rows.items() if text}
    found = {str(payload["doc_id"]) for payload in upgrade.stream.points().values()}
    assert found == there


@pytest.mark.timeout(900)
def test_every_process_and_every_command_is_killed_in_every_phase(new_stream, qdrant):
    stream = new_stream(index={"name": "docs", "url": qdrant.url})
    stream.create()
    table = Table(stream)
    for number in range(ROWS):
        table.put(number, sentences(3, f"row {number}"))
    stream.flush()
    upgrade = Upgrade(stream, **OTHER_CHUNKING)
    cast = Cast(upgrade)
    cast.begin("chunker", "embedder", "query")
    stream.drained()

    said_until_killed(upgrade, "start", "found", "--resnapshotted")
    upgrade.done("start")
    cast.begin("next chunker", "next embedder")
    cast.kill_each()
    table.change_some("replayed")

    said_until_killed(upgrade, "verify", "caught up", *upgrade.service)
    said_until_killed(upgrade, "verify", "documents", *upgrade.service)
    cast.kill_each()
    assert all(gate["passed"] for gate in upgrade.done("verify", *upgrade.service)["gates"])

    for words, word in (("points", "before"), ("services", "while")):
        said_until_killed(upgrade, "cutover", words, *upgrade.service)
        table.change_some(word)
    upgrade.done("cutover", *upgrade.service)
    assert upgrade.searched("row 3")["contract"] == upgrade.after.contract.fingerprint
    cast.kill_each()
    assert upgrade.searched("row 3")["contract"] == upgrade.after.contract.fingerprint

    table.change_some("behind")
    said_until_killed(upgrade, "rollback", "services", *upgrade.service)
    upgrade.done("rollback", *upgrade.service)
    assert upgrade.searched("row 3")["contract"] == upgrade.before.contract.fingerprint
    equals_the_rows(upgrade, table)
    cast.kill_each()
    upgrade.done("cutover", *upgrade.service)

    cast.stop("chunker", "embedder")
    said_until_killed(upgrade, "retire", "these go", "--yes")
    said_until_killed(upgrade, "retire", "users search", "--yes")
    assert upgrade.done("retire", "--yes")["unfinished"] is None
    assert upgrade.done("status")["step"] == "retired"
    table.change_some("last")
    equals_the_rows(upgrade, table, **OTHER_CHUNKING)
    assert upgrade.searched("row 3")["contract"] == upgrade.after.contract.fingerprint
    assert stream.letters() == []
