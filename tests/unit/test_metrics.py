import threading

import pytest

from adapters.metrics import Metrics


class HeldClock:
    def __init__(self, now_ms: int) -> None:
        self.now = now_ms

    def __call__(self) -> int:
        return self.now


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_freshness_is_measured_from_the_commit_to_now():
    metrics = Metrics(HeldClock(10_000))
    metrics.searchable(9_800)
    metrics.searchable(None)
    assert value(metrics, "embedstream_freshness_seconds_count") == 1
    assert value(metrics, "embedstream_freshness_seconds_sum") == pytest.approx(0.2)
    assert metrics.recent_freshness() == {"p50_ms": 200, "p95_ms": 200, "p99_ms": 200, "n": 1}


def test_a_commit_from_the_future_counts_as_fresh():
    metrics = Metrics(HeldClock(10_000))
    metrics.searchable(12_000)
    assert value(metrics, "embedstream_freshness_seconds_sum") == 0


def test_recent_freshness_forgets_what_is_long_ago():
    metrics = Metrics(HeldClock(1_000_000))
    assert metrics.recent_freshness() is None
    for _ in range(100):
        metrics.searchable(0)
    for age in range(512):
        metrics.searchable(1_000_000 - age)
    recent = metrics.recent_freshness()
    assert recent == {"p50_ms": 256, "p95_ms": 486, "p99_ms": 506, "n": 512}


def test_ages_grow_while_nothing_happens():
    clock = HeldClock(10_000)
    metrics = Metrics(clock)
    name = "embedstream_oldest_unapplied_commit_age_seconds"
    assert value(metrics, name) == 0
    metrics.oldest_unapplied(9_000)
    metrics.source_watermark("docs", 9_500)
    clock.now = 12_000
    assert value(metrics, name) == 3
    assert value(metrics, "embedstream_source_watermark_age_seconds", source="docs") == 2.5
    metrics.oldest_unapplied(None)
    assert value(metrics, name) == 0


def test_a_watermark_never_falls():
    metrics = Metrics(HeldClock(10_000))
    metrics.source_watermark("docs", 9_000)
    metrics.source_watermark("docs", 8_000)
    assert value(metrics, "embedstream_source_watermark_age_seconds", source="docs") == 1


def test_foreign_fingerprints_are_named_up_to_twenty():
    metrics = Metrics()
    for number in range(50):
        metrics.mismatched(f"fingerprint{number}")
    metrics.mismatched("fingerprint3")
    assert value(metrics, "embedstream_mismatched_total", fingerprint="fingerprint3") == 2
    assert value(metrics, "embedstream_mismatched_total", fingerprint="other") == 30
    assert value(metrics, "embedstream_mismatched_total", fingerprint="fingerprint20") is None
    assert value(metrics, "embedstream_events_total", outcome="mismatched") == 51


def test_every_family_shows_up_once_used():
    metrics = Metrics()
    metrics.describe(version="0.1", role="embedder", contract="abc", collection="docs__abc__g1")
    metrics.lag("kb.chunks", 7)
    metrics.chunks("embedded", 3)
    metrics.chunks("kept", 10)
    metrics.events("applied")
    metrics.dead_letter("chunker", "not-json")
    metrics.outage("index")
    metrics.retry("index")
    metrics.transaction("committed", 0.01)
    metrics.paused(2)
    metrics.batch(revisions=2, texts=5, tokens=700, encode_seconds=0.1)
    metrics.written(13, 0.002)
    metrics.backlog(123)
    metrics.watch_queries(lambda: 4)
    metrics.answered("search", "found", 0.003)
    text = metrics.render().decode()
    for line in (
        'embedstream_build_info{collection="docs__abc__g1",contract="abc",role="embedder",version="0.1"} 1.0',
        'embedstream_lag_events{topic="kb.chunks"} 7.0',
        'embedstream_chunks_total{outcome="kept"} 10.0',
        'embedstream_dead_letters_total{kind="not-json",stage="chunker"} 1.0',
        'embedstream_outages_total{stage="index"} 1.0',
        'embedstream_retries_total{stage="index"} 1.0',
        'embedstream_chunker_transactions_total{outcome="committed"} 1.0',
        "embedstream_paused_partitions 2.0",
        "embedstream_batch_tokens_sum 700.0",
        "embedstream_encode_seconds_count 1.0",
        "embedstream_index_writes_total 13.0",
        "embedstream_backlog_tokens 123.0",
        "embedstream_queries_waiting 4.0",
        'embedstream_searches_total{outcome="found"} 1.0',
    ):
        assert line in text.splitlines()


def test_two_processes_in_one_share_nothing():
    one, other = Metrics(), Metrics()
    one.chunks("embedded")
    assert value(other, "embedstream_chunks_total", outcome="embedded") is None


def test_counting_from_many_threads_loses_nothing():
    metrics = Metrics()

    def count():
        for number in range(200):
            metrics.mismatched(f"f{number % 40}")
            metrics.searchable(0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "embedstream_events_total", outcome="mismatched") == 800


def test_another_pair_of_the_process_is_counted_on_the_same_page_and_apart():
    metrics = Metrics()
    other = metrics.beside("next")
    metrics.lag("kb.chunks", 3)
    other.lag("kb.chunks", 5)
    other.chunks("copied", 2)
    page = metrics.render().decode()
    assert 'embedstream_lag_events{topic="kb.chunks"} 3.0' in page
    assert 'embedstream_lag_events{pair="next",topic="kb.chunks"} 5.0' in page
    assert 'embedstream_chunks_total{outcome="copied",pair="next"} 2.0' in page
    assert page.count("# TYPE embedstream_lag_events gauge") == 1
    assert page.count("# TYPE process_resident_memory_bytes gauge") == 1
