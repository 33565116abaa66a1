"""A stale event marks those of its chunks that are not live, at the newest version, to refuse late writes of them. It
was part of the protocol once. A chunk that left and comes back with that newest version is lost where such a mark is
written behind it.
"""

from consumers import stages
from stream.delta import Plan, Stale, plan_revision
from stream.points import Mark, State


def marking(event, stored, **more):
    plan = plan_revision(event, stored, **more)
    if not isinstance(plan, Stale):
        return plan
    live = {point.id for point in stored if point.state is State.LIVE}
    marks = tuple(
        Mark(chunk.id, event.doc_id, plan.newest, State.REMOVED) for chunk in event.chunks if chunk.id not in live
    )
    return Plan(event.doc_id, plan.newest, None, (), (), marks, 0, 0) if marks else plan


PATCHES = [(stages, "plan_revision", marking)]
