"""One deployment: what its settings come to, before anything runs.

Names are derived here and nowhere else: consumer groups after the fingerprints, the collection after contract and
generation, the transactional id after group and instance. Whoever needs one of them asks the deployment.
"""

import time
from dataclasses import dataclass
from functools import cached_property

from adapters.edge.opening import open_catalog
from adapters.faust.lineage_group import WORKERS, LineageBeside
from adapters.kafka.topics import KafkaTopics
from compose.model import Model, Profiles, contract_of, find_model
from compose.settings import Settings
from serving.awaiting import AppliedOnTheBus
from stream.collection import collection_name
from stream.contract import Contract
from stream.errors import Fatal
from stream.framed import NoRegistry
from stream.letterbox import Letterbox
from stream.ports import IndexCatalog, TopicInfo, Topics, Unframer
from stream.revision import Cutter

_MIB = 1 << 20
_CHUNK_TOPIC_CONFIG = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(24 * 3600 * 1000),
    "compression.type": "zstd",
    "max.message.bytes": str(16 * _MIB),
}
_KEPT_CHUNK_TOPIC_CONFIG = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "compression.type": "zstd",
    "max.message.bytes": str(16 * _MIB),
}
"""Under Faust an old event may come late, and compaction would keep it instead of a newer one."""
_AROUND_AN_EVENT_BYTES = _MIB // 4
"""Key, headers and framing of a chunk event, at most."""
LETTER_BYTES = 16 * _MIB
"""The largest dead letter that the topic takes as embedstream makes it."""
_LETTER_TOPIC_CONFIG = {"max.message.bytes": str(LETTER_BYTES), "retention.ms": str(30 * 24 * 3600 * 1000)}
_CLIENT_DEFAULT_BYTES = 16 * _MIB
"""What the adapter's clients send at most, unless kafka.message.max.bytes says otherwise."""
_ROOM_IN_A_LETTER_BYTES = 64 << 10
"""For framing and the headers that say what went wrong."""
_BROKER_DEFAULT_BYTES = 1_048_588
"""What a topic takes where its settings may not be read."""


_AWAKE_OR_NOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where the system has it, a clock that goes on while the machine sleeps: a plan ages meanwhile."""


class SystemClock:
    """See ``stream.ports.Clock``."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.clock_gettime(_AWAKE_OR_NOT)


