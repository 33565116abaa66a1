"""Upgrades while a writer changes rows and twenty clients search without pause.

No search fails, none mixes, no document is missing at any instant, and what was deleted meanwhile stays deleted: to
the next pair, back, and forward again.
"""

import random
import threading

import pytest
from cdc_events import envelope, row, sentences
from searchers import Witnesses
from stream_process import wait_for
from upgrading import Upgrade

pytestmark = pytest.mark.kafka

STEADY, CHANGING, DOOMED = range(40), range(100, 140), range(200, 220)
_PAUSE_S = 0.1
"""Between two changes: the clients take what two cores have, and an upgrade has to catch up beside them."""
OTHER_MODEL = {"encoding": {"model": "hash:32"}}
OTHER_CHUNKING = {"chunking": {"min_tokens": 6, "max_tokens": 16}}


def text_of(number):
    return f"The lighthouse number {number} stands on rock {number * 7 + 1} and shines for {number + 3} seconds."


class Writer:
    """Changes rows until it is stopped, and deletes the doomed ones one after the other."""

    def __init__(self, stream, seed=7):
        self.stream, self.dice = stream, random.Random(seed)
        self.doomed = list(DOOMED)
        self.writes = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self):
        for number in STEADY:
            self.put(number, text_of(number))
        for number in (*CHANGING, *DOOMED):
            self.put(number, sentences(3, f"row {number}"))

    def put(self, number, text):
        change = envelope("u", row(number, text)) if text else envelope("d", before=row(number, None))
        self.stream.put({"id": number}, change)

    def _run(self):
        while not self._stopping.wait(_PAUSE_S):
            number = self.dice.choice(CHANGING)
            self.put(number, sentences(self.dice.randint(1, 4), f"row {number} at {self.writes}"))
            self.writes += 1
            if self.doomed and self.writes % 5 == 0:
                self.put(self.doomed.pop(), None)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join(30)
        self.stream.flush()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("changed", [OTHER_MODEL, OTHER_CHUNKING], ids=["model", "chunking"])
def test_forward_back_and_forward_again_under_load(new_stream, changed):
    stream = new_stream(embedder={"flush_interval_s": 1.0})
    stream.create()
    writer = Writer(stream)
    writer.begin()
    upgrade = Upgrade(stream, **changed)
    running = upgrade.start().ready()
    stream.drained()
    old, new = upgrade.before.contract.fingerprint, upgrade.after.contract.fingerprint
    steady = {f"docs/{number}": text_of(number) for number in STEADY}
    with Witnesses(running.query, [upgrade.before, upgrade.after], steady) as clients, writer:
        upgrade.done("start")
        lags = []
        for command, contract in (("cutover", new), ("rollback", old), ("cutover", new)):
            asked = clients.answers[contract]
            moved = upgrade.done(command, *upgrade.service)
            lags.append(moved["switched"]["lag"])
            wait_for(lambda seen=asked, of=contract: clients.answers[of] > seen + 40, f"answers under {contract}")
        wait_for(lambda: not writer.doomed, "the last of them to be deleted", 120)
    assert clients.faults == []
    assert sum(clients.answers.values()) > 200
    assert set(clients.answers) == {old, new}
    assert all(0 <= lag < 200 for lag in lags), lags

    verified = upgrade.done("verify", *upgrade.service)
    assert all(gate["passed"] for gate in verified["gates"])
    found = {hit["doc_id"] for number in DOOMED for hit in upgrade.searched(f"row {number}")["hits"]}
    assert not found & {f"docs/{number}" for number in DOOMED}, "both have passed a watermark behind the deletes"
    assert running.stop() == 0
    audit = stream.command("audit", "--all-vectors", **changed)
    assert audit.ended() == 0, audit.said()
