"""The doctor on real Kafka: a healthy deployment, and misconfigurations planted one at a time, each of them found.

A planted one is found where a finding of the right severity says what was planted and what to do. Nothing of what a
doctor does may be seen by the stream beside it.
"""

import json
from dataclasses import dataclass

import pytest
from cdc_events import envelope, row
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from doubles.qdrant_double import QdrantDouble
from doubles.qdrant_state import ServerState
from models import build_tiny_model
from stream_process import wait_for

from compose.commands import doctor
from stream.collection import from_json

pytestmark = pytest.mark.kafka


def put_rows(stream, numbers, **more):
    for number in numbers:
        stream.put({"id": number}, envelope("c", row(number, f"A text about number {number}.", section="s"), **more))
    stream.flush()


def examined(stream, *, probes=False, **options):
    return list(doctor.findings_of(stream.deployment(), probes=probes, **options))


def worst(findings):
    return [finding.line() for finding in findings if finding.severity in ("fatal", "advice")]


@pytest.fixture
def healthy(new_stream):
    """A deployment whose rows are all in the index, at rest."""
    stream = new_stream()
    stream.create()
    put_rows(stream, range(3))
    running = stream.run().ready()
    stream.drained()
    running.stop()
    return stream


def test_nothing_is_wrong_with_a_healthy_deployment(healthy):
    findings = examined(healthy, probes=True)
    assert worst(findings) == []
    assert [finding.line() for finding in findings if finding.severity == "unchecked"] == []
    about = " ".join(finding.about for finding in findings)
    for part in ("broker", "rights", "topic", "source docs", "clock", "model", "lineage", "group", "index", "probes"):
        assert part in about
    assert all("\n" not in finding.line() for finding in findings)


def test_nothing_is_wrong_before_the_first_row(new_stream):
    stream = new_stream()
    stream.create()
    assert worst(examined(stream, probes=True)) == []
    assert not (stream.folder / "index").exists(), "looking makes no index"
    assert stream.topics.describe([stream.chunks]) == {}, "and no topic"


def test_a_doctor_beside_a_running_stream_disturbs_nothing(new_stream):
    stream = new_stream()
    stream.create()
    put_rows(stream, [1])
    running = stream.run().ready()
    stream.drained()
    findings = examined(stream, probes=True)
    assert worst(findings) == []
    assert any('a chunker with [chunker] instance = "0" runs' in finding.line() for finding in findings)
    put_rows(stream, [2])
    stream.drained()
    assert running.alive


def test_the_command_prints_one_line_a_finding_and_its_status_tells(healthy):
    process = healthy.command("doctor")
    assert process.ended() == 0, process.said()
    lines = process.said().splitlines()
    assert all(line.startswith(("ok ", "unchecked ")) for line in lines[:-1]), process.said()
    assert lines[-1].startswith("0 fatal, 0 advice")
    told = json.loads(healthy.asked("doctor", "--json", "--probes"))
    assert told["fatal"] is False
    assert {finding["severity"] for finding in told["findings"]} == {"ok"}
    sick = healthy.command("doctor", "--json", kafka={"message.max.bytes": 1_000_000})
    assert sick.ended() == 1, sick.said()
    (fatal,) = [finding for finding in json.loads(sick.said())["findings"] if finding["severity"] == "fatal"]
    assert fatal["about"] == "kafka.message.max.bytes"
    assert fatal["cure"] == "raise it, or lower chunks.max_event_bytes"


def test_a_role_that_there_is_not_is_used_wrongly(healthy):
    process = healthy.command("doctor", "--role", "surgeon")
    assert process.ended() == 2
    assert "not 'surgeon'" in process.said()


def test_with_the_broker_away_the_rest_is_examined_and_nothing_is_a_traceback(healthy):
    process = healthy.command("doctor", "--probes", kafka={"bootstrap.servers": "127.0.0.1:1"})
    assert process.ended() == 1
    said = process.said()
    assert "Traceback" not in said
    assert "fatal     broker: " in said
    assert "correct bootstrap.servers" in said
    assert said.count("not checked because the broker at 127.0.0.1:1 does not answer") >= 5
    assert "ok        index docs: " in said
    assert "ok        probes: " in said


def test_with_model_and_broker_away_every_check_says_why_it_was_not_made(healthy):
    healthy.change({"encoding": {"model": "path:nowhere"}, "kafka": {"bootstrap.servers": "127.0.0.1:1"}})
    findings = examined(healthy, probes=True)
    fatal = [finding.about for finding in findings if finding.severity == "fatal"]
    assert fatal == ["broker", "model"]
    assert {finding.severity for finding in findings} == {"fatal", "unchecked"}


# --- planted ---


