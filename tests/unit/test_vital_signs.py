"""What the live page is told of the stream: of the pair that is searched, and never longer than it is true."""

from dataclasses import dataclass, field

import pytest
from stream_world import HeldClock

from adapters.memory.bus import MemoryBroker, MemoryBus, MemoryGroups, MemoryTopics
from adapters.memory.index import MemoryCatalog
from adapters.metrics import Metrics
from compose.deployment import Deployment
from compose.settings import load
from compose.vital_signs import Bus, VitalSigns
from serving.pulse import Behind, Signs, Throughput
from stream.collection import new_record
from stream.errors import Fatal, Outage
from stream.ports import Committed, Outgoing, Partition, VectorSpec

CDC, CHUNKS = "kb.docs", "kb.chunks"
ROWS, EVENTS = 4, 10


def deployment(folder, dimensions):
    path = folder / f"hash-{dimensions}.toml"
    path.write_text(
        f"""
        [kafka]
        "bootstrap.servers" = "127.0.0.1:9092"
        [[source]]
        name = "docs"
        topic = "{CDC}"
        text = ["body"]
        [chunks]
        topic = "{CHUNKS}"
        [encoding]
        model = "hash:{dimensions}"
        [index]
        name = "docs"
        url = "edge:index"
        """,
        encoding="utf-8",
    )
    return Deployment(load(path, {}))


class FailingTopics(MemoryTopics):
    """Describes no topic as often as there are failures, first one first."""

    def __init__(self, broker, failures):
        super().__init__(broker)
        self._failures = failures

    def describe(self, names, *, settings=False):
        if self._failures:
            raise self._failures.pop(0)
        return super().describe(names, settings=settings)


@dataclass
class Stream:
    """Two pairs that share their chunker, on a broker and an index in memory."""

    present: Deployment
    following: Deployment
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    metrics: Metrics = field(default_factory=Metrics)
    clock: HeldClock = field(default_factory=HeldClock)
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self):
        topics = MemoryBus(self.broker).topics()
        for topic, records in ((CDC, ROWS), (CHUNKS, EVENTS)):
            topics.create(topic, 1, 1, {})
            MemoryBus(self.broker).producer().send([Outgoing(Partition(topic, 0), b"k", b"v")] * records)

    def bus(self, asked):
        assert asked is self.present
        if self.failures:
            raise self.failures.pop(0)
        return Bus(FailingTopics(self.broker, self.failures), MemoryGroups(self.broker))

    def commit(self, group, topic, offset):
        self.broker.group(group).committed[Partition(topic, 0)] = Committed(offset)

    def make(self, pair, *, live=False):
        spec = VectorSpec(pair.contract.encoding.vector_name, pair.contract.encoding.dimensions)
        self.catalog.create(pair.collection, spec, {}, new_record(pair.contract, {}, ()).to_json())
        if live:
            self.switch(pair)

    def switch(self, pair):
        self.catalog.switch_alias("docs", self.catalog.aliases().get("docs"), pair.collection)

    def signs(self, *, following=False, embeds=True):
        return VitalSigns(
            self.present,
            self.following if following else None,
            self.catalog,
            self.metrics,
            embeds=embeds,
            bus=self.bus,
            now_s=self.clock.monotonic,
        )


@pytest.fixture
def stream(tmp_path):
    return Stream(deployment(tmp_path, 64), deployment(tmp_path, 32))


def test_nothing_is_told_before_the_first_look(stream):
    assert stream.signs(embeds=False).now() == Signs()


def test_lag_is_told_for_both_stages(stream):
    stream.commit(stream.present.chunker_group, CDC, 3)
    signs = stream.signs(embeds=False)
    signs.look()
    assert signs.now() == Signs(Behind(1, EVENTS))
    stream.commit(stream.present.embedder_group, CHUNKS, EVENTS)
    signs.look()
    assert signs.now().lag == Behind(1, 0)


def test_the_lag_of_a_topic_that_does_not_exist_is_not_known(stream):
    stream.broker.delete_topic(CDC)
    signs = stream.signs()
    signs.look()
    assert signs.now().lag == Behind(None, EVENTS)


