"""An examination never fails: whatever half of a system is down, the rest is examined and each check says why not."""

from dataclasses import dataclass, field, replace

from cdc_events import envelope, row
from deployed_stream import as_bytes
from hypothesis import given
from hypothesis import strategies as st
from stream_world import CONTRACT, ENCODER

from adapters.memory.bus import MemoryBroker, MemoryBus
from adapters.memory.index import MemoryCatalog
from operations.doctor.examination import Examination, World
from operations.doctor.facts import Fact, NotKnown
from operations.doctor.wanted import Named, Wanted, WantedTopic
from stream import probes
from stream.cluster import ClusterInfo, GroupInfo
from stream.collection import new_record
from stream.engine import EngineInfo
from stream.errors import Fatal, Misuse, Outage, Poison
from stream.framed import NoRegistry
from stream.ports import Outgoing, Partition, Record, VectorSpec
from stream.source import Source

NOW = 1_700_000_100_000
SOURCE = Source.written(name="docs", topic="kb.docs", title="title", text=["body"])
CHUNKS = WantedTopic("kb.chunks", 1, 1, create=True, least_bytes=1_000)
LETTERS = WantedTopic("kb.letters", 1, 1, create=True, least_bytes=1_000)
WANTED = Wanted("b:9092", "consumer", (SOURCE,), CHUNKS, LETTERS, 10_000, 10_000, "0", "embedstream.chunker.0")
NAMED = Named(
    CONTRACT, "p.chunker.f.g1", "p.chunker.f.g1", "p.embedder.f.g1", f"docs__{CONTRACT.fingerprint}__g1", "docs"
)
EVERY_RIGHT = frozenset({"read", "write", "describe", "describe_configs", "create"})


def ready_broker():
    broker = MemoryBroker()
    for name, config in (
        ("kb.docs", {"cleanup.policy": "compact"}),
        ("kb.chunks", {"cleanup.policy": "compact"}),
        ("kb.letters", {"cleanup.policy": "delete"}),
    ):
        broker.create_topic(name, 1, config)
    broker.append(Outgoing(Partition("kb.docs", 0), as_bytes({"id": 1}), as_bytes(envelope("c", row(1, "A text.")))))
    return broker


def ready_catalog():
    catalog = MemoryCatalog()
    record = new_record(CONTRACT, {}, probes.take(ENCODER))
    catalog.create(NAMED.collection, VectorSpec(CONTRACT.encoding.vector_name, 8), {}, record.to_json())
    catalog.switch_alias("docs", None, NAMED.collection)
    return catalog


class ServedCatalog:
    """A catalog whose engine is a server."""

    def __init__(self):
        self.inside = ready_catalog()

    def __getattr__(self, name):
        return getattr(self.inside, name)

    def engine(self, collection):
        assert collection == NAMED.collection
        return EngineInfo("q:6333", "1.19.0", "1.19", 1, 1, "green")


@dataclass
class OneCluster:
    """A cluster with one broker, all of whose questions can be made to fail."""

    failing: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def _answer(self, question, answer):
        self.asked.append(question)
        if question in self.failing:
            raise self.failing[question]
        return answer

    def describe(self):
        return self._answer("describe", ClusterInfo("c", ("b:9092",), (4, 1), EVERY_RIGHT))

    def topic_rights(self, topic):
        return self._answer("topic_rights", EVERY_RIGHT)

    def group(self, name):
        return self._answer("group", GroupInfo(rights=EVERY_RIGHT))

    def check_transactions(self, prefix):
        self._answer("check_transactions", None)

    def newest(self, topic, each):
        value = as_bytes(envelope("c", row(1, "A text.")))
        return self._answer("newest", [Record(Partition(topic, 0), 0, as_bytes({"id": 1}), value)])


def world(cluster=None, **changed):
    cluster = cluster or OneCluster()
    broker = ready_broker()
    sound = World(
        topics=lambda: MemoryBus(broker).topics(),
        cluster=lambda: cluster,
        unframer=NoRegistry,
        named=lambda: NAMED,
        catalog=ready_catalog,
        encoder=lambda: ENCODER,
        now_ms=lambda: NOW,
    )
    return replace(sound, **changed)


