"""A chunk that leaves is deleted, not marked: a late write finds nothing there to be refused by."""

from adapters.memory.table import PointTable
from stream.points import Mark, State

_apply = PointTable.apply


def apply(table, write):
    if not (isinstance(write, Mark) and write.state is State.REMOVED):
        _apply(table, write)
    elif write.id in table._payloads and table._newest(write.id) <= write.version:
        table.vectors.drop(write.id)
        del table._documents[write.doc_id][write.id], table._payloads[write.id]


PATCHES = [(PointTable, "apply", apply)]
