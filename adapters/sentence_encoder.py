"""A sentence-transformers model behind the ``Encoder`` port.

The model's own files decide the vector: pooling, normalization, prompts, maximum length and truncation side come from
its modules, its weights from safetensors alone, and no code from its repository is run. After loading, what the
library reports is compared with what ``adapters.encoding_contract`` read from the files, tokens included: an encoder
that does not keep the contract it claims does not start.

Weights are bfloat16 where the hardware multiplies it natively and float32 elsewhere; the number format is not part of
the contract (the probes guard it), pooling and normalization are float32 always.

One load serves several *profiles* of the same weights: :meth:`SentenceEncoder.with_budget` gives a view with a budget
of its own and a rank: between two micro-batches queries go ahead of live work, and live work ahead of a replay (see
``adapters.device_gate``). A CPU takes a micro-batch a core (see ``adapters.lanes``), any other device one at a time.
Two models of one process on one device share its gate (``load(…, beside=…)``), so the ranks hold between them too.
All methods may be called from any number of threads.
"""

from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from adapters.device_gate import DeviceGate, Rank, Turn
from adapters.encoding_contract import read_contract
from adapters.forward_pass import ROW_MULTIPLE, Prepared, TokenPass
from adapters.lanes import Lanes, share
from adapters.loaded_model import Device, LoadedModel, NumberFormat, load_model
from adapters.model_files import ModelFiles
from adapters.weights_digest import DigestCache
from stream.batch import cut_by_tokens
from stream.contract import EncodingContract
from stream.errors import Fatal, Poison
from stream.points import DenseVector
from stream.ports import DeviceFull, TextKind

_BUDGETS = {"cpu": 1_024, "mps": 8_192, "cuda": 32_768}
"""Padded tokens a micro-batch. On a CPU the activations of more no longer fit its caches, and queries wait longer."""
_QUERY_BUDGETS = {"cpu": 512, "mps": 2_048, "cuda": 8_192}


_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch says on a CPU and on Apple's devices, where it has no error of its own for it."""


