"""The figures of one process, in the names of the field, and the text that Prometheus scrapes.

Every process has a :class:`Metrics` of its own with its own registry, so two of them live in one test and ``run all``
shows one page. Ages are computed when they are read: a process that hangs shows a growing age, not its last good one.

No label takes values that records choose freely: fingerprints of foreign events are named up to twenty, then they are
``other``. Freshness, commit to searchable, is measured from the database's own commit clock; a negative age (two
clocks that disagree) counts as zero.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from adapters.metrics_page import Together

CONTENT_TYPE = CONTENT_TYPE_LATEST

ChunkOutcome = Literal["embedded", "copied", "kept", "removed"]
EventOutcome = Literal["applied", "stale", "mismatched", "other_lineage", "poison", "ignored"]
AuditOutcome = Literal["equal", "different", "unsettled"]
RequestOutcome = Literal["found", "bad_request", "other_contract", "busy", "unavailable", "late", "failed"]
RequestKind = Literal["search", "embeddings"]

_NAMED_FINGERPRINTS = 20
_LONGEST_LABEL = 64
_RECENT = 512
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)
_SHORT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKENS = tuple(float(2**power) for power in range(3, 19))
_COUNTS = tuple(float(2**power) for power in range(13))


def wall_clock_ms() -> int:
    """Milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


