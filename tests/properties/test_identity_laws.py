"""Names of things: unique where things differ, the same wherever and whenever they are made."""

import subprocess
import sys
import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import DocId, chunk_ids, doc_id, document_point_id, source_of

ROOT = Path(__file__).parents[2]
documents = (
    st.text(min_size=1, max_size=12).filter(lambda text: "\n" not in text).map(lambda key: DocId(f"docs/{key}"))
)
passages = st.lists(st.sampled_from(["alpha", "beta", "", "ä\n"]) | st.text(max_size=5), max_size=8)
values = st.text(max_size=8) | st.integers(-(2**53), 2**53) | st.booleans()
array_like = st.lists(st.text(max_size=3), min_size=2, max_size=3).map(
    lambda texts: "[" + ",".join(f'"{text}"' for text in texts) + "]"
)


@given(documents, passages)
def test_ids_are_unique_within_a_document(document, texts):
    ids = [*chunk_ids(document, texts), document_point_id(document)]
    assert len(set(ids)) == len(ids) == len(texts) + 1
    assert all(str(uuid.UUID(one)) == one for one in ids)


@given(documents, passages, st.randoms(use_true_random=False))
def test_a_passage_that_moves_keeps_its_id(document, texts, chance):
    moved = list(texts)
    chance.shuffle(moved)
    assert set(chunk_ids(document, moved)) == set(chunk_ids(document, texts))


@given(documents, passages, passages)
def test_an_insertion_leaves_every_other_id_as_it_was(document, before, new):
    assert set(chunk_ids(document, before)) <= set(chunk_ids(document, before + new))


@given(documents, documents, passages)
def test_documents_share_no_id(one, other, texts):
    shared = {*chunk_ids(one, texts), document_point_id(one)} & {*chunk_ids(other, texts), document_point_id(other)}
    assert bool(shared) == (one == other)


@given(st.lists(values, min_size=2, max_size=3), values | array_like)
def test_a_composite_key_never_names_what_a_single_one_names(several, one):
    composite = doc_id("docs", {str(place): value for place, value in enumerate(several)})
    assert composite != doc_id("docs", {"id": one})


@given(st.lists(st.text(max_size=6), min_size=1, max_size=3), st.lists(st.text(max_size=6), min_size=1, max_size=3))
def test_two_keys_name_two_documents(ours, theirs):
    def name(key):
        return doc_id("docs", {str(place): value for place, value in enumerate(key)})

    assert (name(ours) == name(theirs)) == (ours == theirs)


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), st.text())
def test_the_source_is_told_from_the_id(source, key):
    assert source_of(doc_id(source, {"id": key})) == source


def test_a_slash_does_not_make_two_columns_of_one():
    assert doc_id("docs", {"id": "a/b"}) != doc_id("docs", {"a": "a", "b": "b"})
    assert doc_id("docs", {"id": "a/b"}) == "docs/a/b"
    assert doc_id("docs", {"a": 1, "b": "x"}) == 'docs/[1,"x"]'
    assert doc_id("docs", {"id": '["a","b"]'}) == 'docs/["[\\"a\\",\\"b\\"]"]'


def test_another_process_makes_the_same_ids():
    """Kept for good: another value would orphan every point that is stored."""
    script = (
        "from schemas.identity import *; print(*chunk_ids('docs/1', ['alpha', 'alpha']), document_point_id('docs/1'))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert told == [*chunk_ids(DocId("docs/1"), ["alpha", "alpha"]), document_point_id(DocId("docs/1"))]
    assert told == GOLDEN


GOLDEN = [
    "8f2139e8-a44a-590b-94cf-e540ede70859",
    "d800de7d-7a63-59d6-a37d-30cdf86570a9",
    "dac9b7e9-0092-5236-99d3-4bd5b6b8a452",
]
