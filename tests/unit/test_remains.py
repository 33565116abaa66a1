import pytest

from stream.remains import remains_in

NOW = 1_700_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


def remains(*, keyed=True, **config):
    settings = {name.replace("_", "."): str(value) for name, value in config.items()}
    return remains_in("kb.topic", "rows", settings, NOW, keyed=keyed)


def test_a_compacted_topic_keeps_bytes_for_its_least_lag_and_has_no_latest_time():
    found = remains(cleanup_policy="compact", min_compaction_lag_ms=DAY, delete_retention_ms=DAY)
    assert (found.until_ms, found.not_before_ms) == (None, NOW + DAY)
    assert "set max.compaction.lag.ms for a latest time" in found.why
    assert "nulled keys, which name the document, 24 hours after that" in found.why


def test_a_greatest_lag_is_the_latest_time():
    found = remains(cleanup_policy="compact", min_compaction_lag_ms=0, max_compaction_lag_ms=2 * DAY)
    assert (found.until_ms, found.not_before_ms) == (NOW + 2 * DAY, NOW)
    assert remains(cleanup_policy="compact", max_compaction_lag_ms=2**63 - 1).until_ms is None


def test_retention_counts_from_the_last_record_of_a_segment():
    found = remains(cleanup_policy="delete", retention_ms=30 * DAY, segment_ms=7 * DAY)
    assert (found.until_ms, found.not_before_ms) == (NOW + 37 * DAY, None)
    assert "retention.ms (30 days) and segment.ms (7 days)" in found.why


def test_what_is_kept_for_ever_is_told_so():
    found = remains(cleanup_policy="delete", retention_ms=-1)
    assert found.until_ms is None
    assert "delete records by hand" in found.why


def test_of_two_policies_the_one_that_ends_sooner_counts():
    settings = {"cleanup_policy": "compact,delete", "retention_ms": DAY, "segment_ms": HOUR}
    assert remains(**settings, max_compaction_lag_ms=9 * DAY).until_ms == NOW + DAY + HOUR
    assert remains(**settings, max_compaction_lag_ms=HOUR).until_ms == NOW + HOUR
    assert remains(**settings).until_ms == NOW + DAY + HOUR


def test_letters_go_by_retention_alone():
    assert remains(keyed=False, cleanup_policy="delete", retention_ms=DAY, segment_ms=DAY).until_ms == NOW + 2 * DAY
    assert "no newer record takes the place" in remains(keyed=False, cleanup_policy="compact").why


@pytest.mark.parametrize("config", [{}, {"cleanup_policy": ""}])
def test_settings_that_may_not_be_read_are_told(config):
    assert "DescribeConfigs" in remains(**config).why
