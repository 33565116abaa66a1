"""The encoder over a hand-made device: memory that runs out, failures, micro-batches and their turns."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from adapters.device_gate import DeviceGate, Rank
from adapters.lanes import Lanes, share
from adapters.loaded_model import LoadedModel
from adapters.sentence_encoder import SentenceEncoder
from stream.contract import EncodingContract
from stream.errors import Fatal, Misuse, Poison
from stream.ports import DeviceFull

DEADLINE_S = 30


@dataclass
class Device:
    """A forward pass whose tokens are characters. It holds ``memory`` tokens and notes each batch it is given."""

    memory: int = 10**9
    failure: Exception | None = None
    value: float = 1.0
    batches: list = field(default_factory=list)
    entered: threading.Event = field(default_factory=threading.Event)
    door: threading.Event = field(default_factory=threading.Event)

    def prepare(self, kind, sample):
        return Rows(self, kind, sample)

    def run(self, kind, sample):
        self.batches.append((kind, list(sample)))
        self.entered.set()
        assert self.door.wait(DEADLINE_S)
        if self.failure is not None and len(sample) * max(map(len, sample)) > self.memory:
            raise self.failure
        return np.full((len(sample), 32), self.value, dtype=np.float32)


@dataclass
class Rows:
    device: Device
    kind: str
    sample: list

    @property
    def lengths(self):
        return [len(text) for text in self.sample]

    def vectors(self, indices):
        return self.device.run(self.kind, [self.sample[index] for index in indices])


CONTRACT = EncodingContract(
    model="none",
    weights="",
    tokenizer="",
    passage_prompt="",
    query_prompt="",
    max_tokens=64,
    truncation_side="right",
    pooling="mean",
    normalize=False,
    dimensions=32,
)


def over(device, budget, *, waiting=False, width=1, gate=None):
    if not waiting:
        device.door.set()
    model = LoadedModel(device, Tokenizer(WordLevel()), torch.device("cpu"), "float32")
    lanes = Lanes(width) if width > 1 else None
    return SentenceEncoder(CONTRACT, model, gate or DeviceGate(width=width), budget, lanes=lanes)


def until(condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.001)


def encoding(encoder, kind, sample):
    """A call in a thread of its own."""
    thread = threading.Thread(target=lambda: encoder.encode(kind, sample), daemon=True)
    thread.start()
    return thread


def finish(device, *threads):
    device.door.set()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        MemoryError(),
    ],
)
def test_a_full_device_is_halved_for_until_the_batch_fits(failure):
    device = Device(memory=256, failure=failure)
    encoder = over(device, 1_024)
    sample = ["x" * 64] * 16
    for expected in (512, 256):
        with pytest.raises(DeviceFull):
            encoder.encode("passage", sample)
        assert encoder.halve_budget() == expected
    assert len(encoder.encode("passage", sample)) == 16
    assert encoder.token_budget == 256


def test_one_text_that_does_not_fit_alone_is_fatal():
    encoder = over(Device(), 100)
    assert encoder.contract.max_tokens == 64
    assert encoder.halve_budget() == 64
    with pytest.raises(Fatal, match="does not fit the memory of cpu"):
        encoder.halve_budget()


def test_another_failure_of_the_device_is_one_sentence():
    encoder = over(Device(memory=0, failure=RuntimeError("device-side assert\nmore lines")), 100)
    with pytest.raises(Fatal, match=r"The device failed while encoding \(device-side assert\)"):
        encoder.encode("passage", ["abc"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_leaves_no_encoder(value):
    with pytest.raises(Poison, match="not finite"):
        over(Device(value=value), 100).encode("passage", ["abc"])


def test_a_text_without_tokens_is_poison():
    with pytest.raises(Poison, match="no tokens"):
        over(Device(), 100).encode("passage", ["abc", ""])


def test_micro_batches_keep_the_budget_and_vectors_their_order():
    device = Device()
    encoder = over(device, 64)
    encoder.encode("passage", ["x" * 30, "y" * 8, "z" * 16, "v" * 8])
    assert [sample for _, sample in device.batches] == [["y" * 8, "v" * 8, "z" * 16], ["x" * 30]]


def test_a_query_goes_between_two_micro_batches_of_bulk_work():
    device = Device()
    bulk = over(device, 8, waiting=True)
    query = bulk.with_budget(8, rank=Rank.QUERY)
    running = encoding(bulk, "passage", ["a" * 8, "b" * 8, "c" * 8])
    assert device.entered.wait(DEADLINE_S)
    asking = encoding(query, "query", ["q"])
    until(lambda: bulk._gate.waiting == (1, 0, 0))
    finish(device, running, asking)
    assert [kind for kind, _ in device.batches] == ["passage", "query", "passage", "passage"]


def test_a_replay_stands_behind_live_work_of_another_model_until_it_goes_live_itself():
    device = Device()
    live = over(device, 8, waiting=True)
    replay = over(device, 8, waiting=True, gate=live._gate)
    replay.replay_at(1.0)
    running = encoding(replay, "passage", ["a" * 8, "b" * 8, "c" * 8])
    assert device.entered.wait(DEADLINE_S)
    other = encoding(live, "passage", ["live"])
    until(lambda: live._gate.waiting == (0, 1, 0))
    replay.go_live()
    another = encoding(replay, "passage", ["gone live"])
    until(lambda: live._gate.waiting == (0, 2, 0))
    finish(device, running, other, another)
    # The call that was a replay goes live between two of its micro-batches, and stands behind who came before.
    assert [sample[0] for _, sample in device.batches] == ["a" * 8, "live", "gone live", "b" * 8, "c" * 8]


def test_what_is_no_share_of_the_device_is_refused_and_changes_no_rank():
    encoder = over(Device(), 8)
    with pytest.raises(Misuse, match="above 0 and at most 1"):
        encoder.replay_at(0)
    assert encoder._rank is Rank.LIVE


def test_a_call_for_a_device_that_takes_one_batch_is_not_divided_for_its_mixed_lengths():
    device = Device()
    over(device, 512).encode("query", ["a" * 7, "b" * 9, "c" * 24])
    assert len(device.batches) == 1


def test_a_query_call_is_divided_among_the_places_that_are_free():
    device = Device()
    query = over(device, 512, width=2).for_queries()
    query.encode("query", ["a" * 8, "b" * 8])
    assert sorted(len(sample) for _, sample in device.batches) == [1, 1]
    device.batches.clear()
    with query._gate.turn(Rank.LIVE):
        query.encode("query", ["a" * 8, "b" * 8])
    assert [len(sample) for _, sample in device.batches] == [2]


def test_a_model_without_lanes_has_the_whole_device_beside_one_with_lanes():
    device = Device()
    wide = over(device, 8, waiting=True, width=2)
    alone = over(device, 8, waiting=True, gate=wide._gate)
    running = encoding(alone, "passage", ["a" * 8])
    assert device.entered.wait(DEADLINE_S)
    assert wide._gate.free == 0
    assert (alone.width, wide.width) == (1, 2)
    finish(device, running)


def test_lanes_share_a_call_and_every_text_stands_in_its_place():
    class Lengths(Device):
        def run(self, kind, sample):
            return super().run(kind, sample) * np.array([[len(text)] for text in sample], dtype=np.float32)

    device = Lengths()
    sample = ["x" * 32, "y" * 8, "z" * 16, "v" * 24]
    vectors = over(device, 1_024, width=2).encode("passage", sample)
    assert [vector.values[0] for vector in vectors] == [32, 8, 16, 24]
    assert len(device.batches) > 1
    assert sorted(text for _, part in device.batches for text in part) == sorted(sample)


def test_two_lanes_run_two_micro_batches_at_once():
    meeting = threading.Barrier(2)

    class Meeting(Device):
        def run(self, kind, sample):
            meeting.wait(DEADLINE_S)
            return super().run(kind, sample)

    device = Meeting()
    over(device, 8, width=2).encode("passage", ["a" * 8, "b" * 8, "c" * 8, "d" * 8])
    assert len(device.batches) == 4


def test_a_query_is_encoded_beside_bulk_work_where_there_is_a_second_lane():
    device = Device()
    bulk = over(device, 8, waiting=True, width=2)
    query = bulk.with_budget(8, rank=Rank.QUERY)
    found = []
    running = threading.Thread(target=lambda: found.extend(bulk.encode("passage", ["a" * 8])), daemon=True)
    running.start()
    assert device.entered.wait(DEADLINE_S)
    device.entered.clear()
    asking = threading.Thread(target=lambda: found.extend(query.encode("query", ["q"])), daemon=True)
    asking.start()
    assert device.entered.wait(DEADLINE_S)
    assert not found
    device.door.set()
    for thread in (running, asking):
        thread.join(DEADLINE_S)
    assert len(found) == 2


def test_a_failure_in_a_lane_is_raised_and_leaves_the_device_free():
    device = Device(memory=64, failure=MemoryError())
    encoder = over(device, 1_024, width=2)
    with pytest.raises(DeviceFull):
        encoder.encode("passage", ["x" * 64] * 8)
    assert len(encoder.encode("passage", ["x" * 8, "y" * 8, "z" * 8])) == 3


def test_the_share_of_a_lane_is_within_the_budget_and_leaves_none_idle():
    assert share([8, 8, 8, 8], 1_024, 2) == 16
    assert share([512] * 8, 1_024, 2) == 1_024
    assert share([8], 1_024, 4) == 2
    assert share([8, 8, 8, 8], 1_024, 1) == 1_024
