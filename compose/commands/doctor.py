"""``embedstream doctor``: what of this deployment is wrong, or will be, before it fails.

One line a finding, as soon as it is known; the last line counts them. Nothing is changed and nothing is locked for
longer than a look takes. The model is loaded only when the probes are asked for: on a machine whose accelerator is
full of an embedder's batches that could end the embedder.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rich.console import Console

from adapters.faust.lineage_group import group_beside
from adapters.kafka.cluster import KafkaCluster
from compose.deployment import LETTER_BYTES, Deployment, SystemClock
from operations.doctor.examination import Examination, World
from operations.doctor.finding import Finding
from operations.doctor.rights import ROLES, Role
from operations.doctor.wanted import Named, Wanted, WantedTopic
from schemas.chunk_event import Json
from stream.ports import IndexCatalog, Unframer


def findings_of(deployment: Deployment, *, probes: bool, roles: frozenset[Role] = ROLES) -> Iterator[Finding]:
    """One at a time. Never fails: what cannot be looked at is a finding too."""
    with ExitStack() as opened:

        def catalog() -> IndexCatalog | None:
            if deployment.settings.index.not_made_yet:
                return None
            found = deployment.catalog(serve=False)
            opened.callback(found.close)
            return found

        def unframer() -> Unframer:
            found = deployment.unframer()
            opened.callback(found.close)
            return found

        world = World(
            topics=deployment.topics,
            cluster=lambda: KafkaCluster(deployment.settings.kafka.properties),
            unframer=unframer,
            named=lambda: named(deployment),
            catalog=catalog,
            encoder=(lambda: deployment.model.load().bulk) if probes else None,
            now_ms=SystemClock().now_ms,
        )
        yield from Examination(wanted(deployment), world, roles).run()


def wanted(deployment: Deployment) -> Wanted:
    """What the configuration counts on."""
    settings = deployment.settings
    chunks, letters = settings.chunks, settings.dead_letters
    return Wanted(
        servers=settings.kafka.bootstrap_servers,
        group_protocol=settings.kafka.group_protocol,
        sources=settings.sources,
        chunks=WantedTopic(
            chunks.topic,
            chunks.partitions,
            chunks.replication,
            chunks.create,
            deployment.largest_record_bytes,
            at_least_once=settings.chunker.runtime == "faust",
        ),
        letters=WantedTopic(
            settings.dead_letter_topic, letters.partitions, letters.replication, letters.create, LETTER_BYTES
        ),
        client_bytes=deployment.client_bytes,
        transaction_timeout_ms=settings.chunker.transaction_timeout_ms,
        instance=settings.chunker.instance,
        chunker_client=None if "client.id" in settings.kafka.properties else deployment.chunker_client,
    )


def named(deployment: Deployment) -> Named:
    """What is named after the contract. Raises what a model that cannot be read raises."""
    return Named(
        contract=deployment.contract,
        chunker_group=deployment.chunker_group,
        lineage_group=group_beside(deployment.chunker_group),
        embedder_group=deployment.embedder_group,
        collection=deployment.collection,
        index=deployment.settings.index.name,
    )


def keep_quiet() -> None:
    """The findings tell what libraries would log beside them."""
    logging.getLogger().addHandler(logging.NullHandler())


def show(finding: Finding, console: Console) -> None:
    """One line."""
    style = {"fatal": "bold red", "advice": "yellow", "unchecked": "dim"}.get(finding.severity)
    console.print(finding.line(), style=style, markup=False, soft_wrap=True)


def summary(findings: Sequence[Finding]) -> str:
    """How many of each severity."""
    counted = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counted[severity]} {severity}" for severity in ("fatal", "advice", "ok", "unchecked"))


def to_json(findings: Sequence[Finding]) -> dict[str, Json]:
    """For ``--json``."""
    return {
        "fatal": any(finding.severity == "fatal" for finding in findings),
        "findings": [finding.to_json() for finding in findings],
    }
