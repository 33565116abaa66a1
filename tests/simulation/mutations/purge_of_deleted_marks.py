"""Purge takes the marks of deleted documents away, too: nothing remembers how new the document was."""

from adapters.memory.index import MemoryIndex
from adapters.memory.table import PointTable
from stream.points import State, StoredPoint


def marks(index):
    points = (StoredPoint.of(point.id, point.payload) for point in index.scroll())
    return (point for point in points if point.state is not State.LIVE)


def discard(table, point, version):
    payload = table._payloads.get(point)
    if payload is not None and payload["state"] != State.LIVE and payload["version"] == version:
        del table._payloads[point]
        table._documents[payload["doc_id"]].pop(point)


PATCHES = [(MemoryIndex, "marks", marks), (PointTable, "discard", discard)]
