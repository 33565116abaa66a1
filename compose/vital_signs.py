"""What a query process tells its live page of the stream, looked at now and then on a thread of its own.

The lag is that of the pair that users search now; the upgrade is that of the second file, where the process runs with
one; the throughput is counted in this process, and so known only where an embedder runs in it. A broker that does not
answer, or does not let this process look, leaves the page without these figures and stops nothing; figures that are
older than a few looks are not told any more.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from adapters.kafka.groups import KafkaGroups
from adapters.metrics import Metrics
from compose.background import Background
from compose.deployment import Deployment
from compose.pairs import Both, surroundings
from consumers.lag import lag_of
from operations.upgrade.progress import Progress, Side, progress
from serving.pulse import Behind, Signs, Throughput, UpgradeSide, UpgradeStep, Upgrading
from stream.errors import EmbedstreamError
from stream.ports import Groups, IndexCatalog, Topics

EVERY_S = 2.0
_TRUSTED_S = 5 * EVERY_S
"""How long a look is told as what is."""
_OVER_S = 6.0
"""The time over which throughput is taken."""
_PARTING_S = 1.0
"""How long the end of the process waits for a look: one at a broker that is away takes its time."""

_LOG = logging.getLogger("embedstream")


@dataclass(frozen=True, slots=True)
class Bus:
    """The broker as this process sees it."""

    topics: Topics
    groups: Groups


def bus_of(deployment: Deployment) -> Bus:
    """Opened by the first look, so that a query service starts without a broker."""
    return Bus(deployment.topics(), KafkaGroups(deployment.settings.kafka.properties))


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    lag: Behind | None
    upgrade: Upgrading | None


@dataclass(frozen=True, slots=True)
class _Counted:
    at_s: float
    embedded: int
    applied: int


class VitalSigns(Background):
    """See ``serving.pulse.Pulse``. Looks from ``start`` to ``stop``.

    ``following`` is the other pair of an upgrade; ``embeds``: an embedder counts into ``metrics``.
    """

    def __init__(
        self,
        deployment: Deployment,
        following: Deployment | None,
        catalog: IndexCatalog,
        metrics: Metrics,
        *,
        embeds: bool,
        bus: Callable[[Deployment], Bus] = bus_of,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deployment = deployment
        self._both = None if following is None else Both(deployment, following)
        self._catalog = catalog
        self._metrics = metrics
        self._embeds = embeds
        self._open_bus = bus
        self._bus: Bus | None = None
        self._now_s = now_s
        self._ending = threading.Event()
        self._seen: _Look | None = None
        self._counts: deque[_Counted] = deque([self._counted()])
        super().__init__("pulse", self.look, EVERY_S, stopping=self._ending)

    def now(self) -> Signs:
        """See the port."""
        seen = self._seen
        if seen is None or self._now_s() - seen.at_s > _TRUSTED_S:
            return Signs(throughput=self._throughput())
        return Signs(seen.lag, self._throughput(), seen.upgrade)

    def look(self) -> None:
        """One turn."""
        self._count()
        lag = upgrade = None
        try:
            if self._bus is None:
                self._bus = self._open_bus(self._deployment)
            lag = self._behind(self._bus.topics)
            if self._both is not None and not self._ending.is_set():
                around = surroundings(self._both, self._catalog, self._bus.topics, self._bus.groups)
                upgrade = _upgrading(progress(around), self._both)
        except EmbedstreamError as error:
            _LOG.debug("The live page is told less: %s", error)
        self._seen = _Look(self._now_s(), lag, upgrade)

    def stop(self, within_s: float | None = _PARTING_S) -> None:
        """Ends it; a look that waits for a broker is not waited for."""
        self._ending.set()
        self.join(within_s)

    def _behind(self, topics: Topics) -> Behind:
        pair = self._searched()
        chunk_topic = pair.settings.chunks.topic
        chunkers = lag_of(topics, pair.chunker_group, list(pair.source_topics))
        waiting = lag_of(topics, pair.embedder_group, [chunk_topic])[chunk_topic].events
        events = [lag.events for lag in chunkers.values() if lag.events is not None]
        return Behind(sum(events) if len(events) == len(chunkers) else None, waiting)

    def _searched(self) -> Deployment:
        """The pair that the index's name means; the first file's where that is neither's."""
        if self._both is None:
            return self._deployment
        live = self._catalog.aliases().get(self._deployment.settings.index.name)
        following = self._both.following
        return following if live == following.collection else self._deployment

    def _counted(self) -> _Counted:
        counts = self._metrics.chunk_counts()
        return _Counted(self._now_s(), counts["embedded"], sum(counts.values()))

    def _count(self) -> None:
        newest = self._counted()
        self._counts.append(newest)
        while len(self._counts) > 1 and self._counts[1].at_s <= newest.at_s - _OVER_S:
            self._counts.popleft()

    def _throughput(self) -> Throughput | None:
        if not self._embeds:
            return None
        first, last = self._counts[0], self._counted()
        seconds = max(last.at_s - first.at_s, EVERY_S)
        return Throughput((last.embedded - first.embedded) / seconds, (last.applied - first.applied) / seconds)


def _upgrading(found: Progress, both: Both) -> Upgrading | None:
    """None where it is over."""
    if found.step == "retired":
        return None
    return Upgrading(
        found.change,
        cast("UpgradeStep", found.step),
        found.done,
        _side(found.before, both.present),
        _side(found.after, both.following),
    )


def _side(side: Side, deployment: Deployment) -> UpgradeSide:
    return UpgradeSide(side.collection, side.contract, deployment.contract.encoding.model, side.points)
