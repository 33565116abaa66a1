"""BERT's network for short rows on a CPU, without padding and with little around the kernels.

It computes what the library's module computes, from the same weights. Between the kernels of one short query the
library's Python takes about as long as the kernels, and rows of different lengths are padded to the longest. Here the
three projections of attention are one product, and everything but attention itself runs on the tokens that there
are: eight queries of 6 to 21 tokens are 90 tokens and not 168.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, embedding, layer_norm, linear, scaled_dot_product_attention

_LIKE = 0.9999
"""Cosine of two last hidden states of a token. The same sums of bfloat16 in another order are nearer."""


@dataclass(frozen=True, slots=True)
class _Normed:
    """A layer norm."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, hidden: Tensor) -> Tensor:
        return layer_norm(hidden, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class _Product:
    """A linear map."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class _Layer:
    projections: _Product
    """Queries, keys and values, one above the other."""
    heads: int
    attended: _Product
    attended_norm: _Normed
    widened: _Product
    activation: nn.Module
    narrowed: _Product
    norm: _Normed


class BertNetwork:
    """``ids`` (rows, tokens) → the last hidden state (rows, tokens, width), zero where ``mask`` is false."""

    def __init__(self, module: nn.Module) -> None:
        """Shares the weights of ``module``, which stays usable: its projections become parts of one matrix."""
        bert = cast("Any", module)
        self._words = bert.embeddings.word_embeddings.weight
        self._types = bert.embeddings.token_type_embeddings.weight
        self._places = bert.embeddings.position_embeddings.weight
        self._norm = _normed(bert.embeddings.LayerNorm)
        self._layers = [_layer(layer, bert.config.num_attention_heads) for layer in bert.encoder.layer]

    def __call__(self, ids: Tensor, types: Tensor | None, mask: Tensor | None) -> Tensor:
        rows, tokens = ids.shape
        width = self._words.shape[1]
        places = torch.arange(tokens, device=ids.device).expand(rows, tokens).reshape(-1)
        ids, types = ids.reshape(-1), torch.zeros_like(ids).reshape(-1) if types is None else types.reshape(-1)
        there = None if mask is None else mask.reshape(-1).nonzero()[:, 0]
        if there is not None:
            ids, types, places = ids[there], types[there], places[there]
        hidden = embedding(ids, self._words) + embedding(types, self._types) + embedding(places, self._places)
        hidden = self._norm(hidden)
        for layer in self._layers:
            projected = layer.projections(hidden)
            if there is not None:
                projected = _spread(projected, there, rows * tokens)
            apart = projected.view(rows, tokens, 3, layer.heads, width // layer.heads).permute(2, 0, 3, 1, 4)
            seen = scaled_dot_product_attention(
                apart[0], apart[1], apart[2], attn_mask=None if mask is None else mask[:, None, None, :]
            )
            attended = seen.transpose(1, 2).reshape(rows * tokens, width)
            if there is not None:
                attended = attended[there]
            hidden = layer.attended_norm(layer.attended(attended) + hidden)
            hidden = layer.norm(layer.narrowed(layer.activation(layer.widened(hidden))) + hidden)
        if there is not None:
            hidden = _spread(hidden, there, rows * tokens)
        return hidden.view(rows, tokens, width)


def fits(module: nn.Module) -> bool:
    """Whether :class:`BertNetwork` can take the module's weights."""
    kind = type(module)
    if kind.__name__ != "BertModel" or not kind.__module__.startswith("transformers."):
        return False
    config = cast("Any", module).config
    # A quantized or adapted part is no plain Linear, and a matrix of three needs one number format.
    plain = all(type(part) is nn.Linear for layer in cast("Any", module).encoder.layer for part in _parts(layer))
    one_format = len({parameter.dtype for parameter in module.parameters()}) == 1
    return plain and one_format and not (config.is_decoder or config.add_cross_attention)


def agrees(network: BertNetwork, module: nn.Module) -> bool:
    """Whether both say the same of rows of two lengths. Another version of the library may compute otherwise."""
    bert = cast("Any", module)
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(1, bert.config.vocab_size, (2, 7), generator=chance)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    with torch.inference_mode():
        theirs = bert(input_ids=ids, attention_mask=mask.long(), return_dict=True).last_hidden_state
        nearness = cosine_similarity(network(ids, None, mask)[mask].float(), theirs[mask].float(), dim=-1)
    return bool(nearness.min() >= _LIKE)


def _parts(layer: Any) -> list[nn.Module]:  # noqa: ANN401 - the library ships no types
    attention = layer.attention
    return [
        *(attention.self.query, attention.self.key, attention.self.value),
        *(attention.output.dense, layer.intermediate.dense, layer.output.dense),
    ]


def _spread(values: Tensor, there: Tensor, count: int) -> Tensor:
    """``values`` (of some tokens, width) at their places among ``count``, and zero at the others."""
    return values.new_zeros(count, values.shape[1]).index_copy_(0, there, values)


def _layer(layer: Any, heads: int) -> _Layer:  # noqa: ANN401 - the library ships no types
    return _Layer(
        projections=_together([layer.attention.self.query, layer.attention.self.key, layer.attention.self.value]),
        heads=heads,
        attended=_product(layer.attention.output.dense),
        attended_norm=_normed(layer.attention.output.LayerNorm),
        widened=_product(layer.intermediate.dense),
        activation=layer.intermediate.intermediate_act_fn,
        narrowed=_product(layer.output.dense),
        norm=_normed(layer.output.LayerNorm),
    )


def _together(parts: list[nn.Linear]) -> _Product:
    """One matrix of all, of which each part keeps its piece."""
    with torch.no_grad():
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
    for part, piece in zip(parts, weight.chunk(len(parts)), strict=True):
        part.weight.data = piece
    return _Product(weight, bias)


def _product(dense: nn.Linear) -> _Product:
    return _Product(dense.weight, dense.bias)


def _normed(norm: nn.LayerNorm) -> _Normed:
    return _Normed(norm.weight, norm.bias, norm.eps)
