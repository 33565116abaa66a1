"""The laws of comparing two collections document by document."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import ChunkId, DocId, Version, chunk_ids, document_point_id
from stream.parity import ABSENT, Portion, Standing, portions, standing_of, standings, suspects
from stream.points import Point, State

DOCUMENTS = [DocId(f"docs/{number}") for number in range(6)]
CHUNKS = {document: chunk_ids(document, ["alpha", "beta", "gamma"]) for document in DOCUMENTS}


def point(document, id_, version, state):
    return Point(ChunkId(id_), {"doc_id": document, "version": version, "state": state.value})


@st.composite
def collections(draw):
    """Points of some documents, each with some chunks live or removed, or deleted."""
    points = []
    for document in draw(st.lists(st.sampled_from(DOCUMENTS), unique=True)):
        version = draw(st.integers(1, 4))
        if draw(st.booleans()):
            points.append(point(document, document_point_id(document), version, State.DELETED))
            continue
        for id_ in draw(st.lists(st.sampled_from(CHUNKS[document]), min_size=1, unique=True)):
            state = draw(st.sampled_from([State.LIVE, State.REMOVED]))
            points.append(point(document, id_, draw(st.integers(0, version)), state))
    return points


@given(collections(), st.randoms())
def test_a_collection_equals_itself_in_any_order(points, random):
    mixed = list(points)
    random.shuffle(mixed)
    whole = Portion()
    assert suspects(standings(points, whole), standings(mixed, whole), cut_alike=True) == []


@given(collections(), collections(), st.integers(1, 7), st.booleans())
def test_portions_together_find_what_the_whole_finds(before, after, count, cut_alike):
    parts = portions(count * 3, 3)
    assert len(parts) == count
    found = [
        document
        for part in parts
        for document in suspects(standings(before, part), standings(after, part), cut_alike=cut_alike)
    ]
    whole = suspects(standings(before, Portion()), standings(after, Portion()), cut_alike=cut_alike)
    assert sorted(found) == whole


@given(collections(), st.data())
def test_a_lost_or_newer_point_of_a_document_makes_it_a_suspect(points, data):
    live = [one for one in points if one.payload["state"] == State.LIVE]
    if not live:
        return
    victim = data.draw(st.sampled_from(live))
    others = [one for one in points if one is not victim]
    document = victim.payload["doc_id"]
    before, after = standings(points, Portion()), standings(others, Portion())
    assert suspects(before, after, cut_alike=True) == [document]
    assert after.get(document, ABSENT).live < before[document].live
    newer = point(document, victim.id, 9, State.LIVE)
    assert suspects(before, standings([*others, newer], Portion()), cut_alike=False) == [document]


@given(collections(), collections())
def test_cut_otherwise_only_version_and_presence_count(before, after):
    for document in {one.payload["doc_id"] for one in (*before, *after)}:
        stands = [standings(points, Portion()).get(document, ABSENT) for points in (before, after)]
        one, other = stands
        alive = one.live > 0 or other.live > 0
        wanted = not alive or (one.version == other.version and one.live > 0 and other.live > 0)
        assert one.equals(other, cut_alike=False) == wanted


def test_what_the_points_of_one_document_say():
    document = DOCUMENTS[0]
    first, second, _ = CHUNKS[document]
    from stream.points import StoredPoint

    said = standing_of(
        [
            StoredPoint(first, document, Version(3), State.LIVE),
            StoredPoint(second, document, Version(5), State.REMOVED),
        ]
    )
    assert (said.version, said.live, said.deleted) == (5, 1, False)
    assert standing_of([]) == Standing() == ABSENT


def test_a_delete_and_its_tombstone_are_one_delete_at_either_version():
    document = DOCUMENTS[0]
    own = document_point_id(document)
    before, after = ([point(document, own, version, State.DELETED)] for version in (30, 31))
    assert suspects(standings(before, Portion()), standings(after, Portion()), cut_alike=True) == []
    live = [point(document, CHUNKS[document][0], 29, State.LIVE)]
    assert suspects(standings(before, Portion()), standings(live, Portion()), cut_alike=False) == [document]


def test_a_point_of_no_document_is_left_out():
    assert standings([Point(ChunkId(str(document_point_id(DOCUMENTS[0]))), {"stray": 1})], Portion()) == {}
