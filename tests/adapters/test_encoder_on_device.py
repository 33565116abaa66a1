"""The encoder over a hand-made device: memory that runs out, failures, micro-batches and their turns."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from adapters.device_gate import DeviceGate
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


def over(device, budget, *, waiting=False):
    if not waiting:
        device.door.set()
    model = LoadedModel(device, Tokenizer(WordLevel()), torch.device("cpu"), "float32")
    return SentenceEncoder(CONTRACT, model, DeviceGate(), budget)


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
