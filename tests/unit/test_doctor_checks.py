"""Each check of the doctor by itself: what it says of values, and how bad it thinks it is."""

import pytest
from cdc_events import envelope, row
from deployed_stream import as_bytes
from stream_world import CONTRACT, ENCODER, HeldClock

from operations.doctor import brokers, indexes, progress, rights, samples, topics
from operations.doctor.finding import advice, fatal, ok, refused, unchecked
from operations.doctor.wanted import Named, Wanted, WantedTopic
from stream.cluster import ClusterInfo, Member
from stream.collection import new_record
from stream.engine import EngineInfo
from stream.framed import NoRegistry
from stream.lineage import Followed
from stream.ports import Committed, Partition, Record, TopicInfo
from stream.source import Source

CHUNKS = WantedTopic("kb.chunks", 8, 1, create=True, least_bytes=9_000_000)
LETTERS = WantedTopic("kb.letters", 1, 1, create=True, least_bytes=16_000_000)
SOURCE = Source.written(name="docs", topic="kb.public.docs", title="title", text=["body"], heartbeat="kb.heartbeat")
SOUND = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000", "max.message.bytes": "16777216"}
WANTED = Wanted("b:9092", "consumer", (SOURCE,), CHUNKS, LETTERS, 16_777_216, 10_000, "0", "embedstream.chunker.0")
NAMED = Named(
    CONTRACT, "p.chunker.f.g1", "p.chunker.f.g1", "p.embedder.f.g1", "docs__" + CONTRACT.fingerprint + "__g1", "docs"
)


def topic(partitions=8, **config):
    return TopicInfo("id", partitions, {key.replace("_", "."): value for key, value in config.items()})


def said(findings):
    return [(finding.severity, finding.what) for finding in findings]


def severities(findings):
    return [finding.severity for finding in findings]


def test_a_finding_is_one_line_whatever_was_said():
    assert fatal("a", "it is\nbroken", "mend\tit").line() == "fatal     a: it is broken; mend it"
    assert ok("a", "sound").line() == "ok        a: sound"
    assert unchecked("a", "it is away").line() == "unchecked a: not checked because it is away"
    assert refused("a", "This is wrong; do that.").line() == "fatal     a: This is wrong; do that"
    assert advice("a", "b", "c").to_json() == {"about": "a", "severity": "advice", "what": "b", "cure": "c"}
    assert (
        advice("a", "hunter2", "say hunter2").blotted(lambda text: text.replace("hunter2", "*")).line().count("*")
        == 2
    )


@pytest.mark.parametrize(
    ("release", "protocol", "worst"),
    [
        ((4, 1), "consumer", "ok"),
        ((3, 7), "consumer", "fatal"),
        ((3, 7), "classic", "ok"),
        ((2, 8), "classic", "fatal"),
        (None, "consumer", "ok"),
    ],
)
def test_a_broker_has_to_speak_the_protocol_of_the_group(release, protocol, worst):
    found = list(brokers.check_brokers(ClusterInfo("c", ("b:9092",), release), protocol, 10_000))
    assert found[-1].severity == worst
    assert "1 broker of cluster c" in found[0].what


def test_a_transaction_may_not_last_longer_than_the_broker_allows():
    info = ClusterInfo("c", ("a", "b"), (4, 1), settings={"transaction.max.timeout.ms": "5000"})
    assert severities(brokers.check_brokers(info, "consumer", 10_000)) == ["ok", "fatal"]
    assert severities(brokers.check_brokers(info, "consumer", 5_000)) == ["ok"]


def test_only_a_clock_ahead_of_ours_is_wrong():
    now = 1_700_000_000_000
    assert severities(brokers.check_clocks({"a": now + 4_000, "b": now - 10**9}, now)) == ["ok"]
    (found,) = brokers.check_clocks({"a": now + 60_000, "b": now}, now)
    assert found.severity == "advice"
    assert "a is 60 s ahead" in found.what
    assert list(brokers.check_clocks({}, now)) == []