@pytest.mark.parametrize("failure", [Outage("away"), Fatal("not allowed to look")], ids=repr)
def test_a_bus_that_does_not_answer_leaves_the_figures_out_and_stops_nothing(stream, failure):
    signs = stream.signs()
    stream.failures.append(failure)
    signs.look()
    assert signs.now().lag is None
    signs.look()
    assert signs.now().lag == Behind(ROWS, EVENTS)
    signs.look()
    stream.failures.append(failure)
    signs.look()
    assert signs.now().lag is None, "what was seen before is not what is"
    assert signs.now().throughput == Throughput(0, 0), "what this process counts itself is known"


def test_an_index_that_is_away_leaves_the_figures_out(stream):
    class Away(MemoryCatalog):
        def aliases(self):
            raise Outage("away")

    stream.catalog = Away()
    signs = stream.signs(following=True)
    signs.look()
    assert signs.now().lag is None
    assert signs.now().upgrade is None


def test_a_look_that_is_long_ago_is_not_told(stream):
    signs = stream.signs()
    signs.look()
    stream.clock.seconds = 10
    assert signs.now().lag is not None
    stream.clock.seconds = 11
    assert signs.now().lag is None


def test_throughput_is_that_of_the_last_seconds_of_all_pairs(stream):
    beside = stream.metrics.beside("next")
    stream.metrics.chunks("embedded", 1000)
    signs = stream.signs()
    for second in range(2, 41, 2):
        stream.clock.seconds = second
        stream.metrics.chunks("embedded", 10)
        stream.metrics.chunks("kept", 6)
        stream.metrics.chunks("removed", 2)
        beside.chunks("copied", 4)
        signs.look()
        assert signs.now().throughput == Throughput(5, 11)
    for second in range(42, 48, 2):
        stream.clock.seconds = second
        signs.look()
    stream.clock.seconds = 46
    assert signs.now().throughput == Throughput(0, 0)


def test_throughput_is_not_known_where_no_embedder_counts(stream):
    stream.metrics.chunks("embedded", 10)
    signs = stream.signs(embeds=False)
    signs.look()
    assert signs.now().throughput is None


def test_without_a_second_file_there_is_no_upgrade(stream):
    stream.make(stream.present, live=True)
    stream.make(stream.following)
    signs = stream.signs()
    signs.look()
    assert signs.now().upgrade is None


def test_an_upgrade_is_told_step_by_step_and_the_lag_is_of_the_pair_that_is_searched(stream):
    present, following = stream.present, stream.following
    stream.make(present, live=True)
    stream.commit(present.chunker_group, CDC, ROWS)
    stream.commit(present.embedder_group, CHUNKS, EVENTS)
    signs = stream.signs(following=True)

    def told():
        signs.look()
        return signs.now()

    planned = told()
    assert (planned.upgrade.step, planned.upgrade.done, planned.upgrade.change) == ("planned", 0, "encoding")
    assert (planned.upgrade.before.points, planned.upgrade.after.points) == (0, None)
    assert planned.upgrade.after.collection == following.collection
    assert planned.upgrade.after.contract == following.contract.fingerprint
    assert planned.upgrade.after.model == following.contract.encoding.model
    stream.make(following)
    stream.commit(following.embedder_group, CHUNKS, 4)
    replaying = told()
    assert (replaying.upgrade.step, replaying.upgrade.done, replaying.upgrade.after.points) == ("replaying", 0.4, 0)
    assert replaying.lag == Behind(0, 0)
    stream.switch(following)
    cut = told()
    assert (cut.upgrade.step, cut.lag) == ("cut over", Behind(0, 6))
    stream.switch(present)
    stream.commit(following.embedder_group, CHUNKS, EVENTS)
    assert (told().upgrade.step, told().upgrade.done) == ("caught up", 1)
    stream.switch(following)
    stream.catalog.drop(present.collection)
    over = told()
    assert (over.upgrade, over.lag) == (None, Behind(0, 0))


def test_files_that_do_not_go_together_show_no_upgrade_but_the_lag(stream):
    stream.following = stream.present
    signs = stream.signs(following=True)
    signs.look()
    assert signs.now() == Signs(Behind(ROWS, EVENTS), Throughput(0, 0))


def test_it_looks_by_itself_and_ends_when_told(stream, wait_until):
    signs = stream.signs()
    signs.start()
    wait_until(lambda: signs.now().lag, what="a first look")
    signs.stop()
    stream.clock.seconds = 100
    assert signs.now().lag is None
