"""From texts to vectors on one device, in two ways that agree.

:class:`TokenPass` is the project's own loop for the models that nearly everybody uses: a Transformer, one pooling,
perhaps Dense and Normalize. It tokenizes a whole call at once, runs rectangles of tokens that the caller has cut,
gives the network a mask only where lengths differ, and pools, projects and normalizes in float32 whatever the number
format of the weights is. :class:`ModulePass` runs the model's own modules and serves every other model.

Rows are padded on the right. For an encoder that is what sentence-transformers does; for a causal network nothing to
the right of a token can change it, so each row is what it would be alone.

A pass is not thread-safe on the device: its caller holds the device's gate around ``vectors``.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from tokenizers import Encoding, Tokenizer
from torch.nn.functional import normalize

from adapters import bert_network
from adapters.bert_network import BertNetwork
from stream.ports import TextKind

_LOG = logging.getLogger("embedstream.encoder")
ROW_MULTIPLE = 8
"""Rows of different lengths are padded to a multiple of this, because matrix kernels of a GPU work in blocks. Those
of a CPU gain nothing by it, and eight short queries cost a quarter less without.
"""
_OWN_MODES = frozenset({"mean", "cls", "lasttoken", "max"})
_OWN_TAIL = frozenset({"Dense", "Normalize", "Dropout"})


class Prepared(Protocol):
    """The texts of one call, tokenized."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each text as the network will see it: prompt and special tokens included, after truncation."""

    def vectors(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Shape (indices, dimensions). Runs on the device, once."""


class ForwardPass(Protocol):
    """A way of running one model."""

    def prepare(self, kind: TextKind, texts: Sequence[str]) -> Prepared:
        """``texts`` are without the prompt, which is put before each."""


Network = Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor | None], torch.Tensor]
"""Token ids, type ids and mask (true where a token is), all (rows, tokens) → the last hidden state."""


@dataclass(frozen=True, slots=True)
class TokenPass:
    """The project's own loop. ``tokenizer`` truncates and does not pad; ``tail`` follows the pooling."""

    prompts: Mapping[TextKind, str]
    network: Network
    tokenizer: Tokenizer
    pad_token: int
    pad_type: int
    with_types: bool
    pooling: tuple[str, ...]
    tail: tuple[Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], ...]
    device: torch.device

    def prepare(self, kind: TextKind, texts: Sequence[str]) -> Prepared:
        prompt = self.prompts[kind]
        return _Tokens(self, self.tokenizer.encode_batch_fast([prompt + text for text in texts]))

    def run(self, rows: Sequence[Encoding]) -> NDArray[np.float32]:
        lengths = [len(row.ids) for row in rows]
        longest = max(lengths)
        masked = min(lengths) < longest
        blocks = masked and self.device.type != "cpu"
        width = -(-longest // ROW_MULTIPLE) * ROW_MULTIPLE if blocks else longest
        ids = self._rectangle([row.ids for row in rows], width, self.pad_token)
        types = self._rectangle([row.type_ids for row in rows], width, self.pad_type) if self.with_types else None
        counts = torch.tensor(lengths, device=self.device)
        mask = torch.arange(width, device=self.device) < counts[:, None] if masked else None
        with torch.inference_mode():
            hidden = self.network(ids, types, mask).float()
            pooled = torch.cat([_pool(mode, hidden, mask, counts) for mode in self.pooling], dim=-1)
            sentence = {"sentence_embedding": pooled}
            for module in self.tail:
                sentence = module(sentence)
            return _to_numpy(sentence["sentence_embedding"])

    def _rectangle(self, rows: Sequence[Sequence[int]], width: int, filler: int) -> torch.Tensor:
        rectangle = np.full((len(rows), width), filler, dtype=np.int64)
        for place, row in zip(rectangle, rows, strict=True):
            place[: len(row)] = row
        return torch.from_numpy(rectangle).to(self.device)


@dataclass(frozen=True, slots=True)
class _Tokens:
    owner: TokenPass
    encodings: Sequence[Encoding]

    @property
    def lengths(self) -> Sequence[int]:
        return [len(encoding.ids) for encoding in self.encodings]

    def vectors(self, indices: Sequence[int]) -> NDArray[np.float32]:
        return self.owner.run([self.encodings[index] for index in indices])


@dataclass(frozen=True, slots=True)
class ModulePass:
    """The model's own modules, one after the other. ``tokenizer`` only counts: they tokenize for themselves."""

    model: SentenceTransformer
    tokenizer: Tokenizer
    prompts: Mapping[TextKind, str]

    def prepare(self, kind: TextKind, texts: Sequence[str]) -> Prepared:
        prompt = self.prompts[kind]
        encodings = self.tokenizer.encode_batch_fast([prompt + text for text in texts])
        lengths = [len(encoding.ids) for encoding in encodings]
        return _Texts(self, kind, texts, lengths)

    def run(self, kind: TextKind, texts: Sequence[str]) -> NDArray[np.float32]:
        task = "query" if kind == "query" else "document"
        with torch.inference_mode():
            features = self.model.preprocess(list(texts), prompt=self.prompts[kind] or None, task=task)
            on_device = {
                name: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            return _to_numpy(self.model(on_device, task=task)["sentence_embedding"].float())


@dataclass(frozen=True, slots=True)
class _Texts:
    owner: ModulePass
    kind: TextKind
    texts: Sequence[str]
    lengths: Sequence[int]

    def vectors(self, indices: Sequence[int]) -> NDArray[np.float32]:
        return self.owner.run(self.kind, [self.texts[index] for index in indices])


def fits_own_loop(model: SentenceTransformer, prompts: Mapping[TextKind, str]) -> bool:
    """Whether :class:`TokenPass` computes what the model's modules compute."""
    modules: list[Any] = list(model)
    if len(modules) < 2 or type(modules[0]).__name__ != "Transformer" or type(modules[1]).__name__ != "Pooling":
        return False
    transformer, pooling, *tail = modules
    plain_text = transformer.modality_config == {
        "text": {"method": "forward", "method_output_name": "last_hidden_state"}
    }
    plain_tokens = not (
        transformer.processing_kwargs
        or transformer.query_length
        or transformer.document_length
        or transformer.query_expansion
        or transformer.model.config.output_hidden_states
    )
    whole_text = pooling.include_prompt or not any(prompts.values())
    # A tail that reads or writes other features than the vector belongs to the modules' own forward.
    plain_tail = all(
        type(module).__name__ in _OWN_TAIL
        and getattr(module, "module_input_name", "sentence_embedding") == "sentence_embedding"
        and getattr(module, "module_output_name", "sentence_embedding") == "sentence_embedding"
        for module in tail
    )
    return (
        plain_text
        and plain_tokens
        and plain_tail
        and whole_text
        and transformer.module_output_name == "token_embeddings"
        and set(_modes(pooling)) <= _OWN_MODES
    )


def own_pass(model: SentenceTransformer, tokenizer: Tokenizer, prompts: Mapping[TextKind, str]) -> TokenPass:
    """The own loop over the parts of ``model``."""
    modules: list[Any] = list(model)
    transformer, pooling, *tail = modules
    accepted = transformer.model_forward_params
    return TokenPass(
        prompts=prompts,
        network=_network(transformer.model, model.device),
        tokenizer=tokenizer,
        pad_token=model.tokenizer.pad_token_id or 0,
        pad_type=model.tokenizer.pad_token_type_id,
        with_types="token_type_ids" in model.tokenizer.model_input_names
        and (accepted is None or "token_type_ids" in accepted),
        pooling=_modes(pooling),
        tail=tuple(_unit if type(module).__name__ == "Normalize" else module for module in tail),
        device=model.device,
    )


def _network(module: torch.nn.Module, device: torch.device) -> Network:
    """The own one for BERT on a CPU, where it says the same as the library's."""
    if device.type == "cpu" and (own := _own_network(module)) is not None:
        return own

    def librarys(ids: torch.Tensor, types: torch.Tensor | None, mask: torch.Tensor | None) -> torch.Tensor:
        features = {"input_ids": ids}
        if types is not None:
            features["token_type_ids"] = types
        if mask is not None:
            features["attention_mask"] = mask.long()
        hidden: torch.Tensor = module(**features, return_dict=True).last_hidden_state
        return hidden

    return librarys


def _own_network(module: torch.nn.Module) -> Network | None:
    """None where it cannot be made of the module, or says otherwise: another version of the library may name its
    parts differently, and a model that it can run is served all the same.
    """
    try:
        if bert_network.fits(module):
            own = BertNetwork(module)
            return own if bert_network.agrees(own, module) else None
    except (AttributeError, IndexError, RuntimeError, TypeError) as error:
        _LOG.info("the library's network is used, because the own one cannot be made of it: %s", error)
    return None


def _modes(pooling: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library ships no types
    return (pooling.pooling_mode,) if isinstance(pooling.pooling_mode, str) else tuple(pooling.pooling_mode)


def _unit(features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"sentence_embedding": normalize(features["sentence_embedding"], dim=-1)}


def _pool(mode: str, hidden: torch.Tensor, mask: torch.Tensor | None, counts: torch.Tensor) -> torch.Tensor:
    """``hidden`` (rows, tokens, width) → (rows, width), over the tokens of each row that are not padding."""
    match mode:
        case "cls":
            return hidden[:, 0]
        case "lasttoken":
            return hidden[torch.arange(len(hidden), device=hidden.device), counts - 1]
        case "max":
            return (hidden if mask is None else hidden.masked_fill(~mask[:, :, None], -torch.inf)).amax(dim=1)
        case _:
            return (hidden if mask is None else hidden * mask[:, :, None]).sum(dim=1) / counts[:, None]


def _to_numpy(vectors: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = vectors.cpu().numpy()
    return array
