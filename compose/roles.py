"""The three roles of a deployment, each from its settings to a loop that runs until it is told to stop.

A role opens what it needs in the order in which a mistake is cheapest to tell: contract before network, topics before
group, index before the first record. It closes everything in reverse, whatever happened.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from adapters.kafka.consumer import KafkaConsumer
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.transactions import KafkaTransactionalProducer
from adapters.metrics import Metrics
from compose.background import Background
from compose.deployment import Deployment, SystemClock
from compose.model import Profiles
from compose.observer import Observer
from compose.patrolling import patrolling
from compose.sections import QuerySettings
from compose.upcoming import Upcoming
from compose.version import VERSION
from compose.vital_signs import VitalSigns
from compose.waiting import wait_until
from consumers.chunker import Chunker, ChunkerParts
from consumers.copying import copies_from
from consumers.embedder import Embedder, EmbedderParts
from consumers.lineage_watch import LineageWatch, current_lineages, wait_for_topics
from consumers.opening import OpenCollection, open_for_writing
from consumers.pipeline import Pipeline, PipelineParts
from consumers.retries import Patience
from consumers.stages import ShrinkingEncoder
from consumers.workload import Workload
from operations.audit.patrol import Beat
from serving.api import QueryService
from serving.handle import LiveIndex
from serving.server import serve_queries
from stream.errors import Misuse
from stream.ports import IndexCatalog, Topics, Unframer
from stream.query_batch import Batching
from stream.revision import ChunkTopic

_LOG = logging.getLogger("embedstream")
_BEGUN_LOOK_S = 1.0
_LAST_LOOK_S = 1.0
_AUDIT_PATIENCE_S = 60.0
"""How long the continuous audit waits for the group to come by before it leaves a point unsettled."""


class Readiness:
    """Which roles of this process are up, for ``/readyz``."""

    def __init__(self, roles: tuple[str, ...]) -> None:
        self._waiting = dict.fromkeys(roles)
        self._lock = threading.Lock()

    def ready(self, role: str) -> bool:
        """The role serves from now on; whether it was the last one waited for."""
        with self._lock:
            self._waiting.pop(role, None)
            return not self._waiting

    def __call__(self) -> tuple[bool, str]:
        with self._lock:
            waiting = ", ".join(self._waiting)
        return (False, f"{waiting} starting") if waiting else (True, "all roles run")


def run_chunker(
    deployment: Deployment, stopping: threading.Event, metrics: Metrics, ready: Callable[[], None]
) -> None:
    """CDC topics → chunk topic. Raises Fatal."""
    settings = deployment.settings
    if settings.chunker.runtime == "faust":
        raise Misuse(
            'chunker.runtime is "faust": start the chunker with faust -A consumers.faust_chunker worker, the other '
            'roles here; or set it to "embedstream".'
        )
    with ExitStack() as opened:
        unframer = deployment.unframer()
        opened.callback(unframer.close)
        chunker = prepared_chunker(deployment, deployment.topics(), unframer, stopping, metrics)
        consumer = KafkaConsumer(
            {**settings.kafka.properties, "client.id": deployment.chunker_client},
            deployment.chunker_group,
            deployment.chunker_topics,
            chunker,
        )
        opened.callback(consumer.close)
        producer = KafkaTransactionalProducer(
            settings.kafka.properties,
            deployment.transactional_id,
            consumer,
            timeout_ms=settings.chunker.transaction_timeout_ms,
        )
        opened.callback(producer.close)
        _LOG.info("chunker runs in group %s", deployment.chunker_group)
        ready()
        chunker.run(consumer, producer, stopping, settings.chunker.max_poll_records)


def prepared_chunker(
    deployment: Deployment, topics: Topics, unframer: Unframer, stopping: threading.Event, metrics: Metrics
) -> Chunker:
    """Its topics are there and its lineage is that of before. Raises Fatal."""
    settings = deployment.settings
    contract = deployment.contract
    patience = Patience(stopping, metrics)
    info = patience.until_available("chunk topic", lambda: deployment.chunk_topic(topics))
    letterbox = patience.until_available("dead-letter topic", lambda: deployment.letterbox(topics))
    _await_sources(deployment, topics, stopping, patience)
    watch = LineageWatch(
        topics,
        deployment.chunker_group,
        deployment.source_topics,
        contract.accepted,
        settings.chunks.topic,
        settings.chunker.lineage_check_s,
    )
    patience.until_available("lineage", watch.start)
    metrics.describe(version=VERSION, role="chunker", contract=contract.chunking_fingerprint, collection="")
    return Chunker(
        ChunkerParts(
            sources={source.topic: source for source in settings.sources},
            heartbeats=deployment.heartbeats,
            fingerprints=contract.accepted,
            cutter=deployment.cutter,
            chunks=ChunkTopic(settings.chunks.topic, info.partitions, settings.chunks.max_event_bytes),
            letterbox=letterbox,
            lineage=watch,
            metrics=metrics,
            clock=SystemClock(),
            unframer=unframer,
        )
    )


def run_embedder(
    deployment: Deployment,
    catalog: IndexCatalog,
    profiles: Profiles,
    stopping: threading.Event,
    metrics: Metrics,
    ready: Callable[[], None],
) -> None:
    """Chunk topic → index. Raises Fatal."""
    settings = deployment.settings
    contract, cutter = deployment.contract, deployment.cutter
    patience = Patience(stopping, metrics)
    topics = deployment.topics()
    patience.until_available("chunk topic", lambda: deployment.chunk_topic(topics))
    letterbox = patience.until_available("dead-letter topic", lambda: deployment.letterbox(topics))
    _await_sources(deployment, topics, stopping, patience)
    lineages = patience.until_available(
        "lineage", lambda: current_lineages(topics, deployment.source_topics, settings.chunks.topic)
    )
    collection = patience.until_available(
        "index",
        lambda: open_for_writing(
            catalog,
            settings.index.name,
            settings.index.generation,
            contract,
            lineages,
            settings.fields,
            profiles.bulk,
            consumed=lambda: bool(
                topics.committed(deployment.embedder_group, list(topics.ends(settings.chunks.topic)))
            ),
        ),
    )
    metrics.describe(version=VERSION, role="embedder", contract=contract.fingerprint, collection=collection.name)
    with ExitStack() as opened:
        producer = KafkaProducer(settings.kafka.properties)
        opened.callback(producer.close)
        observer = Observer(deployment, topics, catalog, collection, metrics, profiles)
        opened.callback(observer.stop)
        patrol = _patrol(deployment, topics, collection, observer, profiles, metrics)
        opened.callback(patrol.stop)
        workload = Workload()
        pipeline = Pipeline(
            PipelineParts(
                index=collection.index,
                collection=collection.name,
                encoder=ShrinkingEncoder(profiles.bulk, profiles.shrink),
                fit_title=cutter.embedded_title,
                producer=producer,
                letterbox=letterbox,
                clock=SystemClock(),
                metrics=metrics,
                store_text=settings.index.store_text,
                batch_tokens=settings.embedder.batch_tokens_on(profiles.device),
                plan_max_age_s=settings.index.plan_max_age_s,
                copies=copies_from(catalog, collection.record.replaces, contract.encoding),
            ),
            workload,
        )
        embedder = Embedder(
            EmbedderParts(
                admission=collection.admission,
                index=collection.index,
                producer=producer,
                letterbox=letterbox,
                metrics=metrics,
                clock=SystemClock(),
                backlog_tokens=settings.embedder.backlog_tokens,
                flush_interval_s=settings.embedder.flush_interval_s,
                drain_deadline_s=settings.embedder.drain_deadline_s,
                admitted=observer.admitted,
                every_while=lambda: _check_all(observer, patrol),
            ),
            workload,
        )
        consumer = KafkaConsumer(
            settings.kafka.properties, deployment.embedder_group, [settings.chunks.topic], embedder
        )
        opened.callback(consumer.close)
        patience.until_available("index", observer.take_rank)
        observer.start()
        patrol.start()
        _LOG.info("embedder runs in group %s and writes %s", deployment.embedder_group, collection.name)
        ready()
        embedder.run(consumer, pipeline, stopping, settings.embedder.max_poll_records)


def _check_all(observer: Observer, patrol: Background) -> None:
    observer.check()
    patrol.check()


def _patrol(
    deployment: Deployment,
    topics: Topics,
    collection: OpenCollection,
    observer: Observer,
    profiles: Profiles,
    metrics: Metrics,
) -> Background:
    stopping = threading.Event()
    beat = Beat(
        index=collection.index,
        topics=topics,
        chunk_topic=deployment.settings.chunks.topic,
        group=deployment.embedder_group,
        admitted=observer.admitted,
        fit_title=deployment.cutter.embedded_title,
        encode=lambda texts: profiles.bulk.encode("passage", texts),
        patience=lambda condition: wait_until(condition, time.monotonic() + _AUDIT_PATIENCE_S, stopping),
    )
    return patrolling(beat, deployment.settings.embedder.audit_per_s, metrics, stopping)


def await_begun(catalog: IndexCatalog, collection: str, stopping: threading.Event, patience: Patience) -> bool:
    """Waits until `upgrade start` has made the collection; False where the process is told to stop first."""
    if patience.until_available("index", lambda: collection in catalog.collections()):
        return True
    _LOG.info("waiting for `embedstream upgrade start` to make %s", collection)
    while not stopping.wait(_BEGUN_LOOK_S):
        if patience.until_available("index", lambda: collection in catalog.collections()):
            return True
    return False


def run_query(
    deployment: Deployment,
    catalog: IndexCatalog,
    pairs: Mapping[str, Deployment],
    stopping: threading.Event,
    metrics: Metrics,
    ready: Callable[[str], None],
    pulse: VitalSigns,
) -> None:
    """Searches over HTTP. ``pairs``: collection → the deployment that feeds it, of every pair that the index's name
    may mean while this process runs: by its model queries are encoded, at its groups changes are waited for.
    ``ready`` is told the address; ``pulse`` is started here. Raises Fatal.
    """
    settings = deployment.settings
    width = max(pair.profiles.width for pair in pairs.values())
    encoders = [pair.profiles.query for pair in pairs.values()]
    live = LiveIndex(catalog, settings.index.name, encoders, Batching(width=width))
    metrics.watch_queries(lambda: live.waiting)
    listen = settings.query.listen
    metrics.describe(version=VERSION, role="query", contract=deployment.contract.encoding.fingerprint, collection="")
    warn_of_open_keys(settings.query)
    service = QueryService(
        live,
        metrics,
        settings.query.rules(settings.fields),
        limits=settings.query.limits,
        keys=settings.query.keys,
        applied={collection: pair.applied for collection, pair in pairs.items()},
        pulse=pulse,
    )
    pulse.start()
    with serve_queries(service, listen.host, listen.port) as server:
        ready(server.url)
        upcoming = Upcoming(live, catalog, pairs).watching()
        upcoming.start()
        try:
            while server.running and not stopping.wait(0.5):
                upcoming.check()
        finally:
            upcoming.stop(within_s=_LAST_LOOK_S)


def warn_of_open_keys(query: QuerySettings) -> None:
    """One line where keys cross a network as they are: this service speaks no TLS by itself."""
    if query.key and not query.listen.loopback:
        _LOG.warning(
            "API keys cross the network in the clear: the query service listens on %s without TLS; put a proxy with "
            "TLS before it, and let it listen on loopback.",
            query.listen,
        )


def _await_sources(deployment: Deployment, topics: Topics, stopping: threading.Event, patience: Patience) -> None:
    patience.until_available(
        "CDC topics",
        lambda: wait_for_topics(
            topics,
            list(deployment.source_topics),
            deployment.settings.chunker.topic_wait_s,
            stopping.wait,
            SystemClock().monotonic,
        ),
    )
