import pytest

from adapters.memory.bus import MemoryBroker, MemoryBus
from consumers.lineage_watch import current_lineages, wait_for_topics
from stream.errors import Fatal, Outage


class Waiting:
    """Time that passes only while somebody sleeps; ``then`` is done at the third sleep."""

    def __init__(self, then=lambda: None, *, told_to_stop=False):
        self.seconds, self.sleeps, self.then, self.told_to_stop = 0.0, 0, then, told_to_stop

    def sleep(self, seconds):
        self.seconds += seconds
        self.sleeps += 1
        if self.sleeps == 3:
            self.then()
        return self.told_to_stop

    def monotonic(self):
        return self.seconds


def waited(waiting, broker, *names, deadline_s=5.0):
    return wait_for_topics(MemoryBus(broker).topics(), names, deadline_s, waiting.sleep, waiting.monotonic)


def test_topics_that_are_there_are_not_waited_for():
    broker, waiting = MemoryBroker(), Waiting()
    broker.create_topic("kb.docs", 3, {})
    assert waited(waiting, broker, "kb.docs")["kb.docs"].partitions == 3
    assert waiting.sleeps == 0


def test_a_topic_that_is_created_late_is_waited_for():
    broker = MemoryBroker()
    waiting = Waiting(then=lambda: broker.create_topic("kb.docs", 1, {}))
    assert set(waited(waiting, broker, "kb.docs")) == {"kb.docs"}


def test_a_topic_that_never_comes_is_fatal_and_named():
    broker, waiting = MemoryBroker(), Waiting()
    broker.create_topic("kb.docs", 1, {})
    with pytest.raises(Fatal, match=r"kb\.wiki does not exist after 5 s; create it"):
        waited(waiting, broker, "kb.docs", "kb.wiki")
    assert 5.0 < waiting.seconds < 6.0


def test_being_told_to_stop_ends_the_wait():
    with pytest.raises(Outage):
        waited(Waiting(told_to_stop=True), MemoryBroker(), "kb.docs")


def test_only_sources_whose_topics_exist_have_a_lineage():
    broker = MemoryBroker()
    topics = MemoryBus(broker).topics()
    broker.create_topic("kb.docs", 1, {})
    sources = {"kb.docs": "docs", "kb.wiki": "wiki"}
    assert current_lineages(topics, sources, "kb.chunks") == {}
    broker.create_topic("kb.chunks", 4, {})
    first = current_lineages(topics, sources, "kb.chunks")
    assert set(first) == {"docs"}
    broker.delete_topic("kb.docs")
    broker.create_topic("kb.docs", 1, {})
    assert current_lineages(topics, sources, "kb.chunks") != first
