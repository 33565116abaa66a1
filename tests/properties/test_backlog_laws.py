"""The backlog against a model of a few lines: a list of what waits, in order of arrival, and what is in flight."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.identity import DocId
from stream.backlog import Backlog

places = st.integers(0, 5)


@dataclass(frozen=True)
class Item:
    arrival: int
    document: DocId
    cost: int
    partition: int


class Backlogs(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.backlog = Backlog()
        self.waiting: list[Item] = []
        self.in_flight: list[Item] = []
        self.begun: dict[DocId, int] = {}
        self.arrivals = 0

    @rule(document=st.integers(0, 3), cost=st.integers(1, 9))
    def add(self, document, cost):
        item = Item(self.arrivals, DocId(f"docs/{document}"), cost, document % 2)
        self.arrivals += 1
        self.waiting.append(item)
        self.backlog.add(item.document, cost, item)

    @rule(budget=st.integers(0, 20))
    def take(self, budget):
        expected = []
        for item in self.startable():
            if expected and sum(one.cost for one in expected) + item.cost > budget:
                break
            expected.append(item)
        taken = self.backlog.take(budget)
        assert taken == expected
        for item in taken:
            assert self.begun.get(item.document, -1) < item.arrival, "a revision overtook an older one"
            self.begun[item.document] = item.arrival
            self.waiting.remove(item)
            self.in_flight.append(item)

    @precondition(lambda self: self.in_flight)
    @rule(which=places)
    def finish(self, which):
        self.backlog.finish(self.in_flight.pop(which % len(self.in_flight)).document)

    @precondition(lambda self: self.in_flight)
    @rule(which=places)
    def put_back(self, which):
        item = self.in_flight.pop(which % len(self.in_flight))
        self.backlog.put_back(item.document, item.cost, item)
        self.begun[item.document] = item.arrival - 1
        self.waiting = sorted([*self.waiting, item], key=lambda one: one.arrival)

    @rule(partition=st.integers(0, 1))
    def drop(self, partition):
        dropped = self.backlog.drop(lambda item: item.partition == partition)
        gone = [item for item in self.waiting if item.partition == partition]
        assert sorted(dropped, key=lambda item: item.arrival) == gone
        self.waiting = [item for item in self.waiting if item not in gone]

    @invariant()
    def it_counts_what_waits(self):
        assert len(self.backlog) == len(self.waiting)
        assert self.backlog.cost == sum(item.cost for item in self.waiting)
        assert self.backlog.ready == bool(self.startable())

    def startable(self):
        """The first revision of each document that has none in flight, the longest waiting first."""
        seen = {item.document for item in self.in_flight}
        return [item for item in self.waiting if not (item.document in seen or seen.add(item.document))]

    def teardown(self):
        """Nothing is forgotten: whatever waits is taken in the end."""
        while self.waiting or self.in_flight:
            while self.in_flight:
                self.finish(0)
            self.take(1)


TestBacklogs = Backlogs.TestCase
TestBacklogs.settings = settings(settings.get_profile("law"), stateful_step_count=30)


def test_the_first_revision_is_admitted_however_large_it_is():
    backlog = Backlog()
    backlog.add(DocId("docs/1"), 1_000_000, "large")
    backlog.add(DocId("docs/2"), 1, "small")
    assert backlog.take(10) == ["large"]
    assert backlog.take(10) == ["small"]


def test_a_lone_revision_starts_at_once():
    backlog = Backlog()
    backlog.add(DocId("docs/1"), 1, "lone")
    assert backlog.ready
    assert backlog.take(1_000_000) == ["lone"]
    assert not backlog.ready


def test_a_document_with_a_revision_in_flight_waits_for_it():
    backlog = Backlog()
    for item in ("first", "second"):
        backlog.add(DocId("docs/1"), 1, item)
    assert backlog.take(100) == ["first"]
    assert not backlog.ready
    backlog.finish(DocId("docs/1"))
    assert backlog.take(100) == ["second"]
