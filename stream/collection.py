"""The collection's own record: what its metadata says about how its vectors were made, and its name.

A collection carries all that is needed to refuse the wrong writer or reader: the whole contract, the header
fingerprint that it accepts of each source, the lineage that makes the versions of a source comparable, and probes.
Invariant 4 (no mix) is decided here: :func:`check_encoding` for a reader, :meth:`CollectionRecord.joined` for a
writer; both refuse with the two sides shown.

A new source joins without a rebuild. A changed mapping or lineage of a known source is fatal: its chunks were cut
from other text, or its versions count anew. What a newer version of embedstream wrote beside the known keys is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from stream import contract as contracts
from stream import probes as golden
from stream.contract import Contract, EncodingContract, differences, side_by_side
from stream.errors import Fatal
from stream.lineage import check_unchanged
from stream.probes import Probe

FORMAT = 1
"""Raised when an older embedstream could misread the record."""

_KEYS = frozenset({"format", "contract", "fingerprint", "accepted", "lineage", "probes", "barrier", "replaces"})


def collection_name(index: str, fingerprint: Fingerprint, generation: int) -> str:
    """``<index>__<contract fingerprint>__g<generation>``: two contracts or generations never share a collection."""
    return f"{index}__{fingerprint}__g{generation}"


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """The metadata of one collection as a value."""

    contract: Contract
    accepted: Mapping[str, Fingerprint]
    """Source → header fingerprint of the events that may be applied."""
    lineage: Mapping[str, str] = field(default_factory=dict)
    """Source → lineage of the events that may be applied; a source that never wrote is absent."""
    probes: tuple[Probe, ...] = ()
    barrier: Mapping[str, Json] | None = None
    """After a bulk load: the ends noted before it, from which the stream goes on."""
    replaces: str | None = None
    """The collection that users searched when this one was begun by an upgrade, to take its place."""
    rest: Mapping[str, Json] = field(default_factory=dict)
    """Keys of a newer version, kept as they were."""

    def to_json(self) -> dict[str, Json]:
        """For ``IndexCatalog.create`` and ``replace_metadata``; :func:`from_json` reads it back to an equal value."""
        return {
            **self.rest,
            "format": FORMAT,
            "contract": self.contract.to_json(),
            "fingerprint": self.contract.fingerprint,
            "accepted": {source: str(fingerprint) for source, fingerprint in self.accepted.items()},
            "lineage": dict(self.lineage),
            "probes": golden.to_json(self.probes),
            "barrier": None if self.barrier is None else dict(self.barrier),
            **({} if self.replaces is None else {"replaces": self.replaces}),
        }

    def joined(self, ours: Contract, lineage: Mapping[str, str]) -> "CollectionRecord":
        """The record once this writer may write: its new sources accepted, their lineages noted.

        Equal to ``self`` where there was nothing to add. Raises Fatal where the contract, a known source's mapping or
        its lineage differs.
        """
        check_contract(ours, self.contract)
        check_unchanged(self.lineage, lineage)
        known = {mapping.source for mapping in self.contract.mappings}
        added = tuple(mapping for mapping in ours.mappings if mapping.source not in known)
        contract = replace(self.contract, mappings=(*self.contract.mappings, *added))
        return replace(
            self,
            contract=contract,
            accepted={**self.accepted, **{mapping.source: ours.accepted[mapping.source] for mapping in added}},
            lineage={**self.lineage, **lineage},
        )


def new_record(contract: Contract, lineage: Mapping[str, str], probes: tuple[Probe, ...]) -> CollectionRecord:
    """Of a collection that is about to be created: it accepts what the contract maps."""
    return CollectionRecord(contract, contract.accepted, dict(lineage), probes)


def from_json(document: Mapping[str, Any]) -> CollectionRecord:
    """Reads what :meth:`CollectionRecord.to_json` wrote. Raises Fatal where it is something else."""
    if document.get("format") != FORMAT:
        raise Fatal(
            f"The collection's metadata has format {document.get('format')!r}, and this version of embedstream reads "
            f"format {FORMAT}; name a collection that embedstream made (index.name), or use the version that made it."
        )
    try:
        barrier = document["barrier"]
        return CollectionRecord(
            contract=contracts.from_json(document["contract"]),
            accepted={str(source): Fingerprint(value) for source, value in document["accepted"].items()},
            lineage={str(source): str(value) for source, value in document["lineage"].items()},
            probes=golden.from_json(document["probes"]),
            barrier=None if barrier is None else dict(barrier),
            replaces=None if document.get("replaces") is None else str(document["replaces"]),
            rest={key: value for key, value in document.items() if key not in _KEYS},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Fatal(
            "The collection's metadata is damaged: it cannot be read as what embedstream writes; build the next "
            "generation (index.generation)."
        ) from error


def check_contract(ours: Contract, theirs: Contract) -> None:
    """For a writer: raises Fatal with both sides shown where anything that decides a vector differs."""
    if differences(ours, theirs):
        raise Fatal(_refusal("The configuration", ours, theirs))


def check_encoding(encoding: EncodingContract, theirs: Contract) -> None:
    """For a reader, which cuts nothing: only how a query becomes a vector has to agree. Raises Fatal."""
    ours = replace(theirs, encoding=encoding)
    if differences(ours, theirs):
        raise Fatal(_refusal("The encoder", ours, theirs))


def _refusal(who: str, ours: Contract, theirs: Contract) -> str:
    return (
        f"{who} has contract {ours.fingerprint} and the collection {theirs.fingerprint}: their vectors cannot be "
        "compared; use the model and settings that made the collection, or upgrade the index "
        f"(`embedstream upgrade`):\n{side_by_side(ours, theirs)}"
    )
