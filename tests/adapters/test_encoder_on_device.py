"""The encoder over a hand-made device: memory that runs out, failures, micro-batches and their turns."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from adapters.device_gate import DeviceGate
from adapters.lanes import Lanes, share
from adapters.loaded_model import LoadedModel
from adapters.sentence_encoder import SentenceEncoder
from stream.contract import EncodingContract
from stream.errors import Fatal, Poison
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


def over(device, budget, *, waiting=False, width=1):
    if not waiting:
        device.door.set()
    model = LoadedModel(device, Tokenizer(WordLevel()), torch.device("cpu"), "float32")
    lanes = Lanes(width) if width > 1 else None
    return SentenceEncoder(CONTRACT, model, DeviceGate(width=width), budget, lanes=lanes)


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
    query = bulk.with_budget(8, urgent=True)
    threads = [threading.Thread(target=lambda: bulk.encode("passage", ["a" * 8, "b" * 8, "c" * 8]), daemon=True)]
    threads[0].start()
    assert device.entered.wait(DEADLINE_S)
    threads.append(threading.Thread(target=lambda: query.encode("query", ["q"]), daemon=True))
    threads[1].start()
    tick = threading.Event()
    for _ in range(DEADLINE_S * 1_000):
        if bulk._gate.waiting == (1, 0):
            break
        tick.wait(0.001)
    device.door.set()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert [kind for kind, _ in device.batches] == ["passage", "query", "passage", "passage"]


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
    query = bulk.with_budget(8, urgent=True)
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
    assert share([8, 8, 8, 8], 1_024, 1) == 32