@dataclass(frozen=True)
class Deployment:
    """Settings, and what follows from them. Nothing is opened until it is asked for."""

    settings: Settings

    @cached_property
    def model(self) -> Model:
        """The model's contract and tokenizer."""
        return find_model(self.settings.encoding)

    @cached_property
    def profiles(self) -> Profiles:
        """The model's weights, loaded once, when somebody encodes."""
        return self.model.load()

    def load_beside(self, other: "Deployment") -> Profiles:
        """The same, on the device of another pair of this process: its weights are shared where the encodings are
        equal, else the two wait at one gate. Before anybody asked for ``profiles``.
        """
        if self.model.encoding.fingerprint == other.model.encoding.fingerprint:
            loaded = other.profiles.again()
        else:
            loaded = self.model.load(other.profiles)
        self.__dict__["profiles"] = loaded  # where ``cached_property`` keeps it
        return loaded

    @cached_property
    def contract(self) -> Contract:
        """Raises Misuse where chunking and encoder do not fit."""
        tokenizer = self.model.tokenizer
        return contract_of(self.model, self.settings.chunking.contract(tokenizer.digest), self.settings.sources)

    @cached_property
    def cutter(self) -> Cutter:
        """What cuts texts under the contract."""
        return Cutter(self.contract.chunking, self.model.tokenizer)

    @property
    def collection(self) -> str:
        """``<index>__<contract fingerprint>__g<generation>``."""
        return collection_name(self.settings.index.name, self.contract.fingerprint, self.settings.index.generation)

    @property
    def chunker_group(self) -> str:
        """``<prefix>.chunker.<shared chunking>.g<generation>``; another under Faust, whose lineage is elsewhere."""
        group = self._group("chunker", self.contract.chunking_fingerprint)
        return group + WORKERS if self.settings.chunker.runtime == "faust" else group

    @property
    def embedder_group(self) -> str:
        """``<prefix>.embedder.<contract>.g<generation>``."""
        return self._group("embedder", self.contract.fingerprint)

    @property
    def transactional_id(self) -> str:
        """Stable over restarts, so that a successor fences its predecessor."""
        return f"{self.chunker_group}.{self.settings.chunker.instance}"

    @property
    def source_topics(self) -> dict[str, str]:
        """CDC topic → source name."""
        return {source.topic: source.name for source in self.settings.sources}

    @property
    def heartbeats(self) -> dict[str, list[str]]:
        """Heartbeat topic → names of the sources whose connector writes it."""
        found: dict[str, list[str]] = {}
        for source in self.settings.sources:
            if source.heartbeat is not None:
                found.setdefault(source.heartbeat, []).append(source.name)
        return found

    @property
    def chunker_topics(self) -> list[str]:
        """What a chunker reads."""
        return [*self.source_topics, *self.heartbeats]

    @property
    def largest_record_bytes(self) -> int:
        """Of a chunk event with its key and headers: what topic, broker and client have to take."""
        return self.settings.chunks.max_event_bytes + _AROUND_AN_EVENT_BYTES

    @property
    def client_bytes(self) -> int:
        """The largest record that our producers send."""
        return int(self.settings.kafka.properties.get("message.max.bytes", _CLIENT_DEFAULT_BYTES))

    @property
    def chunker_client(self) -> str:
        """The ``client.id`` of a chunker: it tells the members of a group apart by their instance's name."""
        named = self.settings.kafka.properties.get("client.id")
        return named or f"embedstream.chunker.{self.settings.chunker.instance}"

    def topics(self) -> Topics:
        """The broker as an administrator sees it."""
        topics = KafkaTopics(self.settings.kafka.properties)
        return (
            LineageBeside(topics, self.settings.chunks.topic) if self.settings.chunker.runtime == "faust" else topics
        )

    @cached_property
    def applied(self) -> AppliedOnTheBus:
        """How far this pair has applied its sources. The bus is opened once somebody waits for it."""
        settings = self.settings
        return AppliedOnTheBus(
            topics=lambda: self._topics_waited_for,
            sources={source.name: source.topic for source in settings.sources},
            accepted=self.contract.accepted,
            chunk_topic=settings.chunks.topic,
            chunker_group=self.chunker_group,
            embedder_group=self.embedder_group,
        )

    @cached_property
    def _topics_waited_for(self) -> Topics:
        return self.topics()

    def unframer(self) -> Unframer:
        """What takes records out of a schema registry's frames; it is the caller's to close. Raises Misuse."""
        registry = self.settings.registry
        if not registry.properties:
            return NoRegistry(registry.on_framed)
        # Both take seconds to import.
        from adapters.schema_registry.client import RegistrySchemas  # noqa: PLC0415
        from adapters.schema_registry.unframer import RegistryUnframer  # noqa: PLC0415

        return RegistryUnframer(RegistrySchemas(registry.properties, registry.on_unknown_schema))

    def catalog(self, *, serve: bool) -> IndexCatalog:
        """The index: on its server; or in its folder, owned by this process or reached through its owner."""
        options = self.settings.index.server
        if options is None:
            return open_catalog(self.settings.index.folder, serve=serve)
        from adapters.qdrant.opening import open_server  # noqa: PLC0415 - the client takes seconds to import

        return open_server(options)

    def chunk_topic(self, topics: Topics) -> TopicInfo:
        """The chunk topic, made where it is missing and may be. Raises Fatal where it cannot take every event."""
        chunks = self.settings.chunks
        if chunks.create and not topics.describe([chunks.topic]):
            config = _KEPT_CHUNK_TOPIC_CONFIG if self.settings.chunker.runtime == "faust" else _CHUNK_TOPIC_CONFIG
            topics.create(chunks.topic, chunks.partitions, chunks.replication, config)
        info = self._existing(topics, chunks.topic, "chunks.create")
        limit = info.config.get("max.message.bytes")
        needed = self.largest_record_bytes
        if limit is not None and int(limit) < needed:
            raise Fatal(
                f"The topic {chunks.topic} takes records of {limit} bytes, and with chunks.max_event_bytes = "
                f"{chunks.max_event_bytes} they may have {needed}; raise the topic's max.message.bytes, or lower "
                "chunks.max_event_bytes."
            )
        return info

    def letterbox(self, topics: Topics) -> Letterbox:
        """The dead-letter topic, made where it is missing and may be. Raises Fatal.

        A larger original value is replaced by its address and digest: key and headers need some of the topic's limit.
        """
        letters = self.settings.dead_letters
        topic = self.settings.dead_letter_topic
        if letters.create and not topics.describe([topic]):
            topics.create(topic, letters.partitions, letters.replication, _LETTER_TOPIC_CONFIG)
        info = self._existing(topics, topic, "dead_letters.create")
        limit = min(
            int(info.config.get("max.message.bytes", _BROKER_DEFAULT_BYTES)),
            self.client_bytes,
        )
        return Letterbox(topic, info.partitions, limit - min(_ROOM_IN_A_LETTER_BYTES, limit // 2))

    def _existing(self, topics: Topics, topic: str, key: str) -> TopicInfo:
        info = topics.describe([topic], settings=True).get(topic)
        if info is None:
            raise Fatal(f"The topic {topic} does not exist; create it, or let embedstream do so with {key} = true.")
        return info

    def _group(self, role: str, fingerprint: str) -> str:
        return f"{self.settings.kafka.group_prefix}.{role}.{fingerprint}.g{self.settings.index.generation}"
