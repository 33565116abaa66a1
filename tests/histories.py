"""Random histories of one partition: its owner, the log it applies, and former owners that stalled on the way.

The model of DESIGN 5: one owner applies the log's revisions in order, each one; it may die between any two single
writes, and its successor starts again from any earlier offset; or it may *stall*, and the writes that it had still to
make land later, in order, one by one, or never. After every step the laws of DESIGN 11 are checked on what is stored;
at the end the owner drains, the stalled writers write the last of theirs, and the index must equal the log.

``Protocol`` says what the owner decides and how a write meets the index. Breaking a rule must break a law: that is
how the checker is checked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from stored_state import live_payloads, live_points, newest_version, singles, unit_vector
from stream_world import delete, revision

from adapters.memory.index import MemoryIndex
from adapters.memory.table import PointTable
from schemas.chunk_event import ChunkEvent
from schemas.identity import ChunkId, DocId, Version, document_point_id
from stream.delta import Plan, Stale, plan_revision
from stream.points import DenseVector, Payload, State, Write
from stream.ports import VectorSpec

COLLECTION = "docs__x__g1"
SPEC = VectorSpec("letters", 4)
# Most of the search goes into one document; the second shows that documents leave each other alone.
documents = st.sampled_from(["docs/1", "docs/1", "docs/1", "docs/2"])
passages = st.lists(st.sampled_from(["alpha", "beta", "gamma"]), max_size=4)
places = st.integers(0, 7)
"""Counted back from the newest, as far as there are any."""


class Violation(AssertionError):
    """A law is broken; the sentence begins with its name."""


def apply_write(index: MemoryIndex, write: Write) -> None:
    index.write([write])


def writes_of(plan: Plan) -> list[Write]:
    return plan.writes({chunk.id: DenseVector(unit_vector(chunk.id)) for chunk in plan.missing})


@dataclass(frozen=True)
class Protocol:
    plan: Callable[..., Plan | Stale] = plan_revision
    writes: Callable[[Plan], list[Write]] = writes_of
    apply: Callable[[MemoryIndex, Write], None] = apply_write
    skips: bool = False
    """Whether an owner passes over a revision where the log has a newer one of that document."""


@dataclass
class Entry:
    """A record of the log. A poisonous one becomes a dead letter whoever reads it; one that is published again has a
    key of its own.
    """

    event: ChunkEvent
    poison: bool = False
    again: bool = False


@dataclass
class Work:
    """One revision between planning and its last write."""

    event: ChunkEvent
    writes: list[Write]


class Histories(RuleBasedStateMachine):
    """Checks every law after every step."""

    protocol = Protocol()
    most_zombies = 2

    def __init__(self) -> None:
        super().__init__()
        self.table = PointTable(SPEC, {})
        self.index = MemoryIndex(self.table)
        self.log: list[Entry] = []
        self.events: dict[tuple[DocId, Version], ChunkEvent] = {}
        self.cursor = 0
        self.work: Work | None = None
        self.zombies: list[Work] = []
        self.seen: Mapping[ChunkId, Payload] = {}
        self.completed: dict[DocId, Version] = {}

    # --- what the source does ---

    @rule(doc=documents, texts=passages, colour=st.integers(0, 1), poison=st.sampled_from([False] * 5 + [True]))
    def write_row(self, doc, texts, colour, poison):
        self.append(revision(doc, self.next_version(), *texts, fields={"colour": colour}), poison=poison)

    @rule(doc=documents)
    def delete_row(self, doc):
        self.append(delete(doc, self.next_version()))

    @precondition(lambda self: self.log)
    @rule(back=places, kind=st.sampled_from(["shrink", "move", "duplicate", "payload", "nothing"]))
    def edit_row(self, back, kind):
        before = self.log[-1 - back % len(self.log)].event
        texts = [chunk.text for chunk in before.chunks]
        match kind:
            case "shrink":
                texts = texts[:-1]
            case "move":
                texts = texts[1:] + texts[:1]
            case "duplicate":
                texts = [*texts, *texts[:1]]
        fields = {"colour": 2} if kind == "payload" else before.fields
        self.append(revision(before.doc_id, self.next_version(), *texts, fields=fields))

    @precondition(lambda self: self.log)
    @rule(back=places, recompute=st.booleans())
    def publish_again(self, back, recompute):
        """Redrive and repair: an old revision stands in the log once more, at its own version."""
        event = self.log[-1 - back % len(self.log)].event
        self.append(replace(event, recompute=COLLECTION if recompute else None), again=True)

    @precondition(lambda self: self.work is None and not self.zombies)
    @rule()
    def compact(self):
        """Nobody stalls for as long as it takes the log to be compacted: a writer looks at the age of its plan. A
        poisonous revision is left out: it would shadow the last good one, as any revision that was never applied.
        """
        poisonous = {entry.event.doc_id for entry in self.log if entry.poison}
        last = {entry.event.doc_id: entry for entry in self.log if not entry.again}
        kept = [
            entry.again or entry.event.doc_id in poisonous or entry is last[entry.event.doc_id] for entry in self.log
        ]
        self.cursor = sum(kept[: self.cursor])
        self.log = [entry for entry, stays in zip(self.log, kept, strict=True) if stays]

    # --- what the owner does ---

    @precondition(lambda self: self.work is None and self.waiting)
    @rule()
    def plan(self):
        entry = self.log[self.cursor]
        event = entry.event
        newer = any(later.event.doc_id == event.doc_id for later in self.log[self.cursor + 1 :])
        plan = None if entry.poison or (self.protocol.skips and newer) else self.decide(event)
        if isinstance(plan, Plan):
            self.work = Work(event, singles(self.protocol.writes(plan)))
        else:
            self.cursor += 1

    def decide(self, event: ChunkEvent) -> Plan | Stale:
        stored = self.index.read([event.doc_id])[event.doc_id]
        plan = self.protocol.plan(event, stored, collection=COLLECTION)
        if isinstance(plan, Plan) and event.recompute is None:
            for chunk in plan.missing:
                if chunk.id in live_points(event.doc_id, self.look()):
                    raise Violation(f"no waste: {chunk.passage!r} is stored and embedded again by {plan.version}")
        return plan

    @precondition(lambda self: self.work is not None)
    @rule()
    def write(self):
        work = self.working()
        if work.writes:
            self.protocol.apply(self.index, work.writes.pop(0))
        if not work.writes:
            self.completed[work.event.doc_id] = work.event.version
            self.cursor += 1
            self.work = None

    @precondition(lambda self: self.work is not None or self.waiting)
    @rule(revisions=st.integers(1, 4))
    def work_on(self, revisions):
        goal = min(len(self.log), self.cursor + revisions)
        while self.cursor < goal:
            (self.plan if self.work is None else self.write)()
            self.check()

    @precondition(lambda self: self.work is not None or self.cursor)
    @rule(back=places)
    def die(self, back):
        """Everything below a committed offset is done; the last commit is somewhere at or before the cursor."""
        self.work = None
        self.cursor -= back % (self.cursor + 1)

    @precondition(lambda self: self.work is not None and len(self.zombies) < self.most_zombies)
    @rule(back=places)
    def stall(self, back):
        """The owner is thought dead and is not: it holds a plan. Another one goes on from the commit."""
        self.zombies.append(self.working())
        self.die(back)

    # --- what stalled writers do ---

    @precondition(lambda self: self.zombies)
    @rule(which=places, writes=st.integers(1, 4))
    def write_late(self, which, writes):
        zombie = self.zombies[which % len(self.zombies)]
        for _ in range(min(writes, len(zombie.writes))):
            self.protocol.apply(self.index, zombie.writes.pop(0))
            self.check()
        self.zombies = [one for one in self.zombies if one.writes]

    @precondition(lambda self: self.zombies)
    @rule(which=places)
    def die_stalled(self, which):
        self.zombies.pop(which % len(self.zombies))

    # --- the laws ---

    @invariant()
    def check(self) -> None:
        stored = self.look()
        for point, before in self.seen.items():
            if point in stored and stored[point]["version"] < before["version"]:
                raise Violation(f"no regression: {point} fell from {before} to {stored[point]}")
        for doc in {event.doc_id for event in self.events.values()}:
            newest = newest_version(doc, stored)
            if newest < newest_version(doc, self.seen):
                raise Violation(f"no regression: the newest version of {doc} fell")
            if newest < 0:
                continue
            if self.events[doc, newest].chunks and not live_points(doc, stored):
                raise Violation(f"no gap: {doc} has text at version {newest}, and no live point")
            if self.completed.get(doc) == newest:
                self.check_settled(doc, newest)
        self.seen = stored

    def check_settled(self, doc: DocId, version: Version) -> None:
        """Convergence of one document: once some owner has finished the newest revision that anybody began, nobody's
        late write changes what a reader sees of it.
        """
        stored = self.look()
        live = live_points(doc, stored)
        wanted = live_payloads(self.events[doc, version])
        if live != wanted:
            raise Violation(f"convergence: {doc} at {version} is {live}, not {wanted}")
        for point in live:
            found = self.table.vectors.get(point)
            if found is None or np.abs(found.values - unit_vector(point)).max() > 1e-6:
                raise Violation(f"convergence: {point} has another text's vector")
        own = stored.get(document_point_id(doc))
        if (own is not None and own["state"] == State.DELETED) == bool(wanted):
            raise Violation(f"convergence: the mark of {doc} at {version} is {own}")

    def teardown(self) -> None:
        """The stream is drained; then the stalled writers write whatever they had left."""
        self.work_through()
        self.check_drained()
        for zombie in self.zombies:
            for write in zombie.writes:
                self.protocol.apply(self.index, write)
                self.check()
        self.check_drained()

    def work_through(self) -> None:
        while self.work is not None or self.waiting:
            (self.plan if self.work is None else self.write)()
            self.check()

    def check_drained(self) -> None:
        good = [entry.event for entry in self.log if not entry.poison]
        for doc in {event.doc_id for event in good}:
            self.check_settled(doc, max(event.version for event in good if event.doc_id == doc))

    # --- what it works with ---

    def append(self, event: ChunkEvent, *, poison: bool = False, again: bool = False) -> None:
        self.log.append(Entry(event, poison, again))
        self.events.setdefault((event.doc_id, event.version), event)

    def next_version(self) -> int:
        return 1 + max((entry.event.version for entry in self.log), default=0)

    @property
    def waiting(self) -> bool:
        return self.cursor < len(self.log)

    def working(self) -> Work:
        assert self.work is not None
        return self.work

    def look(self) -> Mapping[ChunkId, Payload]:
        """What is stored, without the copies that a reader gets: payloads are replaced, never changed in place."""
        return dict(self.table._payloads)
