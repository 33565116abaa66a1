import threading
import time

import pytest
from embedding_world import SOON_S, Gate, TroubledEncoder, TroubledIndex, live_texts
from stream_world import CUTTER, LETTERS, PLACE, HeldClock, Sent, delete, record, revision

from adapters.metrics import Metrics
from consumers.pipeline import Pipeline, PipelineParts
from consumers.stages import ShrinkingEncoder
from consumers.workload import Workload
from schemas import dead_letter
from stream.errors import Fatal, Outage
from stream.ports import Partition, Record

MAX_AGE_S = 10.0
AWAY = 4
"""How often an outage is met in a row; the waits between are tenths of a second at most."""


class Line:
    """A pipeline at work on a workload of one partition."""

    def __init__(self, *, encoder=None, index=None, producer=None, shrink=lambda: None, batch_tokens=1_000):
        self.index = index or TroubledIndex()
        self.encoder = encoder or TroubledEncoder()
        self.producer = producer or Sent()
        self.clock = HeldClock()
        self.metrics = Metrics()
        self.workload = Workload()
        self.workload.assign([PLACE], {})
        self.read = 0
        self.pipeline = Pipeline(
            PipelineParts(
                index=self.index,
                collection="docs__x__g1",
                encoder=ShrinkingEncoder(self.encoder, shrink),
                fit_title=CUTTER.embedded_title,
                producer=self.producer,
                letterbox=LETTERS,
                clock=self.clock,
                metrics=self.metrics,
                store_text=True,
                batch_tokens=batch_tokens,
                plan_max_age_s=MAX_AGE_S,
            ),
            self.workload,
        )

    def __enter__(self):
        self.pipeline.start()
        return self

    def __exit__(self, *_):
        self.pipeline.stop()

    def feed(self, *events):
        for event in events:
            self.workload.arrive(record(event, self.read), event)
            self.read += 1

    def drain(self):
        self.until(lambda: self.workload.idle)
        self.pipeline.check()

    def until(self, condition):
        give_up = time.monotonic() + SOON_S
        while not condition():
            self.pipeline.check()
            assert time.monotonic() < give_up, "it did not happen"
            threading.Event().wait(0.005)

    def counted(self, family, **labels):
        return self.metrics.registry.get_sample_value(f"embedstream_{family}_total", labels) or 0

    @property
    def letters(self):
        """Document offset → error class of each letter."""
        decoded = [dead_letter.decode(one.key, one.value, one.headers) for one in self.producer.records]
        return {letter.offset: (letter.error_class, letter.version) for letter in decoded}

    @property
    def live(self):
        return live_texts(self.index)


