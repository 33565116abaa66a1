"""The contract: all that decides a vector, and the fingerprints that stand for it.

Two vectors are comparable when one contract made both. It has two halves: *chunking*, which decides the text that is
embedded, with one text mapping for each source, and *encoding*, which decides the vector of that text. Payload fields
and tenant are not part of it; nor is the number format, which the probes guard.

A fingerprint is 128 bits of blake2b over the canonical JSON (RFC 8785) of what it stands for, so it does not depend
on the order of keys, the spelling of numbers, the process or the machine.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import rfc8785

from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from stream.errors import Fatal

CHUNKER_REVISION = 1
"""Raised with every change of the code after which some text is cut differently."""

Strategy = Literal["anchored", "fixed", "sentence", "structure"]


@dataclass(frozen=True, slots=True)
class ChunkingContract:
    """What every source shares of the way from a row to passages. Sizes are in tokens of ``tokenizer``."""

    strategy: Strategy
    min_tokens: int
    max_tokens: int
    overlap_tokens: int
    title_max_tokens: int
    tokenizer: str
    """Digest of the tokenizer's file."""
    template: str = "title-blank-passage"
    normalization: str = "lf"
    revision: int = CHUNKER_REVISION
    library: str | None = None
    """Name and version of the library that decides with it, ``stream.chunking.library_of(strategy)``. Where there is
    none it enters no fingerprint.
    """


@dataclass(frozen=True, slots=True)
class TextMapping:
    """Where a source's text comes from: columns in order."""

    source: str
    title: str | None
    text: tuple[str, ...]
    parser: str = "plain"


@dataclass(frozen=True, slots=True)
class EncodingContract:
    """What turns an embedded text into a vector. ``model`` is a name for people and enters no fingerprint."""

    model: str
    weights: str
    tokenizer: str
    passage_prompt: str
    query_prompt: str
    max_tokens: int
    truncation_side: str
    pooling: str
    normalize: bool
    dimensions: int
    vector_kind: Literal["dense"] = "dense"

    @property
    def fingerprint(self) -> Fingerprint:
        """Of this half alone."""
        return fingerprint(_encoding_facts(self))

    @property
    def vector_name(self) -> str:
        """The vector's name in the collection: a client that means another encoding gets an error, not garbage."""
        return f"{self.model}-{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Contract:
    """Both halves and the sources they are used for."""

    chunking: ChunkingContract
    encoding: EncodingContract
    mappings: tuple[TextMapping, ...]

    @property
    def fingerprint(self) -> Fingerprint:
        """The *contract fingerprint*: shared chunking and encoding. A new source leaves it as it is."""
        return fingerprint({"chunking": as_json(self.chunking), "encoding": _encoding_facts(self.encoding)})

    @property
    def chunking_fingerprint(self) -> Fingerprint:
        """Shared chunking alone: it names the chunkers' consumer group."""
        return fingerprint(as_json(self.chunking))

    def header_fingerprint(self, source: str) -> Fingerprint:
        """The version header of this source's events: shared chunking and the source's text mapping."""
        mapping = next(mapping for mapping in self.mappings if mapping.source == source)
        return header_fingerprint(self.chunking, mapping)

    @property
    def accepted(self) -> dict[str, Fingerprint]:
        """Source → its header fingerprint."""
        return {mapping.source: header_fingerprint(self.chunking, mapping) for mapping in self.mappings}

    def to_json(self) -> dict[str, Json]:
        """For the collection's metadata; :func:`from_json` reads it back."""
        return {
            "chunking": as_json(self.chunking),
            "encoding": as_json(self.encoding),
            "mappings": [as_json(mapping) for mapping in self.mappings],
        }


def header_fingerprint(chunking: ChunkingContract, mapping: TextMapping) -> Fingerprint:
    """Shared chunking + one source's text mapping."""
    return fingerprint({"chunking": as_json(chunking), "mapping": as_json(mapping)})


def fingerprint(facts: Mapping[str, Json]) -> Fingerprint:
    """blake2b-128 over RFC 8785 JSON, base32 in lower case without padding."""
    digest = hashlib.blake2b(rfc8785.dumps(dict(facts)), digest_size=16).digest()
    return Fingerprint(base64.b32encode(digest).decode().rstrip("=").lower())


def as_json(part: ChunkingContract | TextMapping | EncodingContract) -> dict[str, Json]:
    """The fields of one part, tuples as lists. A chunking without a library does not speak of one."""
    facts = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(part).items()}
    if isinstance(part, ChunkingContract) and part.library is None:
        del facts["library"]
    return facts


def _encoding_facts(encoding: EncodingContract) -> dict[str, Json]:
    facts = as_json(encoding)
    del facts["model"]
    return facts


def from_json(document: Mapping[str, Any]) -> Contract:
    """Reads what :meth:`Contract.to_json` wrote. Raises Fatal where it is something else."""
    try:
        return Contract(
            chunking=ChunkingContract(**document["chunking"]),
            encoding=EncodingContract(**document["encoding"]),
            mappings=tuple(
                TextMapping(**{**mapping, "text": tuple(mapping["text"])}) for mapping in document["mappings"]
            ),
        )
    except (KeyError, TypeError) as error:
        raise Fatal(
            "The contract in the collection's metadata cannot be read by this version of embedstream "
            f"({error}); use the version that made the collection, or build the next generation."
        ) from error


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two contracts differ."""

    path: str
    ours: Json
    theirs: Json


def differences(ours: Contract, theirs: Contract) -> list[Difference]:
    """Every field that decides a vector and differs; the model's name and unknown sources do not count."""
    found: list[Difference] = []
    for half in ("chunking", "encoding"):
        left, right = getattr(ours, half), getattr(theirs, half)
        found.extend(
            Difference(f"{half}.{item.name}", getattr(left, item.name), getattr(right, item.name))
            for item in fields(left)
            if item.name != "model" and getattr(left, item.name) != getattr(right, item.name)
        )
    known = {mapping.source: mapping for mapping in theirs.mappings}
    for mapping in ours.mappings:
        other = known.get(mapping.source)
        if other is None:
            continue
        left_json, right_json = as_json(mapping), as_json(other)
        found.extend(
            Difference(f"source.{mapping.source}.{name}", left_json[name], right_json[name])
            for name in left_json
            if left_json[name] != right_json[name]
        )
    return found


def side_by_side(ours: Contract, theirs: Contract) -> str:
    """Both sides of every difference, one a line, for an error or ``contract diff``."""
    return "\n".join(
        f"  {difference.path}: here {difference.ours!r}, in the collection {difference.theirs!r}"
        for difference in differences(ours, theirs)
    )
