import pytest

from stream.errors import Misuse
from stream.replay_cost import Means, Sampled, replay_cost

ALIKE = Sampled(100, 600, 600, 600, 500.0, 3_000.0)


def test_the_chapters_case_comes_out():
    """200 million documents of six chunks, 1,800 chunks a second on each of 64 devices, at 2.50 an hour."""
    found = replay_cost(1_200_000_000, ALIKE, Means(1_800, 64, price=2.5), 768, copies=False, own_chunker=False)
    assert found.documents == 200_000_000
    assert found.chunks == found.embedded == 1_200_000_000
    assert found.device_seconds / 86_400 == pytest.approx(7.7, abs=0.05)
    assert found.wall_seconds / 3600 == pytest.approx(2.9, abs=0.05)
    assert found.device_seconds / 3600 == pytest.approx(185, abs=0.5)
    assert found.cost == pytest.approx(463, abs=0.5)
    assert found.topic_bytes == 0


def test_what_can_be_copied_costs_no_device_and_another_chunking_costs_room_in_the_topic():
    halved = Sampled(100, 600, 1_200, 300, 250.0, 4_000.0)
    found = replay_cost(6_000, halved, Means(10), 384, copies=True, own_chunker=True)
    assert (found.chunks, found.copied, found.embedded) == (12_000, 3_000, 9_000)
    assert found.wall_seconds == 900
    assert found.vector_bytes == 12_000 * 384 * 4
    assert (found.payload_bytes, found.topic_bytes) == (3_000_000, 4_000_000)
    assert found.cost is None


def test_a_share_of_the_device_takes_longer_and_costs_the_same():
    whole, half = (
        replay_cost(6_000, ALIKE, Means(10, share=share, price=1.0), 8, copies=False, own_chunker=False)
        for share in (1.0, 0.5)
    )
    assert half.wall_seconds == 2 * whole.wall_seconds
    assert half.cost == whole.cost


@pytest.mark.parametrize("means", [Means(0), Means(1, 0), Means(1, share=0), Means(1, share=1.5)])
def test_a_rate_or_share_that_is_none_is_refused(means):
    with pytest.raises(Misuse, match="rate above 0"):
        replay_cost(1, ALIKE, means, 8, copies=False, own_chunker=False)
