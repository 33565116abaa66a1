"""The laws by which a call's writes are cut into waves and requests for a server."""

from hypothesis import given
from hypothesis import strategies as st
from index_world import chunk, mark, put, repaint, touch

from adapters.qdrant.requests import estimated_bytes, halves, ids_of, requests, waves
from stream.points import Mark, Touch

names = st.integers(0, 7)
versions = st.integers(0, 3)
writes = st.lists(
    st.one_of(
        st.builds(put, names, versions),
        st.builds(mark, names, versions),
        st.builds(touch, st.lists(names, min_size=1, max_size=6), versions),
        st.builds(repaint, names, versions),
    ),
    max_size=24,
)
bounds = st.integers(1, 9)


def changes(call):
    """Each write of each id, in order, the same however touches are cut."""
    return [(point, type(write).__name__, write.version) for write in call for point in dict.fromkeys(ids_of(write))]


@given(writes, bounds)
def test_no_id_is_twice_in_a_wave_and_every_write_of_an_id_comes_in_its_order(call, points):
    placed = waves(call, points)
    for wave in placed:
        touched = [point for write in wave for point in ids_of(write)]
        assert len(touched) == len(set(touched))
    sent = [change for wave in placed for change in changes(wave)]
    for name in range(8):
        mine = [change for change in changes(call) if change[0] == chunk(name)]
        assert [change for change in sent if change[0] == chunk(name)] == mine


@given(writes, bounds)
def test_a_mark_comes_in_a_later_wave_than_every_addition_before_it(call, points):
    placed = waves(call, points)
    position = {}
    for number, wave in enumerate(placed):
        for write in wave:
            for point in ids_of(write):
                position.setdefault((point, type(write).__name__, write.version), []).append(number)
    taken = {key: iter(found) for key, found in position.items()}
    additions = -1
    for write in call:
        for point in dict.fromkeys(ids_of(write)):
            number = next(taken[point, type(write).__name__, write.version])
            if isinstance(write, Mark):
                assert number > additions
            else:
                additions = max(additions, number)


@given(writes, bounds)
def test_no_wave_is_empty_and_nothing_is_lost(call, points):
    placed = waves(call, points)
    assert all(placed)
    assert sorted(change for wave in placed for change in changes(wave)) == sorted(changes(call))


@given(writes, bounds, st.integers(1, 5000), st.booleans())
def test_a_request_keeps_its_bounds_unless_one_write_alone_breaks_them(call, points, limit, binary):
    for wave in waves(call, points):
        sent = list(requests(wave, points, limit, binary=binary))
        assert [write for portion in sent for write in portion] == wave
        for portion in sent:
            count = sum(len(ids_of(write)) for write in portion)
            size = sum(estimated_bytes(write, binary=binary) for write in portion)
            assert count <= points or len(portion) == 1
            assert size <= limit or len(portion) == 1


@given(writes)
def test_halving_ends_at_single_points_and_loses_none(call):
    def whole(portion):
        smaller = halves(portion)
        if smaller is None:
            assert len(portion) == 1
            assert not (isinstance(portion[0], Touch) and len(set(portion[0].ids)) > 1)
            return list(portion)
        return [write for half in smaller for write in whole(half)]

    if call:
        cut = [write for wave in waves(call, 6) for write in wave]
        assert changes(whole(cut)) == changes(cut)


def test_a_plan_of_many_documents_is_two_waves_whatever_their_number():
    plan = [
        write
        for doc in range(20)
        for write in (
            put((doc, "new"), doc, doc=f"docs/{doc}"),
            touch([(doc, "kept")], doc),
            mark((doc, "gone"), doc),
        )
    ]
    additions, removals = waves(plan, 64)
    assert len(additions) == 40
    assert len(removals) == 20