@dataclass(frozen=True)
class Planted:
    """What was planted; ``says`` must all be in one finding of this severity."""

    plant: object
    severity: str
    says: tuple[str, ...]
    ran: bool = False
    """Whether the stream has run before; else its CDC topic holds three rows that nobody has read."""
    probes: bool = False


def settings(**tables):
    return lambda stream: stream.change(tables)


def topic(attribute, **config):
    """A topic that was made by somebody else."""

    def plant(stream):
        name = getattr(stream, attribute)
        if stream.topics.describe([name]):
            admin = AdminClient({"bootstrap.servers": stream.brokers})
            admin.delete_topics([name])[name].result(20)
            wait_for(lambda: not stream.topics.describe([name]), "the topic to be gone")
        stream.create(name, 3, **config)

    return plant


def records(*pairs):
    def plant(stream):
        for key, value in pairs:
            stream.put(key, value)
        stream.flush()

    return plant


def source(**changed):
    return lambda stream: stream.change({"source": [stream.source(**changed)]})


def recreated(stream):
    topic("cdc")(stream)
    put_rows(stream, range(5))


def history_gone(stream):
    """The oldest records leave the topic before the group has read them."""
    put_rows(stream, range(10, 40))
    ends = stream.topics.ends(stream.cdc)
    admin = AdminClient({"bootstrap.servers": stream.brokers})
    places = [TopicPartition(place.topic, place.number, end) for place, end in ends.items()]
    for done in admin.delete_records(places).values():
        done.result(20)


