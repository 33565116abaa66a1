"""What planning learns of a stored point, of one that somebody else damaged too."""

import pytest

from schemas.identity import ChunkId, DocId, Version
from stream.points import State, StoredPoint

SOUND = {"doc_id": "docs/1", "version": 7, "state": "removed", "payload_digest": "d"}


def of(**damage):
    payload = {name: value for name, value in {**SOUND, **damage}.items() if value is not ...}
    return StoredPoint.of(ChunkId("1"), payload)


def test_a_sound_point_is_told_as_it_is():
    assert of() == StoredPoint(ChunkId("1"), DocId("docs/1"), Version(7), State.REMOVED, "d")


@pytest.mark.parametrize("version", [..., None, "7", 7.5])
def test_a_version_that_is_none_is_older_than_any(version):
    assert of(version=version).version < Version(0)


@pytest.mark.parametrize("state", [..., None, "gone", 3])
def test_a_state_that_is_none_counts_as_live(state):
    assert of(state=state).state is State.LIVE
