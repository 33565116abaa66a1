"""The chunker of a deployment under Faust: what ``consumers.faust_chunker`` asks for by its entry point.

Faust imports its application by name, and the room that holds it knows no settings; so the wiring is registered in
``pyproject.toml`` under the entry points ``embedstream.faust`` and found there. Everything that a broker has to be
asked is asked in the chunker's thread, so that ``faust -A … agents`` and the like need none.
"""

import logging
import threading
from contextlib import ExitStack
from os import environ
from pathlib import Path

from adapters.faust.hand_over import HandOver
from adapters.faust.lineage_group import LineageNotes
from adapters.faust.publishing import PublishThenCommit
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.reader import ends_behind
from adapters.metrics import Metrics
from adapters.telemetry_server import serve_telemetry
from compose.deployment import Deployment
from compose.roles import Readiness, prepared_chunker
from compose.settings import load
from consumers.faust_chunker import Arrangement
from consumers.retries import Patience
from stream.errors import Fatal, Misuse
from stream.ports import Topics

_LOG = logging.getLogger("embedstream.chunker")


def arrangement(path: str) -> Arrangement:
    """Of the configuration in that file. Raises Misuse and Fatal before anything is connected."""
    deployment = Deployment(load(Path(path), environ))
    settings = deployment.settings
    if settings.chunker.runtime != "faust":
        raise Misuse(
            'chunker.runtime is "embedstream"; set it to "faust" for every process of the deployment, so that the '
            "chunk topic is made without compaction and lag is looked for in the right group."
        )
    group = deployment.chunker_group  # the contract is read for it: refused before anything is connected
    topics = deployment.topics()

    def run(hand_over: HandOver, stopping: threading.Event) -> None:
        _run(deployment, topics, hand_over, stopping)

    return Arrangement(
        group,
        {**settings.kafka.properties, "client.id": deployment.chunker_client},
        deployment.chunker_topics,
        topics,
        lambda starts: ends_behind(settings.kafka.properties, starts),
        run,
    )


def _run(deployment: Deployment, topics: Topics, hand_over: HandOver, stopping: threading.Event) -> None:
    settings = deployment.settings
    metrics, readiness = Metrics(), Readiness(("chunker",))
    listen = settings.telemetry.listen
    with ExitStack() as opened:
        server = opened.enter_context(serve_telemetry(metrics, readiness, listen.host, listen.port))
        _LOG.info("telemetry %s", server.url)
        unframer = deployment.unframer()
        opened.callback(unframer.close)
        patience = Patience(stopping, metrics)
        patience.until_available("chunk topic", lambda: _refuse_compaction(deployment, topics))
        chunker = prepared_chunker(deployment, topics, unframer, stopping, metrics)
        producer = KafkaProducer(settings.kafka.properties)
        opened.callback(producer.close)
        notes = LineageNotes(settings.kafka.properties, deployment.chunker_group)
        opened.callback(notes.close)
        hand_over.connect(chunker)
        _LOG.info("chunker runs under Faust in group %s", deployment.chunker_group)
        readiness.ready("chunker")
        publishing = PublishThenCommit(producer, notes, hand_over)
        chunker.run(hand_over, publishing, stopping, settings.chunker.max_poll_records)


def _refuse_compaction(deployment: Deployment, topics: Topics) -> None:
    info = deployment.chunk_topic(topics)
    if "cleanup.policy" not in info.config:
        raise Fatal(
            f"Whether the topic {deployment.settings.chunks.topic} is compacted cannot be read, and under Faust it "
            "must not be; grant this user DescribeConfigs on it."
        )
    if "compact" in info.config.get("cleanup.policy", "").split(","):
        raise Fatal(
            f"The topic {deployment.settings.chunks.topic} is compacted, and under Faust a late event would be kept "
            "there instead of a newer one; set its cleanup.policy to delete with retention.ms = -1, or name another "
            "chunks.topic."
        )