class SentenceEncoder:
    """A profile of a loaded model. ``token_budget`` bounds a micro-batch in padded tokens; one text always fits."""

    def __init__(
        self,
        contract: EncodingContract,
        model: LoadedModel,
        gate: DeviceGate,
        token_budget: int,
        *,
        rank: Rank = Rank.LIVE,
        lanes: Lanes | None = None,
    ) -> None:
        """``lanes`` are as many as the gate is wide. Without them a micro-batch runs on the thread that asks and has
        the whole device.
        """
        self._contract = contract
        self._model = model
        self._gate = gate
        self._token_budget = token_budget
        self._rank = rank
        self._lanes = lanes

    @classmethod
    def load(
        cls,
        files: ModelFiles,
        *,
        device: Device = "auto",
        number_format: NumberFormat = "auto",
        token_budget: int | None = None,
        threads: int | None = None,
        digests: DigestCache | None = None,
        beside: "SentenceEncoder | None" = None,
    ) -> "SentenceEncoder":
        """The bulk profile of ``files``, of rank LIVE. ``threads`` is how many a CPU encodes with; None leaves it to
        torch. ``digests`` is where digests of files are kept, by default in the user's cache folder. ``beside`` is
        another model of this process: on the same device they share its gate.

        Raises Fatal where the files must not be loaded, or the loaded model is not what they say.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        contract = read_contract(files, digests)
        model = load_model(files, contract, device, number_format)
        if beside is not None and beside.device == str(model.device):
            gate = beside._gate  # noqa: SLF001 - of the same class
        else:
            gate = DeviceGate(width=torch.get_num_threads() if model.device.type == "cpu" else 1)
        # Any other pass is the library's: it takes all cores by itself, and one call at a time.
        lanes = Lanes(gate.width) if gate.width > 1 and isinstance(model.forward, TokenPass) else None
        return cls(contract, model, gate, token_budget or _BUDGETS[model.device.type], lanes=lanes)

    @property
    def contract(self) -> EncodingContract:
        return self._contract

    @property
    def device(self) -> str:
        return str(self._model.device)

    @property
    def number_format(self) -> str:
        """What the weights are held in: ``float32`` or ``bfloat16``."""
        return self._model.number_format

    @property
    def token_budget(self) -> int:
        return self._token_budget

    @property
    def width(self) -> int:
        """How many micro-batches of this model can be on the device at once."""
        return 1 if self._lanes is None else self._lanes.width

    def with_budget(self, token_budget: int, *, rank: Rank = Rank.LIVE) -> "SentenceEncoder":
        """Another profile of the same weights, sharing the device's gate."""
        return SentenceEncoder(self._contract, self._model, self._gate, token_budget, rank=rank, lanes=self._lanes)

    def for_queries(self) -> "SentenceEncoder":
        """The query profile: a small cap, ahead of live work and of a replay."""
        return self.with_budget(_QUERY_BUDGETS[self._model.device.type], rank=Rank.QUERY)

    def replay_at(self, share: float) -> None:
        """From its next micro-batch on this profile stands behind live work, and the replays of its device have at
        most this share of it. Raises Misuse where that is not above 0 and at most 1.
        """
        self._gate.hold_replay_to(share)
        self._rank = Rank.REPLAY

    def go_live(self) -> None:
        """From its next micro-batch on this profile is live work, and no share holds it."""
        self._rank = Rank.LIVE

    def halve_budget(self) -> int:
        """After DeviceFull: the new budget. Raises Fatal when one text of the maximum length alone does not fit."""
        longest = _rounded(self.contract.max_tokens)
        if self._token_budget <= longest:
            raise Fatal(
                f"One text of {self.contract.max_tokens} tokens does not fit the memory of {self.device}; use a "
                "device with more, or a model with a smaller maximum length."
            )
        self._token_budget = max(longest, self._token_budget // 2)
        return self._token_budget

    def count_tokens(self, kind: TextKind, texts: Sequence[str]) -> Sequence[int]:
        """Prompt and special tokens included, before truncation. Raises Poison for a text that is no Unicode."""
        _refuse_surrogates(texts)
        prompt = self._contract.query_prompt if kind == "query" else self._contract.passage_prompt
        return [
            len(encoding) for encoding in self._model.counter.encode_batch_fast([prompt + text for text in texts])
        ]

    def encode(self, kind: TextKind, texts: Sequence[str]) -> Sequence[DenseVector]:
        """One float32 vector a text, in order. Raises DeviceFull, and Poison for a text that has no vector."""
        if not texts:
            return []
        _refuse_surrogates(texts)
        prepared = self._model.forward.prepare(kind, texts)
        lengths = [_rounded(length) for length in prepared.lengths]
        if not all(lengths):
            raise Poison("no-tokens", "A text has no tokens for this model, and so no vector.")
        dimensions = self._contract.dimensions
        vectors = np.empty((len(texts), dimensions), dtype=np.float32)
        batches = cut_by_tokens(lengths, share(lengths, self._token_budget, self._places()))
        for batch, found in zip(batches, self._vectors(prepared, batches), strict=True):
            # A model trained for it keeps its meaning in its first dimensions, and its files say how many.
            vectors[batch] = found[:, :dimensions]
        if not np.isfinite(vectors).all():
            raise Poison("vector-not-finite", "The model gave a text a vector that is not finite.")
        return [DenseVector(vector) for vector in vectors]

    def _places(self) -> int:
        """Among how many places of the device a call is divided.

        Bulk work waits for all of them. A query takes what is free: a part of its call that waited for a place would
        cost the others of the call more than being one row more.
        """
        return max(1, min(self.width, self._gate.free)) if self._rank is Rank.QUERY else self.width

    def _vectors(self, prepared: Prepared, batches: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Of each micro-batch, in order; side by side where there are lanes. Raises what one that failed did."""
        if self._lanes is None:
            found = []
            for batch in batches:
                with self._gate.turn(self._rank, whole=True):
                    found.append(_run(prepared, batch))
            return found
        running: list[Future[NDArray[np.float32]]] = []
        for batch in batches:
            if any(one.done() and one.exception() for one in running):
                break
            turn = self._gate.enter(self._rank)
            running.append(self._lanes.start(partial(self._run_in, turn, prepared, batch)))
        # All are waited for, whatever became of one: nothing of this call runs on when its caller goes on.
        wait(running)
        return [one.result() for one in running]

    def _run_in(self, turn: Turn, prepared: Prepared, batch: Sequence[int]) -> NDArray[np.float32]:
        try:
            return _run(prepared, batch)
        finally:
            self._gate.leave(turn)


def _rounded(length: int) -> int:
    return -(-length // ROW_MULTIPLE) * ROW_MULTIPLE


def _refuse_surrogates(texts: Sequence[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Poison(
                "lone-surrogate", f"A text holds half a surrogate pair at {error.start} and cannot be encoded."
            ) from None


def _run(prepared: Prepared, batch: Sequence[int]) -> NDArray[np.float32]:
    """One micro-batch. Raises DeviceFull where memory is short, Fatal for whatever else the device says."""
    try:
        return prepared.vectors(batch)
    except (IndexError, MemoryError, RuntimeError) as error:
        what = str(error).strip().partition("\n")[0]
        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
            words in what for words in _OUT_OF_MEMORY
        )
    # Outside of the handler, because the error's frames hold the tensors that have to go.
    if not full:
        raise Fatal(f"The device failed while encoding ({what}); look at its driver and memory, then start again.")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise DeviceFull(what)
