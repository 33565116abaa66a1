"""A micro-batch divided among threads: every text once, in its place, and no failure lost."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.side_by_side import SideBySide

DEADLINE_S = 30


@dataclass
class Pass:
    """A forward pass whose vector of a text is its length; it notes each part and the thread that ran it."""

    failing: str = ""
    meeting: threading.Barrier | None = None
    parts: list = field(default_factory=list)

    def prepare(self, _kind, texts):
        return Prepared(self, texts)


@dataclass
class Prepared:
    owner: Pass
    texts: list

    @property
    def lengths(self):
        return [len(text) for text in self.texts]

    def vectors(self, indices):
        texts = [self.texts[index] for index in indices]
        self.owner.parts.append((threading.get_ident(), texts))
        if self.owner.meeting is not None:
            self.owner.meeting.wait(DEADLINE_S)
        if self.owner.failing in texts:
            raise MemoryError("no room")
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


@given(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=12), st.integers(2, 4))
def test_every_text_is_done_once_and_stands_in_its_place(texts, threads):
    inner = Pass()
    prepared = SideBySide(inner, threads).prepare("passage", texts)
    indices = list(reversed(range(len(texts))))
    np.testing.assert_array_equal(prepared.vectors(indices)[:, 0], [len(texts[index]) for index in indices])
    assert sorted(text for _, part in inner.parts for text in part) == sorted(texts)
    sizes = [len(part) for _, part in inner.parts]
    assert len(sizes) == min(threads, len(texts))
    assert max(sizes) - min(sizes) <= 1


def test_the_parts_run_at_the_same_time():
    inner = Pass(meeting=threading.Barrier(3))
    SideBySide(inner, 3).prepare("passage", ["a", "b", "c", "d"]).vectors([0, 1, 2, 3])
    assert len({thread for thread, _ in inner.parts}) == 3


def test_a_failure_of_one_part_is_raised_when_all_have_ended():
    inner = Pass(failing="b")
    prepared = SideBySide(inner, 2).prepare("passage", ["a", "b", "c", "d"])
    with pytest.raises(MemoryError, match="no room"):
        prepared.vectors([0, 1, 2, 3])
    assert len(inner.parts) == 2
    assert prepared.vectors([0, 2]).shape == (2, 2)