@pytest.mark.parametrize(
    ("changed", "worst", "says"),
    [
        ({}, "ok", "compacted, 8 partitions"),
        ({"cleanup.policy": "delete", "retention.ms": "604800000"}, "fatal", "after 7 days"),
        ({"cleanup.policy": "compact,delete", "retention.ms": "60000"}, "fatal", "compact,delete"),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, "advice", "grows with every change"),
        ({"min.compaction.lag.ms": "0"}, "advice", "min.compaction.lag.ms is 0"),
        ({"max.message.bytes": "1000012"}, "fatal", "1000012 bytes, and an event may have 9000000"),
    ],
)
def test_the_chunk_topic_has_to_keep_every_document(changed, worst, says):
    found = list(topics.check_chunk_topic(CHUNKS, TopicInfo("id", 8, {**SOUND, **changed}), 1))
    assert found[0].severity == worst
    assert says in found[0].what


def test_the_chunk_topic_may_be_missing_only_where_it_may_be_made():
    assert severities(topics.check_chunk_topic(CHUNKS, None, 1)) == ["ok"]
    (found,) = topics.check_chunk_topic(WantedTopic("kb.chunks", 8, 1, create=False, least_bytes=1), None, 1)
    assert (found.severity, "chunks.create" in found.what) == ("fatal", True)


def test_one_copy_on_many_brokers_and_other_partitions_are_advice():
    found = topics.check_chunk_topic(CHUNKS, TopicInfo("id", 3, SOUND), 3)
    assert severities(found) == ["advice", "advice", "ok"]
    assert severities(topics.check_chunk_topic(CHUNKS, TopicInfo("id", 8), 1)) == ["unchecked"]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"cleanup_policy": "compact", "delete_retention_ms": "86400000"}, ["ok"]),
        ({"cleanup_policy": "compact", "delete_retention_ms": "1000"}, ["advice", "ok"]),
        ({"cleanup_policy": "delete", "retention_ms": "-1", "retention_bytes": "-1"}, ["ok"]),
        ({"cleanup_policy": "delete", "retention_ms": "3600000"}, ["advice", "ok"]),
        ({"cleanup_policy": "delete", "retention_ms": "604800000", "retention_bytes": "1000"}, ["advice", "ok"]),
        ({}, ["unchecked", "ok"]),
    ],
)
def test_a_cdc_topic_should_not_forget_what_nobody_read(config, found):
    assert severities(topics.check_source_topic(SOURCE, topic(**config))) == found
    assert severities(topics.check_source_topic(SOURCE, None)) == ["fatal"]


def test_letters_need_a_topic_that_takes_every_one():
    good = {"cleanup_policy": "delete", "retention_ms": "2592000000", "max_message_bytes": "16777216"}
    assert said(topics.check_letter_topic(LETTERS, topic(1, **good))) == [("ok", "a letter is kept for 30 days")]
    assert severities(topics.check_letter_topic(LETTERS, topic(1, **{**good, "cleanup_policy": "compact"}))) == [
        "fatal"
    ]
    short = {**good, "retention_ms": "60000", "max_message_bytes": "1048588"}
    assert severities(topics.check_letter_topic(LETTERS, topic(1, **short))) == ["advice", "advice", "ok"]
    assert severities(topics.check_producer_limit(CHUNKS, 1_000_000)) == ["fatal"]
    assert severities(topics.check_producer_limit(CHUNKS, 9_000_000)) == []


def test_each_role_needs_its_own_rights():
    def of(*roles):
        return {(need.topic, *sorted(need.operations)) for need in rights.needs(WANTED, frozenset(roles))}

    chunker = {("kb.public.docs", "read"), ("kb.heartbeat", "read"), ("kb.chunks", "write"), ("kb.letters", "write")}
    assert of("chunker") == chunker
    assert of("embedder") == {("kb.chunks", "read"), ("kb.letters", "write")}
    assert of("query") == set()
    assert of("chunker", "embedder", "query") == chunker | {("kb.chunks", "read")}


