"""The library that has a say in where a strategy cuts, by name and version: part of the chunking contract.

An upgraded library may cut some text differently, and nobody could tell from which text: the old passages and the new
ones would stand in one index, equal edits would embed different chunks. So its version enters the fingerprint, as the
tokenizer's digest does, and an upgrade is a new chunking: refused by the collection, made by ``embedstream upgrade``.
It is pinned to one exact version, so that an installation never brings one unasked.
"""

from collections.abc import Mapping
from importlib.metadata import version

from stream.contract import Strategy

_SPLITTER = "semantic-text-splitter"
_LIBRARIES: Mapping[Strategy, str] = {"structure": f"{_SPLITTER} {version(_SPLITTER)}"}


def library_of(strategy: Strategy) -> str | None:
    """As ``name version``; None where this project's own code alone decides."""
    return _LIBRARIES.get(strategy)
