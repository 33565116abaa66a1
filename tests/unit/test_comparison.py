"""Index against source: every way of not being equal has its name, and equal means that nothing differs."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import ChunkId, DocId, Version
from stream.comparison import Comparison, ExpectedDocument, MissingChunk, compare
from stream.points import State, StoredPoint

A, B = DocId("docs/a"), DocId("docs/b")


def chunk(document, number):
    return ChunkId(f"{document}#{number}")


def point(document, number, version, state=State.LIVE):
    return StoredPoint(chunk(document, number), document, Version(version), state)


EXPECTED = {
    A: ExpectedDocument(Version(7), (chunk(A, 0), chunk(A, 1))),
    B: ExpectedDocument(Version(3), (chunk(B, 0),)),
}
EQUAL = (point(A, 0, 7), point(A, 1, 7), point(B, 0, 3))


def test_an_index_that_holds_each_chunk_at_the_newest_version_is_equal():
    outcome = compare(EXPECTED, EQUAL)
    assert outcome == Comparison(2, 3, 3, (), (), (), ())
    assert outcome.equal


def test_marks_are_no_difference():
    marks = (point(A, 9, 8, State.REMOVED), point("docs/gone", 0, 2, State.DELETED))
    assert compare(EXPECTED, (*EQUAL, *marks)).equal


def test_a_document_without_text_is_expected_and_has_no_chunks():
    expected = {**EXPECTED, DocId("docs/empty"): ExpectedDocument(Version(1), ())}
    assert compare(expected, EQUAL).equal
    assert compare(expected, EQUAL).documents == 3


def test_a_chunk_that_is_not_there_is_missing():
    outcome = compare(EXPECTED, EQUAL[1:])
    assert outcome.missing == (MissingChunk(A, chunk(A, 0), Version(7)),)
    assert not outcome.equal


def test_a_chunk_that_is_only_a_mark_is_missing():
    outcome = compare(EXPECTED, (point(A, 0, 7, State.REMOVED), *EQUAL[1:]))
    assert [one.id for one in outcome.missing] == [chunk(A, 0)]
    assert not outcome.orphans


def test_a_chunk_that_its_document_no_longer_has_is_an_orphan():
    outcome = compare(EXPECTED, (*EQUAL, point(A, 2, 7)))
    assert outcome.orphans == (point(A, 2, 7),)
    assert not outcome.equal


def test_a_chunk_of_a_document_that_is_gone_is_an_orphan():
    assert compare({B: EXPECTED[B]}, EQUAL).orphans == EQUAL[:2]


def test_a_chunk_under_another_document_is_an_orphan_and_its_own_document_misses_it():
    stray = StoredPoint(chunk(B, 0), A, Version(3), State.LIVE)
    outcome = compare(EXPECTED, (*EQUAL[:2], stray))
    assert outcome.orphans == (stray,)
    assert [one.id for one in outcome.missing] == [chunk(B, 0)]


def test_a_chunk_at_another_version_than_its_documents_is_stale():
    older, newer = point(A, 0, 6), point(A, 0, 8)
    assert compare(EXPECTED, (older, *EQUAL[1:])).stale == (older,)
    assert compare(EXPECTED, (newer, *EQUAL[1:])).stale == (newer,)


def test_a_point_that_is_told_twice_is_duplicated():
    outcome = compare(EXPECTED, (*EQUAL, EQUAL[0]))
    assert outcome.duplicated == (EQUAL[0],)
    assert not outcome.equal


worlds = st.dictionaries(
    st.sampled_from([DocId(f"docs/{name}") for name in "abcdef"]),
    st.tuples(st.integers(1, 9), st.integers(0, 4)),
    max_size=6,
).map(
    lambda world: {
        document: ExpectedDocument(Version(version), tuple(chunk(document, number) for number in range(count)))
        for document, (version, count) in world.items()
    }
)
found = st.lists(
    st.builds(
        point,
        st.sampled_from([DocId(f"docs/{name}") for name in "abcdefgh"]),
        st.integers(0, 5),
        st.integers(1, 9),
        st.sampled_from(State),
    ),
    max_size=30,
)


@given(worlds, st.randoms(use_true_random=False))
def test_what_is_expected_is_equal_to_itself_in_any_order(expected, random):
    points = [
        StoredPoint(each, document, revision.version, State.LIVE)
        for document, revision in expected.items()
        for each in revision.chunks
    ]
    random.shuffle(points)
    assert compare(expected, points).equal


@given(worlds, found)
def test_equal_says_exactly_that_the_live_points_are_the_expected_ones(expected, points):
    wanted = sorted(
        (document, each, revision.version) for document, revision in expected.items() for each in revision.chunks
    )
    live = sorted((point.doc_id, point.id, point.version) for point in points if point.state is State.LIVE)
    told_once = len({point.id for point in points}) == len(points)
    assert compare(expected, points).equal == (wanted == live and told_once)


@given(worlds, found)
def test_every_expected_chunk_is_missing_stale_or_as_it_should_be(expected, points):
    outcome = compare(expected, points)
    as_it_should_be = outcome.chunks - len(outcome.missing) - len(outcome.stale)
    assert outcome.live == as_it_should_be + len(outcome.stale) + len(outcome.orphans)
    assert as_it_should_be >= 0