class Metrics:
    """What one process counts. Every method may be called from any thread."""

    def __init__(self, now_ms: Callable[[], int] = wall_clock_ms, *, with_process: bool = True) -> None:
        """``now_ms`` is the clock that ages are read against; ``with_process``: the process's own figures, too."""
        self.registry = CollectorRegistry()
        self._beside: dict[str, Metrics] = {}
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._fingerprints: set[str] = set()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._chunk_counts: dict[ChunkOutcome, int] = dict.fromkeys(get_args(ChunkOutcome), 0)
        self._oldest_unapplied_ms: int | None = None
        self._watermarks_ms: dict[str, int] = {}
        if with_process:
            ProcessCollector(registry=self.registry)
        self._make_stream_families()
        self._make_embedder_families()
        self._make_other_families()

    # --- What is scraped or shown ----------------------------------------------------------------------------------

    def render(self) -> bytes:
        """The text form, to be sent as :data:`CONTENT_TYPE`."""
        return generate_latest(
            Together(self.registry, {pair: other.registry for pair, other in self._beside.items()})
        )

    def beside(self, pair: str) -> "Metrics":
        """Those of another pair that runs in this process: on the same page, with the label ``pair``."""
        other = Metrics(self._now_ms, with_process=False)
        self._beside = {**self._beside, pair: other}
        return other

    def recent_freshness(self) -> Mapping[str, float] | None:
        """``p50_ms, p95_ms, p99_ms, n`` over the last revisions made searchable; None before the first."""
        with self._lock:
            ages = sorted(self._recent)
        if not ages:
            return None
        return MappingProxyType(
            {
                **{
                    f"p{rank}_ms": round(ages[min(len(ages) - 1, len(ages) * rank // 100)], 1)
                    for rank in (50, 95, 99)
                },
                "n": len(ages),
            }
        )

    def chunk_counts(self) -> Mapping[ChunkOutcome, int]:
        """Chunks since the process began, by outcome, those of the pairs beside it included."""
        with self._lock:
            counted = dict(self._chunk_counts)
        for other in self._beside.values():
            for outcome, count in other.chunk_counts().items():
                counted[outcome] += count
        return MappingProxyType(counted)

    def describe(self, *, version: str, role: str, contract: str, collection: str) -> None:
        """One series a role with value 1: which build serves which contract."""
        self._build.labels(version, role, contract, collection).set(1)

    # --- The stream ------------------------------------------------------------------------------------------------

    def searchable(self, source_ts_ms: int | None) -> None:
        """A revision committed at ``source_ts_ms`` has just become searchable; unknown commit times do not count."""
        if source_ts_ms is None:
            return
        age_ms = max(0, self._now_ms() - source_ts_ms)
        self._freshness.observe(age_ms / 1000)
        with self._lock:
            self._recent.append(age_ms)

    def oldest_unapplied(self, source_ts_ms: int | None) -> None:
        """The commit time of the oldest revision read and not applied yet; None where nothing waits."""
        with self._lock:
            self._oldest_unapplied_ms = source_ts_ms

    def source_watermark(self, source: str, ts_ms: int) -> None:
        """The newest commit clock, or heartbeat, seen of a source: a dead connector has no lag, but an age."""
        with self._lock:
            known = self._watermarks_ms.get(source)
            self._watermarks_ms[source] = ts_ms if known is None else max(known, ts_ms)
        if known is None:
            self._watermark_age.labels(source).set_function(lambda: self._age_s(self._watermarks_ms[source]))

    def lag(self, topic: str, events: int) -> None:
        """Records of a topic, all partitions, that this process's group has not committed."""
        self._lag.labels(topic).set(events)

    def chunks(self, outcome: ChunkOutcome, count: int = 1) -> None:
        """Chunks embedded, copied with their vector from another collection, kept as they were, or removed."""
        self._chunks.labels(outcome).inc(count)
        with self._lock:
            self._chunk_counts[outcome] += count

    def events(self, outcome: EventOutcome, count: int = 1) -> None:
        """Records read, by what became of them."""
        self._events.labels(outcome).inc(count)

    def mismatched(self, fingerprint: str) -> None:
        """An event of another chunking was dropped unread; it is counted among the events as well."""
        with self._lock:
            known = fingerprint in self._fingerprints
            if not known and len(self._fingerprints) < _NAMED_FINGERPRINTS:
                self._fingerprints.add(fingerprint)
                known = True
        self._mismatched.labels(_label(fingerprint) if known else "other").inc()
        self.events("mismatched")

    def dead_letter(self, stage: str, kind: str) -> None:
        """A letter was acknowledged. ``kind`` is the poison's short word."""
        self._dead_letters.labels(stage, _label(kind)).inc()

    def outage(self, stage: str) -> None:
        """Something out there went away."""
        self._outages.labels(stage).inc()

    def retry(self, stage: str) -> None:
        """Something was tried again."""
        self._retries.labels(stage).inc()

    def transaction(self, outcome: Literal["committed", "aborted"], seconds: float) -> None:
        """A chunker's transaction ended, ``seconds`` after its first record was taken."""
        self._transactions.labels(outcome).inc()
        self._transaction_seconds.observe(seconds)

    def paused(self, partitions: int) -> None:
        """How many partitions are paused for back-pressure."""
        self._paused.set(partitions)

    # --- The embedder ----------------------------------------------------------------------------------------------

    def batch(self, revisions: int, texts: int, tokens: int, encode_seconds: float) -> None:
        """A batch passed the encoder: revisions it holds, texts embedded, their tokens, and how long it took."""
        self._batch_revisions.observe(revisions)
        self._batch_texts.observe(texts)
        self._batch_tokens.observe(tokens)
        self._encode_seconds.observe(encode_seconds)

    def written(self, writes: int, seconds: float) -> None:
        """``writes`` conditional writes reached the index in one call."""
        self._writes.inc(writes)
        self._write_seconds.observe(seconds)

    def watch_queries(self, waiting: Callable[[], int]) -> None:
        """``waiting`` tells, whenever somebody asks, how many texts of queries wait for the device."""
        self._queries_waiting.set_function(waiting)

    def backlog(self, tokens: int) -> None:
        """Estimated tokens that wait for the device."""
        self._backlog.set(tokens)

    def audited(self, outcome: AuditOutcome, kinds: Iterable[str] = ()) -> None:
        """A point was looked at; ``kinds`` are those of its differences."""
        self._audited.labels(outcome).inc()
        for kind in kinds:
            self._audit_differences.labels(kind).inc()

    def audit_walked(self) -> None:
        """Every point of the collection was looked at."""
        self._audit_walks.inc()

    # --- The query path --------------------------------------------------------------------------------------------

    def answered(self, kind: RequestKind, outcome: RequestOutcome, seconds: float) -> None:
        """A search, or a request for embeddings, was answered."""
        counted, timed = self._answers[kind]
        counted.labels(outcome).inc()
        timed.observe(seconds)

    def embedded(self, texts: int, tokens: int) -> None:
        """Texts that clients had embedded, and what the model saw of them."""
        self._embedded_texts.inc(texts)
        self._embedded_tokens.inc(tokens)

    def key_refused(self) -> None:
        """A request showed no API key, or one that is not known."""
        self._keys_refused.inc()

    # --- Families --------------------------------------------------------------------------------------------------

    def _make_stream_families(self) -> None:
        self._freshness = self._histogram(
            "embedstream_freshness_seconds", "Commit at the source to searchable.", _SECONDS
        )
        oldest = self._gauge(
            "embedstream_oldest_unapplied_commit_age_seconds",
            "Age of the oldest commit read and not applied; else 0.",
        )
        oldest.set_function(lambda: self._age_s(self._oldest_unapplied_ms))
        self._watermark_age = self._gauge(
            "embedstream_source_watermark_age_seconds",
            "Since the newest commit clock or heartbeat seen of a source.",
            "source",
        )
        self._lag = self._gauge("embedstream_lag_events", "Records of a topic not committed yet.", "topic")
        self._chunks = self._counter("embedstream_chunks", "Chunks by outcome.", "outcome")
        self._events = self._counter("embedstream_events", "Records read by outcome.", "outcome")
        self._mismatched = self._counter(
            "embedstream_mismatched", "Events of another chunking, dropped unread.", "fingerprint"
        )
        self._dead_letters = self._counter("embedstream_dead_letters", "Dead letters.", "stage", "kind")
        self._outages = self._counter("embedstream_outages", "Outages met.", "stage")
        self._retries = self._counter("embedstream_retries", "Calls tried again after an outage.", "stage")
        self._transactions = self._counter(
            "embedstream_chunker_transactions", "The chunker's Kafka transactions.", "outcome"
        )
        self._transaction_seconds = self._histogram(
            "embedstream_chunker_transaction_seconds", "A chunker's transaction.", _SHORT_SECONDS
        )
        self._paused = self._gauge("embedstream_paused_partitions", "Partitions paused for back-pressure.")

    def _make_embedder_families(self) -> None:
        self._batch_revisions = self._histogram("embedstream_batch_revisions", "Revisions a batch.", _COUNTS)
        self._batch_texts = self._histogram("embedstream_batch_texts", "Texts embedded a batch.", _COUNTS)
        self._batch_tokens = self._histogram("embedstream_batch_tokens", "Tokens embedded a batch.", _TOKENS)
        self._encode_seconds = self._histogram("embedstream_encode_seconds", "Encoding of a batch.", _SHORT_SECONDS)
        self._writes = self._counter("embedstream_index_writes", "Conditional writes sent to the index.")
        self._write_seconds = self._histogram(
            "embedstream_index_write_seconds", "One call that writes to the index.", _SHORT_SECONDS
        )
        self._audited = self._counter("embedstream_audit_points", "Points audited by outcome.", "outcome")
        self._audit_differences = self._counter(
            "embedstream_audit_differences", "Differences found by the continuous audit.", "kind"
        )
        self._audit_walks = self._counter("embedstream_audit_walks", "Whole walks of the continuous audit.")
        self._backlog = self._gauge("embedstream_backlog_tokens", "Estimated tokens waiting for the device.")

    def _make_other_families(self) -> None:
        self._answers: Mapping[RequestKind, tuple[Counter, Histogram]] = {
            "search": (
                self._counter("embedstream_searches", "Searches by outcome.", "outcome"),
                self._histogram("embedstream_search_seconds", "One search.", _SHORT_SECONDS),
            ),
            "embeddings": (
                self._counter("embedstream_embedding_requests", "Requests for embeddings by outcome.", "outcome"),
                self._histogram("embedstream_embedding_seconds", "One request for embeddings.", _SHORT_SECONDS),
            ),
        }
        self._embedded_texts = self._counter("embedstream_embedding_texts", "Texts embedded for clients.")
        self._embedded_tokens = self._counter("embedstream_embedding_tokens", "Their tokens.")
        self._queries_waiting = self._gauge("embedstream_queries_waiting", "Texts of queries waiting for the device.")
        self._keys_refused = self._counter("embedstream_keys_refused", "Requests without a known API key.")
        self._build = self._gauge(
            "embedstream_build_info",
            "Version, role, contract and collection.",
            "version",
            "role",
            "contract",
            "collection",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=buckets)

    def _age_s(self, ts_ms: int | None) -> float:
        return 0.0 if ts_ms is None else max(0.0, (self._now_ms() - ts_ms) / 1000)


def _label(text: str) -> str:
    return text[:_LONGEST_LABEL]
