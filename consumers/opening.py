"""How an embedder comes to the collection that it may write.

Its name is that of its contract, so it is either this contract's own or not there. One that is there is checked:
contract, mappings and lineage by its record, the encoder by its probes; new sources join it, and payload fields
declared since get their index. One that is not there is created with both, and the alias is set if nobody searches
yet. Where the alias already shows a collection of *another* contract the embedder refuses, with both sides shown:
what looks like a changed setting would otherwise start to embed a whole corpus beside the index that users search.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.identity import Fingerprint
from stream import probes
from stream.collection import CollectionRecord, check_contract, collection_name, from_json, new_record
from stream.contract import Contract
from stream.errors import Fatal
from stream.intake import Admission
from stream.ports import Encoder, FieldType, IndexCatalog, VectorIndex, VectorSpec

_RACES = 20


@dataclass(frozen=True, slots=True)
class OpenCollection:
    """A collection that this process may write."""

    name: str
    record: CollectionRecord
    index: VectorIndex

    @property
    def admission(self) -> Admission:
        """Which events may be applied to it."""
        return _admission(self.record)


def admission_now(catalog: IndexCatalog, name: str) -> Admission:
    """Which events a collection accepts by now: another embedder may have opened it for a source more."""
    return _admission(from_json(catalog.metadata(name)))


def _admission(record: CollectionRecord) -> Admission:
    sources: dict[Fingerprint, str] = {value: source for source, value in record.accepted.items()}
    return Admission(sources, record.lineage)


def open_for_writing(
    catalog: IndexCatalog,
    index_name: str,
    generation: int,
    contract: Contract,
    lineage: Mapping[str, str],
    fields: Mapping[str, FieldType],
    encoder: Encoder,
    *,
    consumed: Callable[[], bool] = lambda: False,
) -> OpenCollection:
    """Opens or creates it. Raises Fatal where this process must not write.

    ``consumed`` says whether the group has committed offsets: with them, a collection that is not there was lost, and
    one made in its place would stay empty of all that was read before.
    """
    name = collection_name(index_name, contract.fingerprint, generation)
    if name not in catalog.collections():
        if consumed():
            raise Fatal(
                f"The collection {name} is gone, and its consumer group has read events into it already; put "
                "its data back (index.url), or raise index.generation by one to build it anew."
            )
        _refuse_another_contract(catalog, index_name, contract)
        _create(catalog, name, contract, lineage, fields, encoder)
    # Whoever is refused leaves no trace: its sources and lineages join only once its encoder has passed.
    found = from_json(catalog.metadata(name))
    found.joined(contract, lineage)
    probes.check(found.probes, encoder, name)
    # Before the first event that carries them; a refusal here leaves the sources out, too.
    catalog.ensure_fields(name, fields)
    record = _join(catalog, name, contract, lineage)
    if index_name not in catalog.aliases():
        catalog.switch_alias(index_name, None, name)
    return OpenCollection(name, record, catalog.open(name))


def _refuse_another_contract(catalog: IndexCatalog, index_name: str, contract: Contract) -> None:
    """Another generation of this very contract may be built beside the one that is searched, whatever its state."""
    live = catalog.aliases().get(index_name)
    if live is not None and not live.startswith(collection_name(index_name, contract.fingerprint, 0)[:-1]):
        check_contract(contract, from_json(catalog.metadata(live)).contract)


def _create(
    catalog: IndexCatalog,
    name: str,
    contract: Contract,
    lineage: Mapping[str, str],
    fields: Mapping[str, FieldType],
    encoder: Encoder,
) -> None:
    record = new_record(contract, lineage, probes.take(encoder))
    vector = VectorSpec(contract.encoding.vector_name, contract.encoding.dimensions)
    try:
        catalog.create(name, vector, fields, record.to_json())
    except Fatal:
        # Another embedder of the group may have been faster; then its record is the one to join.
        if name not in catalog.collections():
            raise


def _join(catalog: IndexCatalog, name: str, contract: Contract, lineage: Mapping[str, str]) -> CollectionRecord:
    for _ in range(_RACES):
        metadata = catalog.metadata(name)
        record = from_json(metadata)
        joined = record.joined(contract, lineage)
        if joined == record or catalog.replace_metadata(name, metadata, joined.to_json()):
            return joined
    raise Fatal(f"The metadata of collection {name} keeps changing under this process; see what else writes it.")
