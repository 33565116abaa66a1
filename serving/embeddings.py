"""``POST /v1/embeddings``: OpenAI's request and response, under the contract of the live index.

    {"model": "docs-query", "input": ["how do I …"], "encoding_format": "base64"}

A text is encoded as a query or as a passage, and the two may have different prompts: the request says which, by
``input_type`` or by the model's suffix; where it does not and the prompts differ, it is refused instead of guessed.
Nothing is ever cut: neither a text that is longer than the model reads nor a vector that is asked for shorter, for
both would be another contract than the one that the answer names.

Unknown keys are refused too: a client that sends ``truncate`` means something that does not happen here.
"""

import base64
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.handle import QueryEncoder
from serving.limits import Deadline
from serving.models import ModelNames
from serving.refusals import misuse, too_large
from serving.whole_number import whole
from stream.points import DenseVector
from stream.ports import TextKind

FORMATS = ("float", "base64")
KINDS: tuple[TextKind, ...] = get_args(TextKind)
KEYS = ("input", "model", "input_type", "encoding_format", "dimensions", "user")
_TEXTS_A_TURN = 16
"""Passages of one call of the encoder: between two of them the deadline is looked at."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """What is asked for. ``kind`` is that of ``input_type``; the model's suffix may say it too."""

    model: str
    texts: tuple[str, ...]
    kind: TextKind | None = None
    as_base64: bool = False
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingRules:
    """What a request may ask."""

    max_texts: int
    max_text_chars: int

    def read(self, body: bytes) -> EmbeddingRequest:
        """Raises Refused (400, or 413 for too many texts) with one sentence."""
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise misuse(f"The body is not JSON ({error}).") from error
        if not isinstance(document, dict):
            raise misuse('The body is not a JSON object; send {"model": "…", "input": "…"}.')
        for key in document:
            if key not in KEYS:
                near = difflib.get_close_matches(key, KEYS, 1, 0.6)
                hint = f"did you mean {near[0]!r}" if near else f"known are {', '.join(KEYS)}"
                raise misuse(f"{key[:60]!r} is not a known key; {hint}.", key[:60], "unknown_parameter")
        model, dimensions, user = (document.get(key) for key in ("model", "dimensions", "user"))
        if not isinstance(model, str) or not model:
            raise misuse("model is expected to be a name; GET /v1/models lists those known.", "model")
        wanted = None if dimensions is None else whole(dimensions)
        if dimensions is not None and (wanted is None or wanted < 1):
            raise misuse("dimensions is expected to be a whole number from 1 on.", "dimensions")
        if user is not None and not isinstance(user, str):
            raise misuse("user is expected to be text.", "user")
        kind = document.get("input_type")
        if kind is not None and kind not in KINDS:
            raise misuse(f"input_type is expected to be {' or '.join(KINDS)}.", "input_type")
        form = document.get("encoding_format")
        if form is not None and form not in FORMATS:
            raise misuse(f"encoding_format is expected to be {' or '.join(FORMATS)}.", "encoding_format")
        return EmbeddingRequest(model, self._texts(document.get("input")), kind, form == "base64", wanted)

    def _texts(self, given: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON holds
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts:
            raise misuse("input is expected to be a text or a list of texts.", "input")
        if len(texts) > self.max_texts:
            raise too_large(
                f"input has {len(texts):,} texts; at most {self.max_texts:,} are taken at once.",
                "too_many_texts",
                "input",
            )
        for number, text in enumerate(texts):
            where = "input" if isinstance(given, str) else f"input.{number}"
            if isinstance(text, int | list):
                raise misuse(f"{where} is a token id, or a list of them; send the text itself.", "input")
            if not isinstance(text, str) or not text:
                raise misuse(f"{where} is expected to be a text that is not empty.", "input")
            if len(text) > self.max_text_chars:
                raise misuse(
                    f"{where} has {len(text):,} characters; at most {self.max_text_chars:,} are read.", "input"
                )
        return tuple(texts)


def embed(request: EmbeddingRequest, names: ModelNames, deadline: Deadline) -> dict[str, Any]:
    """The response document, vectors as arrays. Raises Refused, and what the encoder raises."""
    handle = names.handle
    encoding = handle.contract.encoding
    if request.dimensions not in (None, encoding.dimensions):
        raise misuse(
            f"dimensions is {request.dimensions}, and vectors of this contract have {encoding.dimensions}; a shorter "
            "vector is of another contract.",
            "dimensions",
        )
    kind = _kind(request, names)
    tokens = _counted(handle.encoder, kind, request.texts)
    for number, count in enumerate(tokens):
        if count > encoding.max_tokens:
            raise misuse(
                f"input.{number} has {count:,} tokens and the model reads {encoding.max_tokens:,}; shorten it.",
                "input",
            )
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": number, "embedding": _shown(vector, request)}
            for number, vector in enumerate(_vectors(handle.encoder, kind, request.texts, deadline))
        ],
        "model": encoding.model,
        "usage": {"prompt_tokens": sum(tokens), "total_tokens": sum(tokens)},
        "input_type": kind,
        **names.facts,
    }


def _kind(request: EmbeddingRequest, names: ModelNames) -> TextKind:
    named = names.kind(request.model)
    if named and request.kind and named != request.kind:
        raise misuse(f"The model's name says {named} and input_type says {request.kind}; send one.", "input_type")
    encoding = names.handle.contract.encoding
    kind = request.kind or named
    if kind is None and encoding.query_prompt != encoding.passage_prompt:
        raise misuse(
            "Queries and passages have different prompts under this contract; send input_type query or passage, or "
            "the model's name with -query or -passage behind it.",
            "input_type",
        )
    return kind or "query"


def _counted(encoder: QueryEncoder, kind: TextKind, texts: Sequence[str]) -> Sequence[int]:
    return encoder.encoder.count_tokens(kind, texts)


def _vectors(
    encoder: QueryEncoder, kind: TextKind, texts: Sequence[str], deadline: Deadline
) -> Iterator[DenseVector]:
    if kind == "query":
        yield from encoder.encode(texts, deadline.at)
        return
    for begin in range(0, len(texts), _TEXTS_A_TURN):
        deadline.check()
        yield from encoder.encoder.encode(kind, texts[begin : begin + _TEXTS_A_TURN])


def _shown(vector: DenseVector, request: EmbeddingRequest) -> NDArray[np.float32] | str:
    """Float32, as numbers or as their bytes, least significant first."""
    values = np.ascontiguousarray(vector.values, dtype="<f4")
    return base64.b64encode(values.tobytes()).decode("ascii") if request.as_base64 else values
