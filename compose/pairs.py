"""The two pairs of an upgrade, from the two files that describe them.

One file says what was searched when the upgrade began, the other what is to follow. They share their topics, their
sources and their index, and :func:`check_shared` refuses what an upgrade would not change.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from compose.deployment import Deployment
from compose.settings import Settings
from compose.waiting import wait_until
from consumers.lineage_watch import current_lineages
from operations.upgrade.surroundings import Surroundings
from stream.collection import from_json
from stream.errors import Misuse
from stream.ports import Groups, IndexCatalog, Topics
from stream.upgrade import Pair, change_of


@dataclass(frozen=True, slots=True)
class Both:
    """The two files. ``present`` is that of what was searched when the upgrade began."""

    present: Deployment
    following: Deployment

    def of(self, pair: Pair) -> Deployment:
        """Whose pair it is."""
        return self.present if pair.collection == self.present.collection else self.following


def pair_of(deployment: Deployment) -> Pair:
    """What the core knows of a deployment."""
    return Pair(deployment.contract, deployment.collection, deployment.chunker_group, deployment.embedder_group)


def surroundings(
    both: Both, catalog: IndexCatalog, topics: Topics, groups: Groups, wait_s: float = 0.0
) -> Surroundings:
    """What the steps of an upgrade work with, as the broker and the index stand now. Raises Misuse where the one pair
    cannot follow the other, and Outage.
    """
    present = both.present
    settings = present.settings
    before, after = pair_of(present), pair_of(both.following)
    lineages = current_lineages(topics, present.source_topics, settings.chunks.topic)
    there = before.collection in catalog.collections()
    known = from_json(catalog.metadata(before.collection)).lineage if there else lineages
    return Surroundings(
        index_name=settings.index.name,
        before=before,
        after=after,
        change=change_of(before, after, known, lineages),
        catalog=catalog,
        topics=topics,
        groups=groups,
        cdc_topics=tuple(present.source_topics),
        chunk_topic=settings.chunks.topic,
        patience=lambda condition: wait_until(condition, time.monotonic() + wait_s),
        now_s=time.monotonic,
    )


def check_shared(both: Both) -> None:
    """What the two files must agree in. Raises Misuse with the key."""
    ours, theirs = both.present.settings, both.following.settings
    shared: Sequence[tuple[str, object, object]] = [
        ("kafka.bootstrap.servers", _servers(ours), _servers(theirs)),
        ("kafka.group_prefix", ours.kafka.group_prefix, theirs.kafka.group_prefix),
        ("chunks.topic", ours.chunks.topic, theirs.chunks.topic),
        ("index.name", ours.index.name, theirs.index.name),
        ("index.url", ours.index.url, theirs.index.url),
        *((f"source.*.{name}", *_each(ours, theirs, name)) for name in ("name", "topic", "format", "key")),
    ]
    for key, here, there in shared:
        if here != there:
            raise Misuse(f"The two files differ in {key}, which an upgrade does not change; write the same in both.")


def _servers(settings: Settings) -> object:
    return settings.kafka.properties.get("bootstrap.servers")


def _each(ours: Settings, theirs: Settings, name: str) -> tuple[object, object]:
    """What the sources of both say, in order of their names."""
    said = [
        [getattr(source, name) for source in sorted(one.sources, key=lambda source: source.name)]
        for one in (ours, theirs)
    ]
    return said[0], said[1]
