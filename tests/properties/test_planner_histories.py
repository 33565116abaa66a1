"""The planner against every history that Hypothesis can think of, and the checker against planners known to be wrong.

Invariants 1 (convergence), 2 (no regression), 3 (no gap) and 6 (no waste) of DESIGN 11; the model stands in
``tests/histories.py``. *No waste* is checked as: when an owner plans a revision, no chunk that is live at that moment
is to be embedded, unless the revision asks for it (``recompute``). Two writers that plan the same revision before
either has stored it do embed it twice: nothing was stored yet.
"""

import re
from dataclasses import replace

import pytest
from histories import Histories, Protocol, Violation, apply_write, writes_of
from history_seeds import first_violation
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from stream.delta import Plan, Stale, plan_revision
from stream.points import Mark, Put, State

LAW = settings.get_profile("law")
TestHistories = Histories.TestCase
TestHistories.settings = settings(LAW, max_examples=LAW.max_examples // 2, stateful_step_count=50)


def test_no_law_breaks_on_the_histories_of_many_seeds():
    assert first_violation(Histories, range(3 * LAW.max_examples)) is None


def removes_first(plan):
    added = [write for write in writes_of(plan) if isinstance(write, Put)]
    return [*plan.removed, *plan.kept, *added]


def deletes(index, write):
    """The mark's condition, and then a hard delete."""
    table = index._table
    if not (isinstance(write, Mark) and write.state is State.REMOVED):
        apply_write(index, write)
    elif write.id in table._payloads and table._newest(write.id) <= write.version:
        table.vectors.drop(write.id)
        del table._documents[write.doc_id][write.id], table._payloads[write.id]


def overwrites(index, write):
    """Puts and marks without their condition."""
    payloads = index._table._payloads
    if isinstance(write, Put | Mark) and write.id in payloads:
        payloads[write.id] = {**payloads[write.id], "version": -1}
    apply_write(index, write)


def revives(index, write):
    """Touches and repaints of whatever is there, live or not."""
    table = index._table
    for point in getattr(write, "ids", (write.id,) if hasattr(write, "id") else ()):
        if not isinstance(write, Put | Mark) and point in table._payloads:
            table._payloads[point] = {**table._payloads[point], **write.payload, "state": "live"}
    apply_write(index, write)


def never_stale(event, stored, **more):
    floor = [replace(point, version=min(point.version, event.version)) for point in stored]
    return plan_revision(event, floor, **more)


def stale_when_equal(event, stored, **more):
    newest = max((point.version for point in stored), default=-1)
    return (
        Stale(event.doc_id, event.version, newest)
        if newest == event.version
        else plan_revision(event, stored, **more)
    )


def forgets_marks(event, stored, **more):
    plan = plan_revision(event, stored, **more)
    return replace(plan, removed=()) if isinstance(plan, Plan) and event.kind == "upsert" else plan


def embeds_what_moved(event, stored, **more):
    """Chunks whose payload changed count as new."""
    changed = [replace(point, state=State.REMOVED) if point.payload_digest else point for point in stored]
    return plan_revision(event, changed, **more)


def keeps_the_payload(plan):
    return [write for write in writes_of(plan) if type(write).__name__ != "Repaint"]


BROKEN = {
    "removals before additions": (Protocol(writes=removes_first), "no gap"),
    "hard deletes": (Protocol(apply=deletes), "no regression|convergence"),
    "unconditional writes": (Protocol(apply=overwrites), "no regression"),
    "touches of what is not live": (Protocol(apply=revives), "convergence|no regression"),
    "planning what is stale": (Protocol(plan=never_stale), "."),
    "an equal version is stale": (Protocol(plan=stale_when_equal), "convergence|no gap"),
    "no marks": (Protocol(plan=forgets_marks), "convergence"),
    "moved chunks are new": (Protocol(plan=embeds_what_moved), "no waste"),
    "payload changes are lost": (Protocol(writes=keeps_the_payload), "convergence"),
    "older revisions are skipped": (Protocol(skips=True), "convergence|no gap"),
}


def broken(name):
    return type("Broken", (Histories,), {"protocol": BROKEN[name][0]})


@pytest.mark.parametrize("name", BROKEN)
def test_a_planner_without_one_of_its_rules_is_found_out(name):
    found = first_violation(broken(name), range(1_000))
    assert found is not None
    assert re.match(BROKEN[name][1], str(found[1]))


@pytest.mark.parametrize("name", ["removals before additions", "no marks", "older revisions are skipped"])
def test_the_search_that_shrinks_finds_it_too(name):
    search = settings(
        LAW,
        max_examples=400,
        stateful_step_count=40,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(Violation, match=BROKEN[name][1]):
        run_state_machine_as_test(broken(name), settings=search)
