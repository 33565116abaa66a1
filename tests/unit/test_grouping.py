"""The nearest documents, against the plain way: rank every point, then group."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_world import EAST, FIELDS, SPEC, put, vector

from adapters.memory.index import MemoryCatalog
from serving.grouping import nearest_documents
from stream.filter import equals

passages = st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 9), st.booleans()), min_size=1, max_size=12)


class Counted:
    """An index that counts what it is asked."""

    def __init__(self, index):
        self.index = index
        self.limits = []

    def search(self, vector, limit, wanted=None, *, least_score=None):
        self.limits.append(limit)
        return self.index.search(vector, limit, wanted, least_score=least_score)


def opened(documents, *, told=True):
    """Documents of passages (east, north, kept); ``told``: each passage says how many its document has."""
    catalog = MemoryCatalog()
    catalog.create("docs", SPEC, FIELDS, {})
    index = catalog.open("docs")
    for number, rows in enumerate(documents):
        count = {"count": len(rows)} if told else {}
        index.write(
            put((number, place), 1, vector(east, north, 0, 0), f"docs/{number}", draft=kept, **count)
            for place, (east, north, kept) in enumerate(rows)
        )
    return Counted(index)


def plain(index, documents, size, wanted, least):
    groups = {}
    for hit in index.index.search(EAST, 10_000, wanted, least_score=least):
        groups.setdefault(hit.payload["doc_id"], []).append(hit.score)
    return [(document, scores[:size]) for document, scores in itertools.islice(groups.items(), documents)]


@settings(deadline=None)
@given(
    st.lists(passages, max_size=8),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from([None, equals("draft", value=True)]),
    st.sampled_from([None, 0.0, 0.5]),
    st.booleans(),
)
def test_it_finds_what_ranking_every_point_finds(documents, limit, size, wanted, least, told):
    index = opened(documents, told=told)
    groups = nearest_documents(index, EAST, limit, size, wanted, least_score=least)
    expected = plain(index, limit, size, wanted, least)
    assert [[hit.score for hit in hits] for _, hits in groups] == [scores for _, scores in expected]
    assert all(hit.payload["doc_id"] == document for document, hits in groups for hit in hits)
    assert len({document for document, _ in groups}) == len(groups)
    assert len(index.limits) <= 2 * limit + 1


def test_a_document_of_many_near_passages_hides_no_other():
    index = opened([[(9, 1, True)] * 500, [(1, 9, True)], [(1, 8, True)] * 300, [(0, 1, True)]])
    groups = nearest_documents(index, EAST, 4, 2)
    assert [(document, len(hits)) for document, hits in groups] == [
        ("docs/0", 2),
        ("docs/2", 2),
        ("docs/1", 1),
        ("docs/3", 1),
    ]
    assert max(index.limits) == 8


@pytest.mark.parametrize("told", [True, False])
def test_documents_of_one_passage_are_found_in_one_question(told):
    index = opened([[(number, 3, True)] for number in range(30)], told=told)
    assert len(nearest_documents(index, EAST, 10, 1)) == 10
    assert index.limits == [10]


def test_an_empty_index_has_no_documents():
    assert nearest_documents(opened([]), EAST, 3, 2) == []
