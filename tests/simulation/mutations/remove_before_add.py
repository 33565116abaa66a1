"""What leaves is marked before what comes is written: for a moment a document with text is found by nobody."""

from stream.delta import Plan
from stream.points import Put


def writes(plan, vectors):
    added = [Put(chunk.id, plan.version, vectors[chunk.id], chunk.payload) for chunk in plan.missing]
    return [*plan.removed, *plan.kept, *added]


PATCHES = [(Plan, "writes", writes)]
