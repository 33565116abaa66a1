"""What a Qdrant server tells of itself and of one collection, for whoever looks whether it can carry an index.

Replicas and acknowledged writes are those that the collection has, not those that the configuration asks for: a
collection keeps what it was made with.
"""

from qdrant_client import models

from adapters.qdrant.connection import RECOMMENDED, Connection
from stream.engine import EngineInfo


def engine_info(connection: Connection, collection: models.CollectionInfo | None) -> EngineInfo:
    """Raises Outage, and Fatal for a version that is refused."""
    told = EngineInfo(connection.where, connection.version(), ".".join(map(str, RECOMMENDED)))
    if collection is None:
        return told
    params = collection.config.params
    return EngineInfo(
        told.where,
        told.version,
        told.recommended,
        replicas=params.replication_factor or 1,
        written=params.write_consistency_factor or 1,
        state=str(collection.status.value),
    )
