"""The record of a collection on a server: its metadata, its vector and its fields, changed by compare-and-set.

A server merges whatever metadata it is given: it has no compare-and-set, and of two writers that read the same the
second would undo the first. A conditional upsert of a point is one. So a collection is *created* with its record in
Qdrant's collection metadata, whole and at once, and each *change* of it is an upsert of one point of the collection
(``points.RECORD``), on the condition that the point still has the revision that was read; where it is missing, the
upsert inserts it. What stands there afterwards says who won: every attempt carries a token of its own.

The point is the truth wherever it is newer. After a change the collection metadata is brought up to date for whoever
looks at it with other tools; a late copy may leave an older one standing there, which nobody here believes.

Metadata is kept as JSON text: byte for byte what was given, through REST and gRPC, and one value that no merge
splits.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from qdrant_client import models

from adapters.qdrant.connection import Connection
from adapters.qdrant.layout import Manner
from adapters.qdrant.points import RECORD
from stream.errors import Fatal
from stream.ports import FieldType, VectorSpec

FORMAT = 1
"""Raised when an older embedstream could misread the record."""
KEY = "embedstream"
"""Of the collection's metadata."""


WRITERS_KEPT = 256
"""Of the tokens of the last changes; whoever looks after its change later than that is told that it lost."""


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """``metadata`` is canonical JSON; ``revision`` counts the changes since creation."""

    vector: VectorSpec
    fields: Mapping[str, FieldType]
    metadata: bytes
    revision: int = 0
    writers: tuple[str, ...] = ()
    """Who made the last changes, newest last: each token is one attempt that won."""

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "format": FORMAT,
            "revision": self.revision,
            "vector": {"name": self.vector.name, "dimensions": self.vector.dimensions},
            "fields": dict(self.fields),
            "metadata": self.metadata.decode(),
        }


def from_json(collection: str, document: object, writers: tuple[str, ...] = ()) -> CollectionRecord:
    """Reads what :meth:`CollectionRecord.to_json` gave. Raises Fatal where it is something else."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise Fatal(
            f"The collection {collection} has no record of embedstream in format {FORMAT} (found: {found!r}); name a "
            "collection that embedstream made (index.name), or use the version that made it."
        )
    try:
        return CollectionRecord(
            vector=VectorSpec(str(document["vector"]["name"]), int(document["vector"]["dimensions"])),
            fields=dict(document["fields"]),
            metadata=str(document["metadata"]).encode(),
            revision=int(document["revision"]),
            writers=writers,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Fatal(
            f"The record of collection {collection} is damaged; put its metadata back, or build the next generation "
            "(index.generation)."
        ) from error


def created_record(collection: str, info: models.CollectionInfo) -> CollectionRecord:
    """What the collection was made with, or a later copy. ``info`` is the server's description of it."""
    return from_json(collection, (info.config.metadata or {}).get(KEY))


def read_record(
    connection: Connection, collection: str, info: models.CollectionInfo, manner: Manner
) -> CollectionRecord:
    """The newest revision."""
    created = created_record(collection, info)
    changed = _changed(connection, collection, manner)
    return created if changed is None or created.revision > changed.revision else changed


def change_record(
    connection: Connection,
    collection: str,
    manner: Manner,
    read: CollectionRecord,
    wanted: CollectionRecord,
) -> bool:
    """Whether ``wanted`` followed on what was read; else nothing changed. Raises Outage: perhaps it did."""
    token = uuid.uuid4().hex
    following = replace(wanted, revision=read.revision + 1, writers=(*read.writers, token)[-WRITERS_KEPT:])
    payload = {
        "state": "record",
        "revision": following.revision,
        "writers": list(following.writers),
        "record": orjson.dumps(following.to_json()).decode(),
    }
    # At most, not equal: a loss of power may have taken the point back behind the metadata that was copied from it.
    before = models.FieldCondition(key="revision", range=models.Range(lte=read.revision))
    points = models.PointsList(
        points=[models.PointStruct(id=RECORD, vector={}, payload=payload)], update_filter=models.Filter(must=[before])
    )
    connection.call(
        "changing a collection's record",
        lambda client: client.batch_update_points(
            collection, [models.UpsertOperation(upsert=points)], wait=True, ordering=manner.writes
        ),
    )
    # Others may have built on it meanwhile: whoever did carries the tokens of those before.
    stored = _changed(connection, collection, manner)
    if stored is None or token not in stored.writers:
        return False
    connection.call(
        "copying a collection's record",
        lambda client: client.update_collection(collection, metadata={KEY: stored.to_json()}),
    )
    return True


def _changed(connection: Connection, collection: str, manner: Manner) -> CollectionRecord | None:
    found = connection.call(
        "reading a collection's record",
        lambda client: client.retrieve(
            collection, [RECORD], with_payload=True, with_vectors=False, consistency=manner.reads
        ),
    )
    if not found or not found[0].payload:
        return None
    payload = found[0].payload
    try:
        return from_json(collection, orjson.loads(str(payload["record"])), tuple(payload["writers"]))
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise Fatal(
            f"The record of collection {collection} is damaged (point {RECORD}); delete that point to go back to the "
            "collection's metadata, or build the next generation (index.generation)."
        ) from error
