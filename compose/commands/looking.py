"""What a command that only looks opens: the live collection of a deployment, and its records on the topics."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from adapters.kafka.reader import read_partitions
from compose.deployment import Deployment
from consumers.lineage_watch import current_lineages
from consumers.opening import OpenCollection
from schemas import chunk_codec
from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId, Version, source_of
from schemas.malformed import Malformed
from stream.change import Change, Ignore, read_change
from stream.collection import CollectionRecord, from_json
from stream.errors import Fatal, Misuse, Poison
from stream.partitioning import partition_of
from stream.ports import IndexCatalog, Partition, Record, Topics, Unframer, VectorIndex
from stream.source import Source


@dataclass(frozen=True, slots=True)
class LiveCollection:
    """The collection that the index's name stands for."""

    name: str
    record: CollectionRecord
    index: VectorIndex


class NoIndexYet(Fatal):
    """Nobody has made the index so far."""


@contextmanager
def live_collection(deployment: Deployment) -> Iterator[LiveCollection]:
    """Opened through its owner, or by this process for the length of the block. Raises Fatal where there is none."""
    index = deployment.settings.index
    if index.not_made_yet:
        raise NoIndexYet(f"There is no index in {index.folder} yet; `embedstream run all` makes it.")
    catalog = deployment.catalog(serve=False)
    try:
        yield _live(catalog, deployment.settings.index.name)
    finally:
        catalog.close()


def _live(catalog: IndexCatalog, alias: str) -> LiveCollection:
    name = catalog.aliases().get(alias)
    if name is None:
        raise NoIndexYet(f"The index {alias} does not exist yet; an embedder makes it (`embedstream run embedder`).")
    return LiveCollection(name, from_json(catalog.metadata(name)), catalog.open(name))


@contextmanager
def own_collection(deployment: Deployment, topics: Topics) -> Iterator[tuple[IndexCatalog, OpenCollection]]:
    """That of this configuration's contract and generation, whatever the index's name stands for, and its catalog.

    Raises Fatal where there is none, where the configuration is not that of its writer, or where its versions are not
    comparable any more.
    """
    settings = deployment.settings
    if settings.index.not_made_yet:
        raise NoIndexYet(f"There is no index in {settings.index.folder} yet; `embedstream run all` makes it.")
    name = deployment.collection
    with closing(deployment.catalog(serve=False)) as catalog:
        if name not in catalog.collections():
            raise NoIndexYet(f"There is no collection {name} yet; an embedder makes it (`embedstream run embedder`).")
        record = from_json(catalog.metadata(name))
        record.joined(deployment.contract, current_lineages(topics, deployment.source_topics, settings.chunks.topic))
        yield catalog, OpenCollection(name, record, catalog.open(name))


def source_named(deployment: Deployment, document: DocId) -> Source:
    """The source that a document's id names. Raises Misuse."""
    name = source_of(document)
    for source in deployment.settings.sources:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in deployment.settings.sources)
    raise Misuse(f"{document!r} names no source of this configuration; ids begin with one of: {known}.")


def last_change(deployment: Deployment, topics: Topics, source: Source, document: DocId) -> Change | Poison | None:
    """The document's newest revision in the CDC topic, what is wrong with it, or None. Reads the whole topic."""
    newest: Change | Poison | None = None
    with closing(deployment.unframer()) as unframer:
        for record in read_partitions(deployment.settings.kafka.properties, list(topics.ends(source.topic))):
            try:
                change = _change(unframer, source, record)
            except Poison as poison:
                if record.key is not None and _names(unframer, source, record, document):
                    newest = poison
                continue
            if not isinstance(change, Ignore) and change.doc_id == document:
                newest = change
    return newest


def _change(unframer: Unframer, source: Source, record: Record) -> Change:
    key, value = unframer.unframed(record)
    return read_change(source, key, value, record.headers, Version(record.offset + 1), record.timestamp_ms)


def _names(unframer: Unframer, source: Source, record: Record, document: DocId) -> bool:
    """Whether the key of a record that cannot be read is this document's: asked of a delete with that key."""
    try:
        change = _change(unframer, source, replace(record, value=None))
    except Poison:
        return False
    return not isinstance(change, Ignore) and change.doc_id == document


def last_event(deployment: Deployment, topics: Topics, document: DocId) -> ChunkEvent | None:
    """The newest chunk event under this deployment's chunking. Reads the document's partition."""
    topic = deployment.settings.chunks.topic
    wanted = deployment.contract.accepted[source_of(document)]
    info = topics.describe([topic]).get(topic)
    if info is None:
        return None
    newest: ChunkEvent | None = None
    place = Partition(topic, partition_of(document, info.partitions))
    for record in read_partitions(deployment.settings.kafka.properties, [place]):
        if record.value is None:
            continue
        try:
            key = chunk_codec.decode_key(record.key)
            if key.doc_id != document or key.chunking != wanted:
                continue
            event = chunk_codec.decode(record.value)
        except Malformed:
            continue
        if newest is None or event.version >= newest.version:
            newest = event
    return newest