def test_a_missing_right_names_resource_operation_and_purpose():
    need = rights.Need("kb.chunks", frozenset({"write"}), "the chunker publishes there")
    (found,) = rights.check_topic(need, frozenset({"read", "describe"}))
    assert found.line() == (
        "fatal     topic kb.chunks: this user has no right to Write (the chunker publishes there); grant Write on "
        "topic kb.chunks with an ACL"
    )
    assert list(rights.check_topic(need, frozenset({"write"}))) == []
    assert list(rights.check_topic(need, None)) == [], "a topic that is not there is another finding"
    (group,) = rights.check_group("p.chunker.f.g1", frozenset(), "it is a member")
    assert "groups with the prefix p.chunker" in group.cure
    (hidden,) = rights.check_settings({"a": frozenset({"read"}), "b": frozenset({"describe_configs"}), "c": None})
    assert "settings of a," in hidden.what


def test_the_lineage_is_the_streams_own_law():
    headers = {"docs": "h1"}
    before = Followed({"docs": "l1"}, {"docs": "h1"})
    assert severities(progress.check_followed(Followed(), {"docs": "l1"}, headers)) == ["ok"]
    assert severities(progress.check_followed(before, {"docs": "l1"}, headers)) == ["ok"]
    assert severities(progress.check_followed(before, {"docs": "l2"}, {"docs": "h2"})) == ["fatal", "fatal"]
    (gone,) = progress.check_followed(before, {}, headers)
    assert (gone.severity, "is gone" in gone.what) == ("fatal", True)


def test_offsets_have_to_lie_within_the_topic():
    places = [Partition("t", number) for number in range(3)]
    lows, ends = dict.fromkeys(places, 10), dict.fromkeys(places, 100)

    def of(*offsets):
        return list(progress.check_offsets("g", dict(zip(places, map(Committed, offsets), strict=False)), lows, ends))

    assert said(of(10, 100, 50)) == [("ok", "140 records of t behind")]
    assert said(of(100)) == [("ok", "180 records of t behind")]
    assert severities(of(9, 101, 50)) == ["fatal", "fatal"]
    assert of() == []


def test_two_members_of_one_name_fence_each_other():
    one, other = Member("embedstream.chunker.0", "10.0.0.1"), Member("embedstream.chunker.1", "10.0.0.2")

    def of(*members, client="embedstream.chunker.0"):
        (found,) = progress.check_members("g", members, client, "0")
        return found.severity, found.what

    assert of() == ("ok", "no chunker runs")
    assert of(one, other)[0] == "ok"
    assert "runs on 10.0.0.1" in of(one, other)[1]
    assert of(other) == ("ok", '1 chunker runs, none with instance "0"')
    assert of(one, one, other)[0] == "fatal"
    assert "2 on 10.0.0.1" in of(one, one, other)[1]
    assert of(one, one, client=None)[0] == "ok", "one client.id for all tells nothing"


def sampled(*values, source=SOURCE):
    records = [
        Record(Partition(source.topic, 0), offset, as_bytes(key), as_bytes(value))
        for offset, (key, value) in enumerate(values)
    ]
    return samples.take(source, records, NoRegistry())


GOOD = ({"id": 1}, envelope("c", row(1, "A text.")))
KEYLESS = (None, envelope("c", row(2, "A text.")))


def test_the_newest_records_show_what_becomes_of_a_row():
    assert severities(samples.check_mapping(SOURCE, sampled())) == ["unchecked"]
    assert severities(samples.check_mapping(SOURCE, sampled(GOOD, ({"id": 1}, None)))) == ["ok"]
    (found,) = samples.check_mapping(SOURCE, sampled(GOOD, KEYLESS, KEYLESS))
    assert found.severity == "advice"
    assert found.what.startswith("2 of its 3 newest records would be dead letters (missing-key): ")
    assert severities(samples.check_mapping(SOURCE, sampled(KEYLESS))) == ["fatal"]
    renamed = Source.written(name="docs", topic="t", text=["story"])
    (stops,) = samples.check_mapping(renamed, sampled(GOOD, GOOD, source=renamed))
    assert stops.severity == "fatal"
    assert "maps the column 'story'" in stops.what


