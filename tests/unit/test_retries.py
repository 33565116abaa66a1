import pytest

from adapters.metrics import Metrics
from consumers.retries import Patience
from stream.errors import Fatal, Outage, Poison


class Waits:
    """An event that nobody waits for: it remembers how long it would have been, and is set after so many waits."""

    def __init__(self, ends_after=10_000):
        self.asked: list[float] = []
        self.ends_after = ends_after

    def is_set(self):
        return len(self.asked) >= self.ends_after

    def wait(self, timeout=None):
        self.asked.append(timeout)
        return self.is_set()


class Away:
    """Raises as often as it is told, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def metrics():
    return Metrics()


def test_what_answers_at_once_is_not_waited_for(metrics):
    stopping = Waits()
    assert Patience(stopping, metrics).until_available("index", Away()) == "answer"
    assert stopping.asked == []


def test_an_outage_is_waited_out_however_long_it_lasts(metrics):
    stopping, call = Waits(), Away(*(Outage("away") for _ in range(500)))
    assert Patience(stopping, metrics).until_available("index", call) == "answer"
    assert call.calls == 501
    assert len(stopping.asked) == 500


def test_waits_grow_from_tenths_of_a_second_to_a_quarter_of_a_minute_and_vary(metrics):
    stopping = Waits()
    Patience(stopping, metrics).until_available("index", Away(*(Outage("away") for _ in range(200))))
    assert stopping.asked[0] <= 0.2
    assert all(0 <= wait <= 15 for wait in stopping.asked)
    late = stopping.asked[20:]
    assert max(late) > 5
    assert len(set(late)) > 100


def test_what_the_other_side_asks_for_is_honoured(metrics):
    stopping = Waits()
    Patience(stopping, metrics).until_available("index", Away(Outage("away", 42.0), Outage("away")))
    assert stopping.asked[0] == 42.0
    assert stopping.asked[1] < 42.0


def test_being_told_to_stop_ends_the_wait_with_the_outage_itself(metrics):
    call = Away(*(Outage(f"number {number}") for number in range(9)))
    with pytest.raises(Outage, match="number 3"):
        Patience(Waits(ends_after=3), metrics).until_available("index", call)
    assert call.calls == 4


@pytest.mark.parametrize("error", [Fatal("no"), Poison("kind", "no"), ZeroDivisionError("no")])
def test_everything_else_passes_through_at_once(metrics, error):
    stopping = Waits()
    with pytest.raises(type(error)):
        Patience(stopping, metrics).until_available("index", Away(error))
    assert stopping.asked == []


def test_one_outage_and_each_retry_are_counted(metrics):
    Patience(Waits(), metrics).until_available("index", Away(*(Outage("away") for _ in range(3))))
    assert metrics.registry.get_sample_value("embedstream_outages_total", {"stage": "index"}) == 1
    assert metrics.registry.get_sample_value("embedstream_retries_total", {"stage": "index"}) == 3
