from adapters.memory.bus import MemoryBroker, MemoryBus
from consumers.lag import Lag, lag_of
from stream.ports import Committed, Outgoing, Partition

GROUP = "kb.embedder"
FIRST, SECOND = Partition("kb.chunks", 0), Partition("kb.chunks", 1)


def world():
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    bus.topics().create("kb.chunks", 2, 1, {})
    bus.producer().send([Outgoing(place, b"k", b"v") for place in (FIRST, FIRST, FIRST, SECOND)])
    return broker, bus.topics()


def test_a_group_that_never_committed_lags_by_all_that_is_there():
    broker, topics = world()
    broker.truncate(FIRST, 1)
    assert lag_of(topics, GROUP, ["kb.chunks"]) == {"kb.chunks": Lag("kb.chunks", 3)}


def test_lag_is_counted_over_all_partitions():
    broker, topics = world()
    broker.group(GROUP).committed.update({FIRST: Committed(1), SECOND: Committed(1)})
    assert lag_of(topics, GROUP, ["kb.chunks"])["kb.chunks"].events == 2


def test_a_drained_group_has_no_lag_and_one_ahead_of_the_end_none_either():
    broker, topics = world()
    broker.group(GROUP).committed.update({FIRST: Committed(3), SECOND: Committed(5)})
    assert lag_of(topics, GROUP, ["kb.chunks"])["kb.chunks"].events == 0


def test_a_topic_that_does_not_exist_has_no_lag_to_tell():
    _, topics = world()
    assert lag_of(topics, GROUP, ["kb.chunks", "absent"])["absent"] == Lag("absent", None)


def test_what_stands_in_an_open_transaction_is_counted():
    broker, topics = world()
    broker.group(GROUP).committed.update({FIRST: Committed(3), SECOND: Committed(1)})
    epoch = broker.open_transactional("chunker")
    broker.append_in_transaction("chunker", epoch, Outgoing(FIRST, b"k", b"v"))
    assert lag_of(topics, GROUP, ["kb.chunks"])["kb.chunks"].events == 1