def lines(world, wanted=WANTED):
    found = list(Examination(wanted, world).run())
    assert all("\n" not in finding.line() for finding in found)
    return [finding.line() for finding in found]


def test_all_is_well_with_a_sound_world():
    said = lines(world())
    assert all(line.startswith("ok ") for line in said), "\n".join(said)
    assert not any("engine" in line for line in said), "a folder has no engine to tell of"


def test_a_catalog_that_tells_of_its_engine_is_asked():
    said = lines(world(catalog=ServedCatalog))
    assert "ok        engine: version 1.19.0 at q:6333" in said


def test_a_broker_that_is_away_is_asked_once():
    cluster = OneCluster({"describe": Outage("Nobody answers at b:9092.")})
    said = lines(world(cluster))
    assert cluster.asked == ["describe"]
    assert said[0] == (
        "fatal     broker: Nobody answers at b:9092; start it, or correct bootstrap.servers in [kafka]"
    )
    away = [line for line in said if line.endswith("not checked because the broker at b:9092 does not answer")]
    assert [line.split()[1].rstrip(":") for line in away] == [
        "rights",
        "topics",
        "sources",
        "clock",
        "lineage",
        "groups",
        "transactions",
    ]
    assert any(line.startswith("ok        index docs") for line in said)
    assert any(line.startswith("ok        probes") for line in said)


def test_a_model_that_cannot_be_read_hides_only_what_is_named_after_it():
    def unreadable():
        raise Misuse("There is no model in nowhere; correct encoding.model.")

    said = lines(world(named=unreadable))
    assert "fatal     model: There is no model in nowhere; correct encoding.model" in said
    assert "unchecked index: not checked because the model cannot be read" in said
    assert any(line.startswith("ok        source docs") for line in said)


def test_a_group_that_this_user_may_not_see_is_one_finding_and_hides_what_it_committed():
    class Closed(OneCluster):
        def group(self, name):
            return GroupInfo()

    said = lines(world(Closed()))
    assert [line.split(":")[0] for line in said if line.startswith("fatal")] == [
        f"fatal     group {NAMED.chunker_group}",
        f"fatal     group {NAMED.embedder_group}",
    ]
    hidden = [line for line in said if f"may not describe group {NAMED.chunker_group}" in line]
    assert [line.split()[1] for line in hidden] == ["lineage:", "groups:"]


def test_an_index_that_another_process_keeps_is_told_in_its_own_words():
    def owned():
        raise Fatal("The index in x is owned by process 7; stop it.")

    said = lines(world(catalog=owned))
    assert "fatal     index: The index in x is owned by process 7; stop it" in said
    assert "unchecked probes: not checked because the index cannot be opened" in said


def test_without_being_asked_for_the_probes_load_no_model():
    assert any(line.startswith("unchecked probes") and "--probes" in line for line in lines(world(encoder=None)))


def test_a_fact_is_asked_once_whether_it_can_be_known_or_not():
    asked = []

    def ask():
        asked.append(1)
        raise Outage("away")

    fact = Fact(ask, "it is away")
    for _ in range(3):
        try:
            fact()
        except NotKnown as why:
            assert str(why) == "it is away"  # noqa: PT017 - NotKnown is no error of the stream
    assert asked == [1]


FAILURES = st.sampled_from(
    [
        Outage("Away.", 3.0),
        Fatal("Not so."),
        Misuse("Write it so."),
        Poison("kind", "It\ncannot work."),
        KeyError("x"),
    ]
)
QUESTIONS = ("describe", "topic_rights", "group", "check_transactions", "newest")
OPENED = ("topics", "unframer", "named", "catalog", "encoder")


@given(
    failing=st.dictionaries(st.sampled_from(QUESTIONS), FAILURES),
    closed=st.dictionaries(st.sampled_from(OPENED), FAILURES),
)
def test_whatever_fails_the_examination_ends_and_every_part_is_spoken_of(failing, closed):
    def refusing(error):
        def opened():
            raise error

        return opened

    said = lines(world(OneCluster(failing), **{name: refusing(error) for name, error in closed.items()}))
    for part in ("broker", "model", "index", "probes"):
        assert any(line.split()[1].startswith(part) for line in said), "\n".join(said)
    if not failing and not closed:
        assert all(line.startswith("ok ") for line in said)
