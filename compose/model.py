"""The model of a configuration: its contract and tokenizer at once, its weights only when somebody encodes.

The chunker and most commands need the contract alone, and it is read from the model's files without torch. Loading is
asked for by whoever encodes: one load gives the bulk profile of the embedder and the query profile. While an upgrade
runs in one process, the next model is loaded *beside* the live one: on one device they wait at one gate, queries of
both before live work, and live work before the replay.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from adapters import tokenizer as tokenizers
from adapters.encoding_contract import read_contract
from adapters.memory.encoder import HashEncoder
from adapters.model_files import ModelFiles, resolve
from compose.sections import EncodingSettings
from stream.chunking.limits import validate
from stream.contract import ChunkingContract, Contract, EncodingContract
from stream.errors import Misuse
from stream.ports import Encoder, Tokenizer
from stream.source import Source
from stream.text import prompt_tokens, separator_tokens

if TYPE_CHECKING:
    from adapters.sentence_encoder import SentenceEncoder


@dataclass(frozen=True, slots=True)
class Profiles:
    """One load of the weights. ``shrink`` halves the bulk profile's budget; ``device`` is where they are.

    ``width`` is how many calls of the query profile can be on the device at once. ``replay_at`` makes the bulk
    profile stand behind live work, with at most that share of the device (above 0, at most 1), and ``go_live`` ends
    that; both hold from its next micro-batch on, and it begins as live work.
    """

    bulk: Encoder
    query: Encoder
    shrink: Callable[[], object]
    device: str
    width: int
    replay_at: Callable[[float], object]
    go_live: Callable[[], object]
    again: Callable[[], "Profiles"]
    """The same weights with a bulk profile of its own: for another collection of the same encoding."""


class Load(Protocol):
    """Loads the weights, beside other ones of this process or alone. Raises Fatal where they must not be loaded."""

    def __call__(self, beside: Profiles | None = None) -> Profiles: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was found; nothing of its weights is in memory."""

    encoding: EncodingContract
    tokenizer: Tokenizer
    load: Load


def find_model(settings: EncodingSettings) -> Model:
    """Raises Misuse or Fatal with a sentence where there is none, or one that must not be loaded."""
    kind, _, rest = settings.model.partition(":")
    if kind == "hash":
        return _hash_model(rest)
    files = resolve(settings.model)
    return Model(
        encoding=read_contract(files),
        tokenizer=tokenizers.load(files.tokenizer_folder),
        load=partial(_load, files, settings),
    )


def contract_of(model: Model, chunking: ChunkingContract, sources: tuple[Source, ...]) -> Contract:
    """The whole contract. Raises Misuse where passage, title and special tokens do not fit the encoder's maximum."""
    tokenizer = model.tokenizer
    prompt = prompt_tokens(model.encoding.passage_prompt, tokenizer)
    validate(chunking, model.encoding.max_tokens, tokenizer.special_tokens(), prompt, separator_tokens(tokenizer))
    return Contract(chunking, model.encoding, tuple(source.mapping for source in sources))


def _load(files: ModelFiles, settings: EncodingSettings, beside: Profiles | None = None) -> Profiles:
    # Read when torch is imported: its threads sleep instead of spin while they wait, without which an encoder that
    # shares its cores with a broker loses most of them (seen: p99 of a query 22 ms instead of 400).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from adapters.sentence_encoder import SentenceEncoder  # noqa: PLC0415 - torch takes seconds and memory

    bulk = SentenceEncoder.load(
        files,
        device=settings.device,
        number_format=settings.number_format,
        token_budget=settings.batch_tokens,
        threads=settings.threads,
        beside=beside.bulk if beside is not None and isinstance(beside.bulk, SentenceEncoder) else None,
    )
    return _profiles_of(bulk, bulk.for_queries())


def _profiles_of(bulk: "SentenceEncoder", query: "SentenceEncoder") -> Profiles:
    return Profiles(
        bulk,
        query,
        bulk.halve_budget,
        bulk.device,
        bulk.width,
        bulk.replay_at,
        bulk.go_live,
        lambda: _profiles_of(bulk.with_budget(bulk.token_budget), query),
    )


def _hash_model(dimensions: str) -> Model:
    if not (dimensions.isascii() and dimensions.isdigit()):
        raise Misuse(f"[encoding] model = 'hash:{dimensions}': write hash: and a number of dimensions, as hash:64.")
    encoder = HashEncoder(int(dimensions))

    return Model(encoder.contract, encoder.tokenizer, partial(_hash_profiles, encoder))


def _hash_profiles(encoder: HashEncoder, beside: Profiles | None = None) -> Profiles:
    """It needs no memory to speak of, and no device that anybody would wait for."""
    del beside

    def nothing(*_: float) -> None:
        """Neither a smaller budget nor another rank changes anything."""

    return Profiles(encoder, encoder, nothing, "cpu", 1, nothing, nothing, lambda: _hash_profiles(encoder))