def test_revisions_come_out_as_live_points_and_a_committable_offset():
    with Line() as line:
        line.feed(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta", "gamma"), delete("docs/1", 3))
        line.drain()
        assert line.live == {"docs/2": ["beta", "gamma"]}
        assert line.workload.committable() == {PLACE: 3}
        assert line.counted("events", outcome="applied") == 3
        assert line.counted("chunks", outcome="embedded") == 3
        assert line.counted("chunks", outcome="removed") == 1


def test_revisions_of_one_document_are_applied_in_order_each_one():
    with Line(batch_tokens=2) as line:
        line.feed(*(revision("docs/1", version, f"passage {version}") for version in range(1, 9)))
        line.drain()
        assert line.live == {"docs/1": ["passage 8"]}
        assert line.encoder.asked == [f"passage {version}" for version in range(1, 9)]
        assert line.counted("events", outcome="applied") == 8


def test_a_redelivery_embeds_nothing_and_is_applied_again():
    event = revision("docs/1", 1, "alpha")
    with Line() as line:
        line.feed(event, event, revision("docs/1", 2, "alpha", fields={"colour": 1}))
        line.drain()
        assert line.encoder.asked == ["alpha"]
        assert line.counted("chunks", outcome="kept") == 2


def test_a_poisonous_document_becomes_a_letter_and_the_others_of_its_batch_are_applied():
    gate = Gate()
    with Line(encoder=TroubledEncoder(nan="broken", poison="odd", before=gate)) as line:
        # The first holds the device, so that the others form one batch.
        line.feed(revision("docs/0", 1, "first"))
        assert gate.reached.wait(SOON_S)
        line.feed(
            revision("docs/1", 2, "alpha"),
            revision("docs/2", 3, "broken"),
            revision("docs/3", 4, "odd"),
            delete("docs/4", 5),
        )
        gate.opened.set()
        line.drain()
        assert line.letters == {2: ("vector", 3), 3: ("text", 4)}
        assert line.live == {"docs/0": ["first"], "docs/1": ["alpha"]}
        assert line.workload.committable() == {PLACE: 5}
        assert line.counted("dead_letters", stage="embedder", kind="vector") == 1
        assert line.counted("events", outcome="poison") == 2


def test_the_next_good_revision_of_a_poisonous_document_is_applied():
    with Line(encoder=TroubledEncoder(nan="broken")) as line:
        line.feed(
            revision("docs/1", 1, "alpha"), revision("docs/1", 2, "broken"), revision("docs/1", 3, "alpha", "beta")
        )
        line.drain()
        assert line.live == {"docs/1": ["alpha", "beta"]}
        assert line.encoder.asked == ["alpha", "broken", "beta"]


def test_a_write_that_the_index_refuses_becomes_a_letter():
    with Line(index=TroubledIndex(refused="odd")) as line:
        line.feed(revision("docs/1", 1, "odd"), revision("docs/2", 2, "alpha"))
        line.drain()
        assert line.letters == {0: ("refused-by-index", 1)}
        assert line.live == {"docs/2": ["alpha"]}


def test_a_letter_that_cannot_be_sent_holds_back_the_commit():
    seen = []

    class Watched(Sent):
        def send(self, records):
            seen.append(line.workload.committable())
            super().send(records)

    line = Line(encoder=TroubledEncoder(nan="broken"), producer=Watched([Outage("no broker") for _ in range(AWAY)]))
    with line:
        line.feed(revision("docs/1", 1, "broken"))
        line.drain()
    assert seen == [{}] * (AWAY + 1)
    assert line.letters == {0: ("vector", 1)}
    assert line.workload.committable() == {PLACE: 1}


@pytest.mark.parametrize("call", ["read", "write"])
def test_an_outage_of_the_index_is_waited_out_and_dead_letters_nothing(call):
    with Line(index=TroubledIndex(failures={call: [Outage("no index") for _ in range(AWAY)]})) as line:
        line.feed(*(revision(f"docs/{number}", number + 1, f"word {number}") for number in range(5)))
        line.drain()
        assert line.producer.calls == 0
        assert len(line.live) == 5
        assert line.workload.committable() == {PLACE: 5}
        assert line.counted("outages", stage="index") >= 1
        assert line.counted("retries", stage="index") == AWAY


def test_an_outage_of_a_remote_encoder_is_waited_out_too():
    with Line(encoder=TroubledEncoder(failures=[Outage("no encoder") for _ in range(AWAY)])) as line:
        line.feed(revision("docs/1", 1, "alpha"))
        line.drain()
        assert line.live == {"docs/1": ["alpha"]}
        assert line.producer.calls == 0


def test_a_full_device_costs_nothing_but_time():
    encoder = TroubledEncoder(room=1)

    def shrink():
        encoder.room *= 2

    with Line(encoder=encoder, shrink=shrink) as line:
        line.feed(revision("docs/1", 1, "alpha", "beta", "gamma", "delta", "epsilon"))
        line.drain()
        assert len(line.live["docs/1"]) == 5
        assert line.producer.calls == 0


def test_a_plan_that_grew_too_old_is_made_again():
    encoder = TroubledEncoder()

    def once():
        line.clock.seconds += MAX_AGE_S + 1
        encoder.before = lambda: None

    encoder.before = once
    line = Line(encoder=encoder)
    with line:
        line.feed(revision("docs/1", 1, "alpha"), revision("docs/1", 2, "beta"))
        line.drain()
    assert line.index.calls.count("read") == 3
    assert line.live == {"docs/1": ["beta"]}
    assert line.workload.committable() == {PLACE: 2}


def test_a_revision_whose_partition_was_lost_is_not_written():
    gate = Gate()
    with Line(encoder=TroubledEncoder(before=gate)) as line:
        line.feed(revision("docs/1", 1, "alpha"))
        assert gate.reached.wait(SOON_S)
        line.workload.release([PLACE])
        gate.opened.set()
        line.drain()
        assert line.live == {}
        assert line.index.written == 0


def test_while_one_batch_is_on_the_device_the_next_is_looked_up():
    gate = Gate()
    with Line(encoder=TroubledEncoder(before=gate), batch_tokens=1) as line:
        line.feed(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta"))
        assert gate.reached.wait(SOON_S)
        line.until(lambda: line.index.calls == ["read", "read"])
        gate.opened.set()
        line.drain()


@pytest.mark.parametrize("error", [Fatal("The device is broken."), ZeroDivisionError("unforeseen")])
@pytest.mark.parametrize("stage", ["plan", "encode", "apply"])
def test_the_first_fatal_stops_all_stages_and_is_raised_in_the_poll_thread(error, stage):
    encoder = TroubledEncoder(failures=[error] if stage == "encode" else [])
    index = TroubledIndex(failures={"read": [error] * (stage == "plan"), "write": [error] * (stage == "apply")})
    line = Line(encoder=encoder, index=index)
    line.pipeline.start()
    line.feed(revision("docs/1", 1, "alpha"), revision("docs/2", 2, "beta"))
    for thread in line.pipeline._threads:
        thread.join(SOON_S)
        assert not thread.is_alive()
    with pytest.raises(type(error)):
        line.pipeline.check()
    line.pipeline.stop()
    assert line.workload.committable() == {}
    assert line.producer.calls == 0


def test_stopping_in_an_outage_ends_the_threads_and_leaves_the_work_open():
    line = Line(index=TroubledIndex(failures={"write": [Outage("no index", retry_after_s=60) for _ in range(99)]}))
    with line:
        line.feed(revision("docs/1", 1, "alpha"))
        line.until(lambda: line.counted("retries", stage="index") >= 1)
    line.pipeline.check()
    assert line.workload.committable() == {}


def test_a_pipeline_that_was_never_started_can_be_stopped():
    Line().pipeline.stop()


def test_letters_carry_version_and_lineage_for_a_redrive():
    event = revision("docs/1", 7, "broken")
    with Line(encoder=TroubledEncoder(nan="broken")) as line:
        made = record(event, 3)
        line.workload.arrive(Record(Partition("kb.chunks", 0), 3, made.key, made.value, made.headers), event)
        line.drain()
        (letter,) = line.producer.records
    told = dead_letter.decode(letter.key, letter.value, letter.headers)
    assert (told.key, told.value, told.headers) == (made.key, made.value, made.headers)
    assert (told.version, told.lineage, told.offset, told.stage) == (7, event.lineage, 3, "embedder")
