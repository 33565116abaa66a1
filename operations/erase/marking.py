"""What makes a collection hold a delete: nothing where its embedder has read it, or the writes that mark it.

A collection that nobody reads for is written here, at the delete's own version and under an embedder's conditions,
so that the two agree in every state. Points of which no event is known any more are marked at the newest version that
is stored of the document: nothing older can come behind it, and a newer revision wins over it.
"""

from collections.abc import Sequence

from operations.erase.goneness import Gone, Refused
from operations.erase.surroundings import Collection, Surroundings
from schemas.chunk_event import ChunkEvent
from schemas.identity import DocId, Version, document_point_id, source_of
from stream.delta import Stale, plan_revision
from stream.erasure import Trail
from stream.points import Mark, State, StoredPoint, Write
from stream.ports import Partition


def stored_in(collection: Collection, document: DocId) -> Sequence[StoredPoint]:
    """Its points, marks included."""
    return collection.index.read([document]).get(document, ())


def marking(around: Surroundings, collection: Collection, trail: Trail, gone: Gone) -> tuple[list[Write], int]:
    """The writes, and how many live points they mark. Raises Refused where that is its embedder's to do, or comes too
    late, or the document may live.
    """
    document, delete = trail.document, trail.newest
    present = collection.lineages.get(source_of(document)) == trail.lineage
    if delete is None or not present or trail.place is None:
        stored = stored_in(collection, document)
        live = sum(point.state is State.LIVE for point in stored)
        if live and present and not gone.certain:
            raise Refused(
                f"{collection.name} holds {document} live, {around.chunks.name} has lost its beginning, and the CDC "
                "topic has no record of the row, so whether it lives is not known; delete its row, or insert and "
                "delete it once more if it is gone already."
            )
        return (_marks(document, stored, gone.version if present else None), live) if live else ([], 0)
    place, offset = trail.place, trail.offset
    if not around.patience(lambda: _has_read(around, collection, place, offset)):
        raise Refused(
            f"The embedder of {collection.name} has not read the delete of {document} yet; wait until it has, "
            "and run this again."
        )
    return _delete(collection, delete, stored_in(collection, document))


def _delete(collection: Collection, delete: ChunkEvent, stored: Sequence[StoredPoint]) -> tuple[list[Write], int]:
    plan = plan_revision(delete, stored)
    if isinstance(plan, Stale):
        raise Refused(
            f"{delete.doc_id} came back: {collection.name} holds version {plan.newest} of it, and its delete is "
            f"of version {delete.version}; delete its row again first."
        )
    own = document_point_id(delete.doc_id)
    marked = any(
        point.id == own and point.state is State.DELETED and point.version == delete.version for point in stored
    )
    return ([] if marked and not plan.removed_count else plan.writes({})), plan.removed_count


def _has_read(around: Surroundings, collection: Collection, place: Partition, offset: int) -> bool:
    """Whether its embedder is behind the delete; nobody's collection waits for nobody."""
    committed = around.topics.committed(collection.group, [place]).get(place)
    if committed is not None and committed.offset > offset:
        return True
    return around.members(collection.group) == 0


def _marks(document: DocId, stored: Sequence[StoredPoint], deleted: Version | None) -> list[Write]:
    """For points that no event names any more; ``deleted`` is the version of the row's delete, where it is known."""
    newest = Version(max(*(point.version for point in stored), -1 if deleted is None else deleted))
    removed: list[Write] = [
        Mark(point.id, document, newest, State.REMOVED) for point in stored if point.state is State.LIVE
    ]
    return [*removed, Mark(document_point_id(document), document, newest, State.DELETED)]
