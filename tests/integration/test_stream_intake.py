"""Records on the chunk topic that are not this embedder's: dropped and counted, or dead letters byte for byte.

One running stream; each test writes to the chunk topic itself, as another program or another version would.
"""

import secrets

import pytest
from cdc_events import envelope, row
from deployed_stream import Stream
from stream_process import wait_for

from schemas import chunk_codec
from schemas.chunk_event import Chunk, ChunkEvent, EventHeaders
from schemas.dead_letter import NAMESPACE
from schemas.identity import Version, chunk_ids, doc_id
from stream.ports import Partition

OTHER_CHUNKING = "a" * 26


class Chunks:
    """A running stream, and one document that the test writes events of."""

    def __init__(self, stream, running):
        self.stream, self.running = stream, running
        deployment = stream.deployment()
        self.id = secrets.token_hex(6)
        self.doc = doc_id("docs", {"id": self.id})
        self.chunking = deployment.contract.accepted["docs"]
        described = stream.topics.describe([stream.cdc, stream.chunks])
        cdc, chunks = described[stream.cdc], described[stream.chunks]
        self.lineage = f"{cdc.id}/{cdc.partitions}+{chunks.id}/{chunks.partitions}"

    def event(self, version=1, lineage=""):
        text = f"An event of {self.id} by hand."
        (chunk_id,) = chunk_ids(self.doc, [text])
        chunk = Chunk(chunk_id, (0, len(text)), text)
        return ChunkEvent(
            "upsert", "docs", self.doc, Version(version), lineage or self.lineage, source_ts_ms=1, chunks=(chunk,)
        )

    def headers(self, event, chunking=""):
        return chunk_codec.encode_headers(
            EventHeaders(chunking or self.chunking, event.version, event.lineage, event.source_ts_ms, None)
        )

    def write(self, key, value, headers):
        self.stream.put(key, value, topic=self.stream.chunks, headers=headers, partition=1)
        self.stream.drained()

    def key(self, chunking=""):
        return chunk_codec.encode_key(self.doc, chunking or self.chunking)

    def points(self):
        return [one for one in self.stream.points(None).values() if one["doc_id"] == self.doc]

    def letters(self):
        """This test's letters: their keys name its document."""
        return [letter for letter in self.stream.letters() if letter.key and self.id.encode() in letter.key]


@pytest.fixture(scope="module")
def shared(kafka):
    stream = Stream(kafka)
    try:
        stream.create()
        yield stream, stream.run().ready()
    finally:
        stream.close()


@pytest.fixture
def chunks(shared):
    return Chunks(*shared)


def test_an_event_written_by_hand_is_applied(chunks):
    event = chunks.event()
    chunks.write(chunks.key(), chunk_codec.encode(event), chunks.headers(event))
    (point,) = chunks.points()
    assert (point["text"], point["version"], point["state"]) == (event.chunks[0].text, 1, "live")


def test_an_event_of_another_chunking_is_dropped_unread_and_counted_by_its_fingerprint(chunks):
    before = chunks.running.metric("mismatched_total", fingerprint=OTHER_CHUNKING)
    headers = chunks.headers(chunks.event(), OTHER_CHUNKING)
    chunks.write(chunks.key(OTHER_CHUNKING), b"\xff not even JSON", headers)
    assert chunks.running.metric("mismatched_total", fingerprint=OTHER_CHUNKING) == before + 1
    assert (chunks.points(), chunks.letters()) == ([], [])


def test_an_event_of_another_lineage_is_dropped_unread_and_counted(chunks):
    before = chunks.running.events("other_lineage")
    chunks.write(chunks.key(), b"\xff not even JSON", chunks.headers(chunks.event(lineage="old/3+topics/3")))
    assert chunks.running.events("other_lineage") == before + 1
    assert (chunks.points(), chunks.letters()) == ([], [])


def test_a_null_value_is_let_pass(chunks):
    chunks.write(chunks.key(), None, [])
    assert (chunks.points(), chunks.letters()) == ([], [])


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (lambda key, value, headers: (key, value, headers[1:]), "header"),
        (lambda key, value, headers: (key, value, [*headers[:1], ("version", b"-1"), *headers[2:]]), "header"),
        (lambda key, value, headers: (key, value, [*headers, headers[1]]), "header"),
        (lambda key, value, headers: (key, value[:-9], headers), "undecodable"),
        (lambda key, value, headers: (key, b'{"schema": 1}', headers), "schema"),
        (lambda key, value, headers: (key, value, [*headers[:1], ("version", b"7"), *headers[2:]]), "inconsistent"),
        (lambda key, value, headers: (b'["docs/another"' + key[key.index(b",") :], value, headers), "inconsistent"),
        (lambda key, value, headers: (b"no key " + key, value, headers), "undecodable"),
    ],
    ids=["no chunking", "version -1", "two versions", "cut off", "schema", "two minds", "other document", "key"],
)
def test_what_cannot_be_applied_is_a_dead_letter_byte_for_byte(chunks, broken, kind):
    event = chunks.event()
    headers = [("custom", b"\x00\xff"), ("custom", None)]
    key, value, ours = broken(chunks.key(), chunk_codec.encode(event), list(chunks.headers(event)))
    before = len(chunks.stream.letters())
    chunks.write(key, value, [*ours, *headers])
    letter = chunks.stream.letters()[before]
    assert (letter.key, letter.value, letter.headers) == (key, value, (*ours, *headers))
    assert (letter.topic, letter.partition) == (chunks.stream.chunks, 1)
    assert (letter.stage, letter.error_class) == ("embedder", kind)
    assert letter.message.endswith(".")
    assert chunks.points() == []


def test_a_letter_says_in_headers_where_the_record_lay_and_why_it_failed(chunks):
    offset = chunks.stream.topics.ends(chunks.stream.chunks)[Partition(chunks.stream.chunks, 1)]
    chunks.write(chunks.key(), b"\xff", chunks.headers(chunks.event()))
    (record,) = [one for one in chunks.stream.records(chunks.stream.letter_topic) if one.key == chunks.key()]
    told = {name.removeprefix(NAMESPACE): value for name, value in record.headers if name.startswith(NAMESPACE)}
    assert told.pop("message").startswith(b"The chunk event is not JSON in UTF-8")
    assert told == {
        "schema": b"1",
        "topic": chunks.stream.chunks.encode(),
        "partition": b"1",
        "offset": str(offset).encode(),
        "stage": b"embedder",
        "error-class": b"undecodable",
    }


def test_good_events_among_bad_ones_are_applied(chunks):
    stream = chunks.stream
    good = {"id": chunks.id}
    for number in range(30):
        stream.put({"id": f"{chunks.id}-{number}"}, envelope("c", row(number, f"Good text {number} {chunks.id}.")))
        stream.put(chunks.key(), b"\xff", topic=stream.chunks, partition=number % 3)
        stream.put({"id": f"{chunks.id}-bad"}, b"\xfe", partition=number % 3)
    stream.put(good, envelope("c", row(chunks.id, f"Last text {chunks.id}.")))
    stream.drained()
    texts = stream.texts()
    assert texts[f"docs/{chunks.id}"] == [f"Last text {chunks.id}."]
    assert all(f"docs/{chunks.id}-{number}" in texts for number in range(30))
    stages = [letter.stage for letter in chunks.letters()]
    assert (stages.count("chunker"), stages.count("embedder")) == (30, 30)
    wait_for(
        lambda: chunks.running.metric("oldest_unapplied_commit_age_seconds") == 0, "nothing to be left unapplied"
    )
