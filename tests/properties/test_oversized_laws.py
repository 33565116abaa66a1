"""A text that is refused before it is cut would have been refused behind it too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_world import CONTRACT, CUTTER

from schemas.identity import DocId, Version
from stream.change import Delete, Upsert
from stream.errors import Poison
from stream.revision import ChunkTopic

HEADER = CONTRACT.header_fingerprint("docs")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300) | st.text(" \t\n\r\x0b\x1c\x85\u00a0\u2003\u3000aé😀.")


def revision(text):
    return Upsert(DocId("docs/1"), Version(1), None, text, {}, None, None)


@given(text=TEXTS, times=st.integers(1, 20), limit=st.integers(1, 4000))
def test_what_is_hopeless_before_it_is_cut_is_oversized_behind_it(text, times, limit):
    topic, change = ChunkTopic("kb.chunks", 1, limit), revision(text * times)
    try:
        topic.refuse_hopeless(change)
    except Poison:
        with pytest.raises(Poison, match=r"^Document docs/1 makes an event of \d+ bytes, above"):
            topic.outgoing(CUTTER.event("docs", change, "lineage"), HEADER, None)


@given(text=TEXTS)
def test_white_space_makes_no_text_hopeless(text):
    topic = ChunkTopic("kb.chunks", 1, 4 * len(text) + 1)
    topic.refuse_hopeless(revision(f"{' ' * 5000}{text}{chr(0x3000) * 5000}"))
    topic.refuse_hopeless(Delete(DocId("docs/1"), Version(1), None, None))


def test_fifty_megabytes_are_hopeless_in_no_time_and_say_how_many_they_are():
    with pytest.raises(Poison, match=r"has a text of 50000000 bytes, above chunks\.max_event_bytes \(8388608\)"):
        ChunkTopic("kb.chunks", 1, 8 << 20).refuse_hopeless(revision("words " * 10_000_000))
