import subprocess
import sys
from pathlib import Path

import pytest
from stream_world import CONTRACT, CUTTER, LINEAGE

from schemas import chunk_codec
from schemas.identity import DocId, Version
from stream.change import Delete, Upsert
from stream.errors import Poison
from stream.partitioning import partition_for
from stream.revision import ChunkTopic

ROOT = Path(__file__).parents[2]
TEXT = "Alpha is the first of them.\r\n\r\n" + " ".join(f"word{number}" for number in range(60)) + " 🚀 \rend"
HEADER = CONTRACT.header_fingerprint("docs")
TOPIC = ChunkTopic("kb.chunks", 8, 1 << 20)


def upsert(text=TEXT, title="A title of some more words than it may embed", **more):
    given = {"fields": {"colour": "red"}, "tenant": "acme", "source_ts_ms": 1_700_000_000_000, **more}
    return Upsert(DocId("docs/ä 1"), Version(18), title, text, **given)


def event_of(change):
    return CUTTER.event("docs", change, LINEAGE)


def test_the_event_is_the_whole_revision():
    event = event_of(upsert())
    text = TEXT.replace("\r\n", "\n").replace("\r", "\n")
    assert len(event.chunks) > 3
    assert all(text[slice(*chunk.span)] == chunk.text for chunk in event.chunks)
    assert (event.kind, event.source, event.doc_id, event.version) == ("upsert", "docs", "docs/ä 1", 18)
    assert (event.lineage, event.title, event.fields, event.tenant) == (
        LINEAGE,
        upsert().title,
        {"colour": "red"},
        "acme",
    )


def test_another_process_makes_the_same_record_byte_for_byte():
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from stream_world import CONTRACT, CUTTER, LINEAGE
from stream.change import Upsert
from stream.revision import ChunkTopic
event = CUTTER.event("docs", {upsert()!r}, LINEAGE)
made = ChunkTopic("kb.chunks", 8, 1 << 20).outgoing(event, CONTRACT.header_fingerprint("docs"), None)
sys.stdout.write(repr(made))
"""
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.decode() == repr(TOPIC.outgoing(event_of(upsert()), HEADER, None))


def test_a_title_is_part_of_what_is_embedded_and_so_of_the_ids():
    ids = {tuple(chunk.id for chunk in event_of(upsert(title=title)).chunks) for title in (None, "One", "Two")}
    assert len(ids) == 3
    # Only its embedded beginning counts, and a blank one is none.
    assert event_of(upsert(title="One")).chunks == event_of(upsert(title=" One ")).chunks
    assert event_of(upsert(title=None)).chunks == event_of(upsert(title="  ")).chunks


def test_payload_fields_are_not_part_of_the_ids():
    one, other = event_of(upsert(fields={"colour": 1})), event_of(upsert(fields={"colour": 2}, tenant=None))
    assert one.chunks == other.chunks


@pytest.mark.parametrize("blank", ["", "  \n\t "])
def test_a_document_without_text_has_no_chunks(blank):
    event = event_of(upsert(text=blank))
    assert (event.kind, event.chunks) == ("upsert", ())


def test_a_delete_carries_nothing_of_the_document():
    event = event_of(Delete(DocId("docs/1"), Version(19), "acme", 5))
    assert (event.kind, event.chunks, event.title, event.fields) == ("delete", (), None, {})
    assert (event.version, event.tenant, event.source_ts_ms, event.lineage) == (19, "acme", 5, LINEAGE)


def test_the_partition_is_murmur2_of_the_document():
    for number in range(50):
        change = Delete(DocId(f"docs/{number}"), Version(1), None, None)
        made = TOPIC.outgoing(event_of(change), HEADER, None)
        assert made.partition.topic == "kb.chunks"
        assert made.partition.number == partition_for(change.doc_id.encode(), 8)


def test_all_revisions_of_a_document_and_a_chunking_have_one_key():
    first = TOPIC.outgoing(event_of(upsert()), HEADER, None)
    second = TOPIC.outgoing(event_of(Delete(DocId("docs/ä 1"), Version(19), None, None)), HEADER, None)
    assert first.key == second.key == chunk_codec.encode_key(DocId("docs/ä 1"), HEADER)


def test_headers_tell_what_a_reader_needs_before_the_value():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = chunk_codec.decode_headers(TOPIC.outgoing(event_of(upsert()), HEADER, trace).headers)
    assert (headers.chunking, headers.version, headers.lineage) == (HEADER, 18, LINEAGE)
    assert (headers.source_ts_ms, headers.traceparent) == (1_700_000_000_000, trace)


def test_an_event_above_the_limit_is_poison_by_its_encoded_size():
    event = event_of(upsert())
    size = len(chunk_codec.encode(event))
    assert ChunkTopic("kb.chunks", 8, size).outgoing(event, HEADER, None).value == chunk_codec.encode(event)
    with pytest.raises(Poison, match="split the document at its source, or raise the limit") as raised:
        ChunkTopic("kb.chunks", 8, size - 1).outgoing(event, HEADER, None)
    assert raised.value.kind == "oversized"


def test_control_characters_count_as_long_as_json_writes_them():
    few, many = event_of(upsert(text="a" * 12)), event_of(upsert(text="a" + "\x01" * 10 + "a"))
    assert len(chunk_codec.encode(many)) - len(chunk_codec.encode(few)) == 10 * 5


def test_what_json_cannot_carry_is_poison():
    with pytest.raises(Poison) as raised:
        TOPIC.outgoing(event_of(upsert(fields={"price": float("nan")})), HEADER, None)
    assert raised.value.kind == "not-json"
