"""The examination: every check in the order in which a cure helps the next one, each on its own.

A check that cannot be made says why, and the others go on: the examination itself never fails. What the world is
asked, it is asked once (``operations.doctor.facts``); where the broker does not answer, nothing else is asked of it.
Nothing is changed by an examination, but for one transactional id of the doctor's own that is opened and closed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from operations.doctor import brokers, indexes, progress, rights, samples, topics
from operations.doctor.facts import Fact, NotKnown
from operations.doctor.finding import Finding, fatal, ok, refused, unchecked
from operations.doctor.rights import ROLES, Role
from operations.doctor.wanted import Named, Wanted
from stream import lineage, probes
from stream.cluster import Cluster, ClusterInfo, GroupInfo, Rights
from stream.collection import from_json
from stream.engine import TellsOfItsEngine
from stream.errors import EmbedstreamError, Fatal, Outage
from stream.ports import Encoder, IndexCatalog, Partition, TopicInfo, Topics, Unframer

_SAMPLED = 20
"""Records of each partition that are read."""


@dataclass(frozen=True, slots=True)
class World:
    """What an examination may ask; each is opened when it is asked for, and closed by whoever gave it."""

    topics: Callable[[], Topics]
    cluster: Callable[[], Cluster]
    unframer: Callable[[], Unframer]
    named: Callable[[], Named]
    """Reads the model's files."""
    catalog: Callable[[], IndexCatalog | None]
    """None where nobody has made the index yet."""
    encoder: Callable[[], Encoder] | None
    """Loads the model; None where the probes are not asked for."""
    now_ms: Callable[[], int]