def unsafe_model(stream):
    folder = build_tiny_model(stream.folder / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    stream.change({"encoding": {"model": f"path:{folder}"}})


def other_vectors(stream):
    """The collection's probes are those of another encoder."""
    deployment = stream.deployment()
    catalog = deployment.catalog(serve=False)
    before = catalog.metadata(deployment.collection)
    after = from_json(before).to_json()
    for probe in after["probes"]:
        probe["vector"] = [*probe["vector"][1:], probe["vector"][0]]
    assert catalog.replace_metadata(deployment.collection, before, after)
    catalog.close()


def lost_index(stream):
    (stream.folder / "index").rename(stream.folder / "elsewhere")


def toast(stream):
    after = row(1, "__debezium_unavailable_value", section="s")
    stream.put({"id": 1}, envelope("u", after))
    stream.flush()


PLANTED = {
    "a chunk topic that is not compacted": Planted(
        topic("chunks", cleanup_policy="delete", retention_ms="7200000"),
        "fatal",
        ("cleanup.policy is delete", "2 hours", "cleanup.policy=compact"),
    ),
    "a chunk topic that compacts at once": Planted(
        topic("chunks", cleanup_policy="compact", max_message_bytes="16777216"),
        "advice",
        ("min.compaction.lag.ms is 0", "86400000"),
    ),
    "a chunk topic that takes less than an event": Planted(
        topic("chunks", cleanup_policy="compact", max_message_bytes="1000000", min_compaction_lag_ms="86400000"),
        "fatal",
        ("takes records of 1000000 bytes", "max.message.bytes", "chunks.max_event_bytes"),
    ),
    "a chunk topic with other partitions than configured": Planted(
        settings(chunks={"partitions": 8}), "advice", ("has 3 partitions, and chunks.partitions is 8",), ran=True
    ),
    "a producer that sends less than an event": Planted(
        settings(kafka={"message.max.bytes": 2_000_000}), "fatal", ("kafka.message.max.bytes: it is 2000000",)
    ),
    "a CDC topic that does not exist": Planted(
        source(topic="nobody.wrote.this"), "fatal", ("nobody.wrote.this: it does not exist", "source.topic")
    ),
    "a CDC topic that forgets within an hour": Planted(
        topic("cdc", cleanup_policy="delete", retention_ms="3600000"),
        "advice",
        ("its records are deleted after 60 minutes", "retention.ms"),
    ),
    "a dead-letter topic that is compacted": Planted(
        topic("letter_topic", cleanup_policy="compact"), "fatal", ("refuses a letter without a key", "=delete")
    ),
    "a column that is not there": Planted(
        source(fields={"chapter": "keyword"}), "fatal", ("maps the column 'chapter'", "'chapter?'")
    ),
    "a field of another type": Planted(
        source(fields={"section": "integer"}), "fatal", ("3 of its 3 newest", "'section' is declared integer")
    ),
    "key columns that the key does not have": Planted(
        source(key=["uuid"]), "fatal", ("names the key column 'uuid'", "has only id")
    ),
    "records without a key": Planted(
        records((None, envelope("c", row(7, "Nobody's text.", section="s")))),
        "advice",
        ("1 of its 4 newest records would be dead letters (missing-key)", "primary key"),
    ),
    "a large column that did not change": Planted(
        toast, "advice", ("dead letters (placeholder)", "REPLICA IDENTITY FULL", "column reselector")
    ),
    "a table whose updates tell nothing of the old row": Planted(
        records(({"id": 2}, envelope("u", row(2, "Changed.", section="s")))),
        "advice",
        ("1 of 1 updates tell nothing of the old row", "REPLICA IDENTITY FULL"),
    ),
    "records of another format": Planted(source(format="document"), "fatal", ("maps the column 'title'",)),
    "a CDC topic made anew": Planted(
        recreated, "fatal", ("re-created or repartitioned", "index.generation"), ran=True
    ),
    "records that left before they were read": Planted(
        history_gone, "fatal", ("what lay between is gone", "new snapshot"), ran=True
    ),
    "a mapping that changed": Planted(
        source(title=None), "fatal", ("its text mapping (title, text) changed",), ran=True
    ),
    "a database's clock that is ahead": Planted(
        lambda stream: put_rows(stream, [9], ts_ms=4_000_000_000_000), "advice", ("ahead of this machine", "NTP")
    ),
    "a model of pickled weights": Planted(unsafe_model, "fatal", ("model: ", "pytorch_model.bin")),
    "a model that is not there": Planted(settings(encoding={"model": "path:nowhere"}), "fatal", ("model: ",)),
    "a model other than the collection's": Planted(
        settings(encoding={"model": "hash:32"}),
        "fatal",
        ("encoding.dimensions: here 32, in the collection 64", "index.name"),
        ran=True,
    ),
    "an encoder that makes other vectors": Planted(
        other_vectors, "fatal", ("claims the contract of collection", "index.generation"), ran=True, probes=True
    ),
    "an index that was lost": Planted(lost_index, "fatal", ("is gone, and its consumer group has read",), ran=True),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_was_planted_is_found(new_stream, request, planted):
    if planted.ran:
        stream = request.getfixturevalue("healthy")
    else:
        stream = new_stream()
        stream.create()
        put_rows(stream, range(3))
    planted.plant(stream)
    lines = [finding.line() for finding in examined(stream, probes=planted.probes)]
    found = [
        line for line in lines if line.startswith(planted.severity) and all(part in line for part in planted.says)
    ]
    assert found, "\n".join(lines)


def test_two_chunkers_of_one_name_are_found(healthy):
    deployment = healthy.deployment()
    twins = []
    for _ in range(2):
        twin = Consumer(
            {
                "bootstrap.servers": healthy.brokers,
                "group.id": deployment.chunker_group,
                "group.protocol": "consumer",
                "client.id": deployment.chunker_client,
            }
        )
        twin.subscribe([healthy.cdc])
        twins.append(twin)

    def found():
        for twin in twins:
            twin.poll(0.05)
        return [line for line in worst(examined(healthy)) if "2 chunkers run with [chunker] instance" in line]

    (line,) = wait_for(found, "the twins to be found")
    assert line.startswith("fatal")
    assert "(2 on " in line
    for twin in twins:
        twin.close()


def test_topics_that_nobody_may_make_are_missed(new_stream):
    stream = new_stream(chunks={"create": False}, dead_letters={"create": False})
    stream.create()
    lines = worst(examined(stream))
    assert [line.split(":")[0] for line in lines] == [
        f"fatal     topic {stream.chunks}",
        f"fatal     topic {stream.letter_topic}",
    ]
    assert "chunks.create = true" in lines[0]
    assert "dead_letters.create = true" in lines[1]


def test_an_index_on_a_server_is_told_of_with_its_version_and_replicas(new_stream):
    double = QdrantDouble(ServerState(version="1.18.0"))
    try:
        stream = new_stream(index={"url": double.url})
        stream.create()
        assert any("version 1.18.0" in finding.line() for finding in examined(stream)), "before there is an index"
        put_rows(stream, [1])
        stream.run("chunker", "embedder").ready()
        stream.drained()
        lines = [finding.line() for finding in examined(stream, probes=True)]
    finally:
        double.close()
    assert "advice    engine: version 1.18.0 has known faults; upgrade it to 1.19 or newer" in lines
    assert "ok        engine: one replica of each shard: a lost node is rebuilt from the topics" in lines
    assert not [line for line in lines if line.startswith("fatal")], lines


@pytest.mark.parametrize("trouble", ["too old", "away"])
def test_a_server_of_the_index_that_cannot_serve_is_found(new_stream, trouble):
    double = QdrantDouble(ServerState(version="1.16.3"))
    stream = new_stream(index={"url": double.url})
    stream.create()
    if trouble == "away":
        double.close()
    lines = [finding.line() for finding in examined(stream)]
    double.close()
    (line,) = [line for line in lines if " index: " in line]
    assert line.startswith("fatal" if trouble == "too old" else "unchecked")
    assert ("1.16.3" if trouble == "too old" else "an outage") in line
