"""One page of figures for a process in which two pairs run: those of the second carry the label ``pair``.

While an index is upgraded, one process may feed both collections. What is counted for one must not be added to the
other, and a dashboard that knows nothing of pairs goes on showing the first.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

LABEL = "pair"


class Together:
    """A collector for ``prometheus_client.generate_latest``: ``own`` as it is, each of ``beside`` under its label."""

    def __init__(self, own: CollectorRegistry, beside: Mapping[str, CollectorRegistry]) -> None:
        self._own = own
        self._beside = beside

    def collect(self) -> Iterable[Metric]:
        families = {family.name: family for family in self._own.collect()}
        for pair, registry in self._beside.items():
            for family in registry.collect():
                if family.name not in families:
                    families[family.name] = Metric(family.name, family.documentation, family.type)
                families[family.name].samples.extend(
                    sample._replace(labels={**sample.labels, LABEL: pair}) for sample in family.samples
                )
        return families.values()
