"""The names by which a client may call the live contract as an OpenAI ``model``, and what they say of the prompt.

A model, a text's prompt and the index belong together, so three names stand for the same: that of the encoder's
model, that of the index, and the contract's fingerprint, which no other contract will ever have. Behind each of them
``-query`` or ``-passage`` chooses the prompt, for clients that cannot send ``input_type``. Any other name is refused
(404): whoever asks for another model's vectors must not be given this one's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from schemas.chunk_event import Json
from serving.handle import IndexHandle
from serving.refusals import Refusal, Refused
from stream.ports import TextKind

SUFFIXES: Mapping[str, TextKind] = {"-query": "query", "-passage": "passage"}


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Those of one handle."""

    index: str
    """The name that users search by."""
    handle: IndexHandle

    @property
    def plain(self) -> tuple[str, ...]:
        """Without a suffix."""
        contract = self.handle.contract
        return tuple(dict.fromkeys((contract.encoding.model, self.index, str(contract.fingerprint))))

    def kind(self, model: str) -> TextKind | None:
        """The prompt that a name chooses; None: it chooses none. Raises Refused (404)."""
        if model in self.plain:
            return None
        for suffix, kind in SUFFIXES.items():
            if model.endswith(suffix) and model.removesuffix(suffix) in self.plain:
                return kind
        raise Refused(
            Refusal(
                404,
                f"The model {_shown(model)} is not known; known are {', '.join(self.plain)}, each also with -query "
                "or -passage behind it.",
                "model_not_found",
                "model",
                {"known": list(self.plain), **self.facts},
            )
        )

    @property
    def facts(self) -> dict[str, Json]:
        """What every answer tells."""
        return {"contract": self.handle.contract.fingerprint, "collection": self.handle.collection}

    def one(self, model: str) -> dict[str, Json]:
        """As ``GET /v1/models/{id}`` tells of it. Raises Refused (404)."""
        kind = self.kind(model)
        encoding = self.handle.contract.encoding
        return {
            "id": model,
            "object": "model",
            "created": 0,
            "owned_by": self.index,
            **self.facts,
            "input_type": kind,
            "dimensions": encoding.dimensions,
            "max_tokens": encoding.max_tokens,
        }

    def all(self) -> dict[str, Json]:
        """As ``GET /v1/models`` lists them."""
        return {"object": "list", "data": [self.one(name) for name in self._every()], **self.facts}

    def _every(self) -> Iterator[str]:
        for name in self.plain:
            yield name
            yield from (f"{name}{suffix}" for suffix in SUFFIXES)


def _shown(model: str) -> str:
    return repr(model if len(model) <= 60 else f"{model[:57]}...")