class Examination:
    """One deployment, examined once. ``roles``: whose rights are asked for."""

    def __init__(self, wanted: Wanted, world: World, roles: frozenset[Role] = ROLES) -> None:
        self._wanted = wanted
        self._world = world
        self._roles = roles
        away = f"the broker at {wanted.servers} does not answer"
        self._cluster = Fact(world.cluster, away)
        self._info: Fact[ClusterInfo] = Fact(lambda: self._cluster.first().describe(), away)
        self._topics = Fact(self._opened_topics, away)
        self._rights = Fact(self._all_rights, away)
        self._found = Fact(self._describable, away)
        self._named: Fact[Named] = Fact(world.named, "the model cannot be read")
        self._groups_seen = Fact(self._described_groups, away)
        self._catalog = Fact(world.catalog, "the index cannot be opened")
        self._samples = Fact(self._take_samples, "the CDC topics cannot be read")

    def run(self) -> Iterator[Finding]:
        """The findings, each as soon as it is known."""
        checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("broker", self._check_brokers),
            ("rights", self._check_rights),
            ("topics", self._check_topics),
            ("sources", self._check_sources),
            ("clock", self._check_clocks),
            ("model", self._check_model),
            ("lineage", self._check_lineage),
            ("groups", self._check_groups),
            ("transactions", self._check_transactions),
            ("index", self._check_index),
            ("engine", self._check_engine),
            ("probes", self._check_probes),
        )
        for about, check in checks:
            yield from _alone(about, check)

    # --- checks ---

    def _check_brokers(self) -> Iterator[Finding]:
        try:
            info = self._info.first()
        except Outage as error:
            yield fatal("broker", str(error).removesuffix("."), "start it, or correct bootstrap.servers in [kafka]")
            return
        yield from brokers.check_brokers(info, self._wanted.group_protocol, self._wanted.transaction_timeout_ms)

    def _check_rights(self) -> Iterator[Finding]:
        has = self._rights()
        findings = [
            finding
            for need in rights.needs(self._wanted, self._roles)
            for finding in rights.check_topic(need, has[need.topic])
        ]
        yield from findings
        yield from rights.check_settings(has)
        for group, purpose in self._groups():
            lacking = list(rights.check_group(group, self._groups_seen()[group].rights, purpose))
            findings += lacking
            yield from lacking
        if not findings:
            yield rights.all_granted(self._roles)

    def _check_topics(self) -> Iterator[Finding]:
        wanted, found, seen = self._wanted, self._found(), self._rights()
        count = len(self._info().brokers)
        for source in wanted.sources:
            if seen[source.topic] != frozenset():
                yield from topics.check_source_topic(source, found.get(source.topic))
        if seen[wanted.chunks.name] != frozenset():
            yield from topics.check_chunk_topic(wanted.chunks, found.get(wanted.chunks.name), count)
        yield from topics.check_producer_limit(wanted.chunks, wanted.client_bytes)
        if seen[wanted.letters.name] != frozenset():
            yield from topics.check_letter_topic(wanted.letters, found.get(wanted.letters.name))

    def _check_sources(self) -> Iterator[Finding]:
        taken = self._samples()
        for source in self._wanted.sources:
            if source.name not in taken:
                yield unchecked(f"source {source.name}", f"topic {source.topic} cannot be read")
                continue
            yield from samples.check_mapping(source, taken[source.name])
            yield from samples.check_identity(source, taken[source.name])

    def _check_clocks(self) -> Iterator[Finding]:
        newest: dict[str, int] = {}
        for source in self._wanted.sources:
            newest |= samples.clocks(source, self._samples().get(source.name, []))
        yield from brokers.check_clocks(newest, self._world.now_ms())

    def _check_model(self) -> Iterator[Finding]:
        named = self._named.first()
        yield ok("model", f"{named.contract.encoding.model}, contract {named.contract.fingerprint}")

    def _check_lineage(self) -> Iterator[Finding]:
        named, now = self._named(), self._lineages()
        self._readable(named.lineage_group)
        place = Partition(self._wanted.chunks.name, 0)
        committed = self._topics().committed(named.chunker_group, [place]) if self._chunks_exist() else {}
        yield from progress.check_followed(lineage.from_metadata(committed.get(place)), now, named.headers)

    def _check_groups(self) -> Iterator[Finding]:
        found, named = self._found(), self._named()
        yield from progress.check_members(
            named.chunker_group,
            self._readable(named.chunker_group).members,
            self._wanted.chunker_client,
            self._wanted.instance,
        )
        for group, names in (
            (named.chunker_group, [source.topic for source in self._wanted.sources]),
            (named.embedder_group, [self._wanted.chunks.name]),
        ):
            self._readable(group)
            for name in names:
                if name in found:
                    yield from self._offsets(group, name)

    def _check_transactions(self) -> Iterator[Finding]:
        if "chunker" not in self._roles or self._wanted.chunks.at_least_once:
            return
        self._info()
        group = self._named().chunker_group
        try:
            self._cluster().check_transactions(group)
        except Fatal as error:
            prefix = group.rsplit(".", 2)[0]
            yield fatal(
                "transactions",
                str(error).removesuffix("."),
                f"grant Write on transactional ids with the prefix {prefix}",
            )
        else:
            yield ok("transactions", f"transactional ids that begin with {group} can be opened")

    def _check_index(self) -> Iterator[Finding]:
        named, catalog = self._named(), self._catalog.first()
        lineages, consumed = self._known_of_the_bus(named)
        if catalog is None:
            yield from indexes.check_collection(named, None, {}, lineages, consumed=consumed)
            return
        live = catalog.aliases().get(named.index)
        there = set(catalog.collections())
        records = {
            name: from_json(catalog.metadata(name)) for name in {live, named.collection} & there if name is not None
        }
        yield from indexes.check_collection(named, live, records, lineages, consumed=consumed)

    def _check_engine(self) -> Iterator[Finding]:
        catalog = self._catalog()
        if isinstance(catalog, TellsOfItsEngine):
            live = catalog.aliases().get(self._named().index)
            yield from indexes.check_engine(catalog.engine(live))

    def _check_probes(self) -> Iterator[Finding]:
        if self._world.encoder is None:
            yield unchecked("probes", "they need the model in memory; --probes loads it and compares")
            return
        named, catalog = self._named(), self._catalog()
        if catalog is None or named.collection not in catalog.collections():
            yield unchecked("probes", "the collection does not exist yet")
            return
        stored = from_json(catalog.metadata(named.collection)).probes
        worst = probes.check(stored, self._world.encoder(), named.collection)
        yield ok("probes", f"{len(stored)} golden texts give the collection's vectors, worst cosine {worst:.4f}")

    # --- what they ask ---

    def _opened_topics(self) -> Topics:
        self._info()
        return self._world.topics()

    def _all_rights(self) -> Mapping[str, Rights | None]:
        self._info()
        wanted = self._wanted
        names = [wanted.chunks.name, wanted.letters.name]
        for source in wanted.sources:
            names += [source.topic] if source.heartbeat is None else [source.topic, source.heartbeat]
        return {name: self._cluster().topic_rights(name) for name in dict.fromkeys(names)}

    def _describable(self) -> Mapping[str, TopicInfo]:
        """Topics that exist and that this user may describe."""
        names = [name for name, has in self._rights().items() if has]
        return self._topics().describe(names, settings=True)

    def _chunks_exist(self) -> bool:
        return self._wanted.chunks.name in self._found()

    def _lineages(self) -> dict[str, str]:
        """Source → lineage, of the topics that exist."""
        found = self._found()
        chunks = found.get(self._wanted.chunks.name)
        if chunks is None:
            return {}
        return {
            source.name: lineage.lineage(found[source.topic], chunks)
            for source in self._wanted.sources
            if source.topic in found
        }

    def _known_of_the_bus(self, named: Named) -> tuple[dict[str, str] | None, bool | None]:
        """For the index, which is examined whether the broker answers or not."""
        try:
            if not self._chunks_exist():
                return {}, False
            places = list(self._topics().ends(self._wanted.chunks.name))
            return self._lineages(), bool(self._topics().committed(named.embedder_group, places))
        except (NotKnown, EmbedstreamError):
            return None, None

    def _take_samples(self) -> Mapping[str, list[samples.Sample]]:
        found, has = self._found(), self._rights()
        unframer = self._world.unframer()
        return {
            source.name: samples.take(source, self._cluster().newest(source.topic, _SAMPLED), unframer)
            for source in self._wanted.sources
            if source.topic in found and "read" in (has[source.topic] or ())
        }

    def _groups(self) -> Iterator[tuple[str, str]]:
        named = self._named()
        if "chunker" in self._roles:
            yield named.chunker_group, "the chunker is a member of it"
            if named.lineage_group != named.chunker_group:
                yield named.lineage_group, "the chunker notes there what it began with"
        if "embedder" in self._roles:
            yield named.embedder_group, "the embedder is a member of it"

    def _described_groups(self) -> Mapping[str, GroupInfo]:
        self._info()
        named = self._named()
        groups = (named.chunker_group, named.lineage_group, named.embedder_group)
        return {name: self._cluster().group(name) for name in dict.fromkeys(groups)}

    def _readable(self, group: str) -> GroupInfo:
        """Raises NotKnown where this user may not know of it, which is a finding about rights."""
        found = self._groups_seen()[group]
        if "describe" not in found.rights:
            raise NotKnown(f"this user may not describe group {group}")
        return found

    def _offsets(self, group: str, topic: str) -> Iterator[Finding]:
        known = self._topics()
        ends = known.ends(topic)
        committed = known.committed(group, list(ends))
        yield from progress.check_offsets(group, committed, known.low_watermarks(topic), ends)


def _alone(about: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of one check, whatever happens in it."""
    try:
        yield from check()
    except NotKnown as why:
        yield unchecked(about, str(why))
    except Outage as error:
        yield unchecked(about, f"of an outage: {str(error).removesuffix('.')}")
    except EmbedstreamError as error:
        yield refused(about, str(error))
    except Exception as error:  # noqa: BLE001 - the other checks are made all the same
        yield unchecked(about, f"of something unforeseen ({type(error).__name__}: {error})")