def test_rows_without_any_text_are_pointed_out():
    found = list(samples.check_mapping(SOURCE, sampled(({"id": 1}, envelope("c", row(1, " "))))))
    assert severities(found) == ["advice", "ok"]
    assert "none of its 1 newest rows has a text in body" in found[0].what


def test_updates_show_the_replica_identity_of_a_postgresql_table_alone():
    def update(connector="postgresql", before=None, **origin):
        event = envelope("u", row(1, "New."), before)
        event["source"] |= {"connector": connector, **origin}
        return {"id": 1}, event

    (found,) = samples.check_identity(
        SOURCE, sampled(update(schema="kb", table="docs"), update(before=row(1, "Old.")))
    )
    assert found.line().startswith("advice")
    assert "1 of 2 updates tell nothing of the old row" in found.what
    assert found.cure.startswith("ALTER TABLE kb.docs REPLICA IDENTITY FULL")
    assert severities(samples.check_identity(SOURCE, sampled(update(before=row(1, "Old."))))) == ["ok"]
    assert list(samples.check_identity(SOURCE, sampled(update("mysql"), GOOD))) == []


def test_clocks_are_those_of_commits_and_records():
    seen = samples.clocks(SOURCE, sampled(GOOD))
    assert seen == {"the newest commit of source docs": 1_700_000_000_000}
    assert HeldClock(1.0).now_ms() == 1000


RECORD = new_record(CONTRACT, {"docs": "l1"}, ())


def test_an_index_of_this_contract_is_sound_and_one_of_another_is_shown_with_both_sides():
    def of(live, records, **more):
        given = {"lineages": {"docs": "l1"}, "consumed": True, **more}
        return list(indexes.check_collection(NAMED, live, records, given["lineages"], consumed=given["consumed"]))

    own = {NAMED.collection: RECORD}
    assert severities(of(NAMED.collection, own)) == ["ok"]
    assert severities(of(None, {}, consumed=False)) == ["ok"]
    assert severities(of(None, {}, consumed=None)) == ["ok"]
    assert severities(of(None, {})) == ["fatal"]
    assert severities(of(NAMED.collection, own, lineages={"docs": "l2"})) == ["fatal"]
    assert severities(of(NAMED.collection, own, lineages=None)) == ["ok"]
    earlier = NAMED.collection.removesuffix("g1") + "g0"
    assert severities(of(earlier, {earlier: RECORD, **own})) == ["ok", "ok"]
    from dataclasses import replace

    wider = replace(CONTRACT, encoding=replace(ENCODER.contract, dimensions=16))
    other = f"docs__{wider.fingerprint}__g1"
    (found,) = of(other, {other: new_record(wider, {}, ())}, consumed=False)
    assert found.severity == "fatal"
    assert "encoding.dimensions: here 8, in the collection 16" in found.what
    assert "\n" not in found.line()


def test_an_engine_is_told_of_with_its_version_and_replicas():
    def of(**more):
        given = {"where": "q:6333", "version": "1.19.2", "recommended": "1.19", **more}
        return severities(indexes.check_engine(EngineInfo(**given)))

    assert of() == ["ok"]
    assert of(version="1.17.1") == ["ok", "advice"]
    assert of(version="1.20.0-dev") == ["ok"]
    assert of(version="dev") == ["ok", "advice"]
    assert of(replicas=1, written=1, state="green") == ["ok", "ok"]
    assert of(replicas=3, written=2, state="yellow") == ["ok", "advice", "ok"]
    assert of(replicas=3, written=1) == ["ok", "fatal"]
