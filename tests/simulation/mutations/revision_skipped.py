"""Of the revisions of one document that wait, only the newest is applied, and the others are done when it is. An
older writer that stalled may still add a chunk of one between, and nobody has marked it.
"""

from consumers.workload import Workload

_take, _finish = Workload.take, Workload.finish


def take(workload, budget):
    return [_newest(workload, revision) for revision in _take(workload, budget)]


def _newest(workload, revision):
    waiting = workload._backlog._waiting.get(revision.event.doc_id, ())
    while waiting and waiting[0][2].event.version > revision.event.version:
        _, cost, later = waiting.popleft()
        workload._backlog.cost -= cost
        _skipped(workload).setdefault(later.record, []).extend(
            [revision, *_skipped(workload).pop(revision.record, ())]
        )
        revision = later
    return revision


def finish(workload, revision):
    for skipped in _skipped(workload).pop(revision.record, ()):
        held = workload._current(skipped)
        if held is not None:
            held.progress.finish(skipped.record.offset)
        workload._open.pop((skipped.record.partition, skipped.assignment, skipped.record.offset), None)
    _finish(workload, revision)


def _skipped(workload):
    return workload.__dict__.setdefault("skipped", {})


PATCHES = [(Workload, "take", take), (Workload, "finish", finish)]
