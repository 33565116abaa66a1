"""What an embedder process looks at now and then, on a thread of its own: brokers in trouble are slow to answer.

The lag of both groups, for the metrics; the lineage of the sources, whose change is fatal to the embedder; whether
the next generation has caught up and takes the index's name; whether the collection accepts a source more; and
whether users search it, which decides its rank on the device.
"""

from adapters.metrics import Metrics
from compose.background import Background
from compose.deployment import Deployment
from compose.model import Profiles
from consumers.lag import Lag, lag_of
from consumers.lineage_watch import current_lineages
from consumers.opening import OpenCollection, admission_now
from consumers.promotion import Promotion
from stream.intake import Admission
from stream.lineage import check_unchanged
from stream.ports import IndexCatalog, Topics

_EVERY_S = 2.0


class Observer(Background):
    """Runs from ``start`` to ``stop``. The poll thread calls :meth:`check` and :meth:`admitted`."""

    def __init__(
        self,
        deployment: Deployment,
        topics: Topics,
        catalog: IndexCatalog,
        collection: OpenCollection,
        metrics: Metrics,
        profiles: Profiles,
    ) -> None:
        self._deployment = deployment
        self._topics = topics
        self._catalog = catalog
        self._collection = collection.name
        self._admission = collection.admission
        self._lineage = collection.record.lineage
        self._promotion = Promotion(catalog, deployment.settings.index.name, collection.name)
        self._metrics = metrics
        self._profiles = profiles
        self._live: bool | None = None
        super().__init__("observer", self._look, _EVERY_S)

    def admitted(self) -> Admission:
        """Which events the collection accepts, as last looked at."""
        return self._admission

    def _look(self) -> None:
        deployment = self._deployment
        chunk_topic = deployment.settings.chunks.topic
        check_unchanged(self._lineage, current_lineages(self._topics, deployment.source_topics, chunk_topic))
        # The chunker's first: what it had done by then is within what is asked of the embedder's next.
        behind = lag_of(self._topics, deployment.chunker_group, list(deployment.source_topics))
        waiting = lag_of(self._topics, deployment.embedder_group, [chunk_topic])
        for topic, lag in [*behind.items(), *waiting.items()]:
            self._metrics.lag(topic, lag.events or 0)
        self._promotion.observe(_total(list(behind.values())), _total(list(waiting.values())))
        self._admission = admission_now(self._catalog, self._collection)
        self.take_rank()

    def take_rank(self) -> None:
        """What users search stays fresh first; a collection that is filled beside it has the device's rest."""
        live = self._catalog.aliases().get(self._deployment.settings.index.name) == self._collection
        if live == self._live:
            return
        self._live = live
        if live:
            self._profiles.go_live()
        else:
            self._profiles.replay_at(self._deployment.settings.embedder.replay_share)


def _total(lags: list[Lag]) -> int | None:
    known = [lag.events for lag in lags if lag.events is not None]
    return sum(known) if len(known) == len(lags) else None
