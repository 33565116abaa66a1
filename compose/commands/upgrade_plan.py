"""``embedstream upgrade plan``: what an upgrade would replay, copy and cost, before anything is changed.

The proportions come from the newest rows of the sources, cut under both files, and the rate from this machine's own
encoder where none is given.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from adapters.kafka.cluster import KafkaCluster
from compose.commands.upgrade import opened
from compose.deployment import Deployment
from compose.pairs import Both
from consumers.lineage_watch import current_lineages
from operations.plan.rate import measured_rate
from operations.upgrade.sampling import Row, sample_of
from operations.upgrade.starting import check_startable
from schemas.chunk_event import Json
from schemas.identity import DocId, Version
from stream.change import Upsert, read_change
from stream.errors import Fatal, Poison
from stream.points import State
from stream.replay_cost import Means, ReplayCost, replay_cost

_ROWS_A_PARTITION = 64


@dataclass(frozen=True, slots=True)
class AskedMeans:
    """Options of plan. ``rate`` in chunks a second and device; None: this machine's encoder is measured for
    ``seconds``.
    """

    rate: float | None = None
    devices: int = 1
    share: float = 1.0
    price: float | None = None
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Planned:
    """What an upgrade would do, and what it would cost. ``refused``: why it cannot be begun as things stand."""

    change: str
    replays: tuple[str, ...]
    present: str
    following: str
    rate: float
    cost: ReplayCost
    refused: str | None

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        return {
            "change": self.change,
            "replays": list(self.replays),
            "present": self.present,
            "next": self.following,
            "chunks_per_second": round(self.rate, 1),
            **self.cost.to_json(),
            "refused": self.refused,
        }


def planned(both: Both, means: AskedMeans) -> Planned:
    """``upgrade plan``: changes nothing. Raises Misuse where the files do not go together."""
    with opened(both, 0.0) as around:
        change = around.change
        refused = None
        try:
            check_startable(around, resnapshot=False)
        except Fatal as error:
            refused = str(error)
        present, following = both.present, both.following
        store_text = following.settings.index.store_text
        lineages = current_lineages(around.topics, present.source_topics, present.settings.chunks.topic)
        sample = sample_of(_newest_rows(present, lineages), present.cutter, following.cutter, store_text=store_text)
        rate = means.rate
        if rate is None:
            bulk = following.profiles.bulk
            rate = measured_rate(lambda texts: bulk.encode("passage", texts), sample.texts, means.seconds)
        live = around.index(around.before).count(State.LIVE.value) if around.has(around.before) else 0
        cost = replay_cost(
            live,
            sample.sampled,
            Means(rate or 1.0, means.devices, means.share, means.price),
            following.contract.encoding.dimensions,
            copies=change.copies,
            own_chunker=change.own_chunker,
        )
        replays = around.cdc_topics if change.own_chunker else (around.chunk_topic,)
        return Planned(
            change.kind.value, replays, around.before.collection, around.after.collection, rate, cost, refused
        )


def _newest_rows(deployment: Deployment, lineages: Mapping[str, str]) -> Iterator[Row]:
    """Of each source the newest revision of some of its documents."""
    cluster = KafkaCluster(deployment.settings.kafka.properties)
    with closing(deployment.unframer()) as unframer:
        for source in deployment.settings.sources:
            newest: dict[DocId, Upsert] = {}
            for record in cluster.newest(source.topic, _ROWS_A_PARTITION):
                try:
                    key, value = unframer.unframed(record)
                    change = read_change(
                        source, key, value, record.headers, Version(record.offset + 1), record.timestamp_ms
                    )
                except Poison:
                    continue
                if isinstance(change, Upsert):
                    newest[change.doc_id] = change
            yield from (Row(source.name, lineages[source.name], change) for change in newest.values())
