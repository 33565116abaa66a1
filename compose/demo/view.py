"""What the demo sees of the running stream, by the ways that are open to anybody.

Figures from ``/metrics``, hits from ``/v1/search``, points through the socket of the index's owner, lags from the
broker. The demo looks into no other process's memory, and nothing it asks changes anything.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from adapters.edge.client import SocketCatalog
from adapters.kafka.reader import read_partitions
from compose.demo.process import StreamProcess
from compose.deployment import Deployment
from consumers.lag import lag_of
from schemas.identity import ChunkId, DocId, Version
from stream.errors import Fatal
from stream.points import Point, State, StoredPoint
from stream.ports import Record, Topics, VectorIndex

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Counted since the process started: chunks by outcome, and revisions applied."""

    embedded: int
    kept: int
    removed: int
    applied: int

    def since(self, before: "Figures") -> "Figures":
        """The difference."""
        return Figures(
            self.embedded - before.embedded,
            self.kept - before.kept,
            self.removed - before.removed,
            self.applied - before.applied,
        )


@dataclass(frozen=True, slots=True)
class Lags:
    """Events that are not committed yet: CDC events not chunked, chunk events not in the index."""

    chunker: int
    embedder: int

    def __bool__(self) -> bool:
        return bool(self.chunker or self.embedder)


class Broker:
    """The topics of a deployment, whether its process runs or not."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._topics: Topics = deployment.topics()

    def lags(self) -> Lags:
        """Raises Outage."""
        deployment, chunks = self._deployment, self._deployment.settings.chunks.topic
        behind = lag_of(self._topics, deployment.chunker_group, list(deployment.source_topics))
        return Lags(
            sum(lag.events or 0 for lag in behind.values()),
            lag_of(self._topics, deployment.embedder_group, [chunks])[chunks].events or 0,
        )

    def cdc_records(self) -> Iterator[Record]:
        """Every record of the CDC topics, each partition's in order."""
        for topic in self._deployment.source_topics:
            yield from read_partitions(self._deployment.settings.kafka.properties, list(self._topics.ends(topic)))


class View:
    """One process that is ready. Close it before the process is killed."""

    def __init__(self, process: StreamProcess, deployment: Deployment) -> None:
        self._telemetry = httpx.Client(base_url=process.telemetry, timeout=_TIMEOUT_S, trust_env=False)
        self._query = httpx.Client(base_url=process.query, timeout=_TIMEOUT_S, trust_env=False)
        self._catalog = SocketCatalog(deployment.settings.index.folder)
        self.index: VectorIndex = self._catalog.open(deployment.collection)

    def close(self) -> None:
        """Ends the connections."""
        self._telemetry.close()
        self._query.close()
        self._catalog.close()

    def figures(self) -> Figures:
        """Raises Fatal where the process does not answer."""
        page = self._answered(self._telemetry, "GET", "/metrics").text
        counted = {
            (sample.name, sample.labels.get("outcome")): int(sample.value)
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
        chunks = "embedstream_chunks_total"
        return Figures(
            embedded=counted.get((chunks, "embedded"), 0),
            kept=counted.get((chunks, "kept"), 0),
            removed=counted.get((chunks, "removed"), 0),
            applied=counted.get(("embedstream_events_total", "applied"), 0),
        )

    def search(self, query: str, limit: int, *, section: str | None = None) -> list[dict[str, Any]]:
        """Hits, best first, as the API gives them; of one section, or of all."""
        body: dict[str, Any] = {"query": query, "limit": limit}
        if section is not None:
            body["filter"] = {"must": [{"key": "section", "match": {"value": section}}]}
        hits: list[dict[str, Any]] = self._answered(self._query, "POST", "/v1/search", body).json()["hits"]
        return hits

    def live(self, ids: Collection[ChunkId]) -> dict[ChunkId, Version]:
        """Those of the points that are live, with their versions."""
        stored = (StoredPoint.of(point.id, point.payload) for point in self.index.points(list(ids)))
        return {point.id: point.version for point in stored if point.state is State.LIVE}

    def points_of(self, document: DocId) -> Sequence[StoredPoint]:
        """Every point of a document, marks included."""
        return self.index.read([document]).get(document, ())

    def points(self) -> Iterator[StoredPoint]:
        """Every point of the collection."""
        return (stored_of(point) for point in self.index.scroll())

    def count(self) -> int:
        """Live points."""
        return self.index.count(State.LIVE.value)

    @staticmethod
    def _answered(client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = client.request(method, path, json=body)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise Fatal(f"The running process does not answer at {client.base_url}{path}: {error}") from error
        return response


def stored_of(point: Point) -> StoredPoint:
    """What a comparison needs of a point."""
    return StoredPoint.of(point.id, point.payload)


@contextmanager
def opened(process: StreamProcess, deployment: Deployment) -> Iterator[View]:
    """A view for the length of the block."""
    view = View(process, deployment)
    try:
        yield view
    finally:
        view.close()
