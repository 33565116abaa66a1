"""The plain sections of the file: each is one table, its keys, their units, limits and defaults.

What a key means stands beside it; what two sections must agree on is checked in ``compose.settings``. Defaults are
those of a single machine: loopback, one replica, the index in a folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from adapters.confidential import without_user_info
from adapters.qdrant.options import ServerOptions, is_server
from compose.address import Address, Listen
from compose.key_settings import KeySettings
from compose.located import located
from compose.qdrant_settings import QdrantSettings
from compose.section import Positive, Seconds, Section, Text, Topic, Whole
from serving.keys import ApiKey
from serving.limits import Limits
from serving.request import RequestRules
from stream.chunking import library_of, validate
from stream.contract import ChunkingContract, Strategy
from stream.errors import Misuse
from stream.ports import FieldType

_MIB = 1 << 20
_ANY_ENCODER = 1 << 30
"""What the encoder reads is not known yet; it is checked again when its tokenizer is."""
_KAFKA_RECORD_ROOM = 15 * _MIB
"""The topic takes 16 MiB a record; key, headers and framing need some of it."""


class ChunksSettings(Section):
    """The chunk topic."""

    topic: Topic
    partitions: Positive = 8
    replication: Positive = 1
    create: bool = True
    """Make the topic where it does not exist."""
    max_event_bytes: Annotated[Positive, Field(ge=1024, le=_KAFKA_RECORD_ROOM)] = 8 * _MIB
    """A larger event (encoded) is poison."""


class ChunkingSettings(Section):
    """How texts are cut; sizes are in tokens of the encoder's own tokenizer. All of it is part of the contract."""

    strategy: Strategy = "anchored"
    """``anchored``: boundaries by content; ``sentence``; ``structure``: Markdown; ``fixed``: windows of words."""
    min_tokens: Positive = 48
    """``anchored``: shorter passages are joined where they fit. ``structure``: no heading ends a shorter one."""
    max_tokens: Positive = 200
    overlap_tokens: Annotated[Whole, Field(ge=0)] = 0
    """``fixed`` and ``sentence``: how much of a passage the next one repeats, at most."""
    title_max_tokens: Annotated[Whole, Field(ge=0)] = 32
    """Of the title in front of each passage."""

    @model_validator(mode="after")
    def _sizes_agree(self) -> "ChunkingSettings":
        try:
            validate(self.contract(""), _ANY_ENCODER, 0, 0)
        except Misuse as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return self

    def contract(self, tokenizer_digest: str) -> ChunkingContract:
        """The shared half of the contract that these settings stand for."""
        return ChunkingContract(
            strategy=self.strategy,
            min_tokens=self.min_tokens,
            max_tokens=self.max_tokens,
            overlap_tokens=self.overlap_tokens,
            title_max_tokens=self.title_max_tokens,
            tokenizer=tokenizer_digest,
            library=library_of(self.strategy),
        )


class ChunkerSettings(Section):
    """The chunker process."""

    instance: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "0"
    """Stable over restarts and different for each chunker of a group: a successor fences its predecessor by it."""
    transaction_timeout_ms: Annotated[Positive, Field(ge=1000, le=900_000)] = 10_000
    max_poll_records: Positive = 500
    """Records of one transaction, at most."""
    runtime: Literal["embedstream", "faust"] = "embedstream"
    """``faust``: the chunker runs as ``faust -A consumers.faust_chunker worker``, at least once, so that its chunk
    topic is not compacted. Every process of the deployment has to be told.
    """
    topic_wait_s: Seconds = 60.0
    """How long a CDC topic that does not exist yet is waited for."""
    lineage_check_s: Seconds = 1.0
    """How often the ids of the topics are compared with the committed lineage."""


class EmbedderSettings(Section):
    """The embedder process."""

    batch_tokens: Positive | None = None
    """Token budget of a batch, planned and written as one; left out: 2,048 on a CPU, 32,768 on an accelerator."""
    backlog_tokens: Positive = 262_144
    """Estimated tokens that wait at most; above it partitions are paused while polling goes on."""
    max_poll_records: Positive = 500
    flush_interval_s: Seconds = 1.0
    """The index is flushed before offsets are committed, at most this often."""
    drain_deadline_s: Seconds = 20.0
    """On revoke and at the end: how long batches in flight may take to be applied."""
    replay_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the device, at most, while users search another collection than this one: the replay of an upgrade."""
    audit_per_s: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    """Points of the index that are audited a second, one after another, vectors too; 0: none. One process of a group
    is enough: each walks the whole collection.
    """

    def batch_tokens_on(self, device: str) -> int:
        """The budget on ``cpu``, ``cuda``, ``cuda:1`` or ``mps``."""
        if self.batch_tokens is not None:
            return self.batch_tokens
        return 2_048 if device.startswith("cpu") else 32_768


class EncodingSettings(Section):
    """The model and where it runs. Only the model is part of the contract."""

    model: Text
    """``package:name``, ``path:folder``, ``hub:org/name@revision``; ``hash:dimensions`` needs no model at all."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    number_format: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto``: bfloat16 where the hardware multiplies it natively. The probes guard it."""
    batch_tokens: Positive | None = None
    """Padded tokens of one forward pass; left out: what suits the device."""
    threads: Positive | None = None
    """Threads of one forward pass on a CPU; left out: the library's choice."""

    @field_validator("model")
    @classmethod
    def _names_a_kind(cls, model: str, info: ValidationInfo) -> str:
        kind, colon, rest = model.partition(":")
        if not colon or not rest:
            raise ValueError(
                f"`model` is {model!r}; it is package:NAME, path:FOLDER, hub:ORG/NAME@REVISION or hash:DIMENSIONS"
            )
        return f"path:{located(rest, info)}" if kind == "path" else model


class IndexSettings(Section):
    """The index that users search."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*$", max_length=128)]
    """No two underscores in a row: they part the collection's name."""
    url: Text
    """``edge:FOLDER``: in this process, in that folder; ``http(s)://`` or ``grpc(s)://HOST:PORT``: a Qdrant."""
    generation: Positive = 1
    """Raised to build the index anew beside the old one."""
    store_text: bool = True
    """Keep each passage's text in the index, to be shown with a hit."""
    grace_s: Annotated[Seconds, Field(ge=2)] = 3600.0
    """How long a mark is kept at least; no write is older than half of it."""
    qdrant: QdrantSettings = QdrantSettings()
    """For a server alone."""

    @field_validator("url")
    @classmethod
    def _is_a_folder_or_a_server(cls, url: str, info: ValidationInfo) -> str:
        if is_server(url):
            return url
        kind, colon, rest = url.partition(":")
        if kind != "edge" or not colon or not rest:
            raise ValueError(
                f"`url` is {without_user_info(url)!r}; it is edge:FOLDER, as edge:data/index, or a Qdrant server, "
                "as http://127.0.0.1:6333 or grpc://127.0.0.1:6334"
            )
        return f"edge:{located(rest, info)}"

    @model_validator(mode="after")
    def _server_agrees(self) -> "IndexSettings":
        if not is_server(self.url):
            if self.qdrant.model_fields_set:
                raise ValueError(
                    f"`qdrant` says how a server is used, and `url` is {self.url!r}, which is a folder; take the "
                    "table [index.qdrant] out, or name a server"
                )
            return self
        try:
            self.qdrant.options(self.url)
        except Misuse as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return self

    @property
    def server(self) -> ServerOptions | None:
        """The Qdrant server that keeps the index; None: a folder does."""
        return self.qdrant.options(self.url) if is_server(self.url) else None

    @property
    def folder(self) -> Path:
        """Absolute; of an index that is kept in one."""
        return Path(self.url.removeprefix("edge:"))

    @property
    def not_made_yet(self) -> bool:
        """Whether there is no folder of it: opening it would make one. Of a server nothing is known before."""
        return not is_server(self.url) and not self.folder.exists()

    @property
    def plan_max_age_s(self) -> float:
        """A plan older than this is made again instead of written: half of the grace."""
        return self.grace_s / 2


class QuerySettings(Section):
    """The query service."""

    listen: Listen = Address("127.0.0.1", 8080)
    max_text_chars: Positive = 8_192
    """Of a query, in code points; longer ones are refused. The model's own maximum holds besides."""
    max_limit: Positive = 200
    """The most hits that one request may ask for."""
    max_queries: Positive = 32
    """Texts of one search (``queries``)."""
    max_texts: Positive = 256
    """Texts of one request for embeddings."""
    max_body_bytes: Positive | None = None
    """Of one request; larger ones are not read. Left out: 4 MiB, or more where a search may need it."""
    concurrency: Positive = 64
    """Requests in work at once; one more is told to come back."""
    deadline_ms: Annotated[Positive, Field(le=600_000)] = 10_000
    """From a request's first line to its answer; a client may ask for less."""
    key: tuple[KeySettings, ...] = ()
    """API keys; without any, whoever reaches the address may ask."""

    @model_validator(mode="after")
    def _keys_differ(self) -> "QuerySettings":
        for number, key in enumerate(self.key):
            for other, earlier in enumerate(self.key[:number]):
                if key.name == earlier.name:
                    raise ValueError(f"`key.{number}.name` is {key.name!r}, as is that of key {other}")
                if key.secret == earlier.secret:
                    raise ValueError(f"`key.{number}.secret` is that of key {other}; each needs its own")
        return self

    @model_validator(mode="after")
    def _a_search_is_read(self) -> "QuerySettings":
        least = self.rules({}).largest_body_bytes
        if self.max_body_bytes is not None and self.max_body_bytes < least:
            raise ValueError(
                f"`max_body_bytes` is {self.max_body_bytes}, and a search of {self.max_queries} texts (max_queries) "
                f"of {self.max_text_chars} characters (max_text_chars) may have {least}; raise it, lower one of the "
                "others, or leave it out"
            )
        return self

    def rules(self, fields: Mapping[str, FieldType]) -> RequestRules:
        """What a search may ask of an index with these fields."""
        return RequestRules(
            max_text_chars=self.max_text_chars,
            max_queries=self.max_queries,
            max_limit=self.max_limit,
            fields=fields,
        )

    @property
    def limits(self) -> Limits:
        """As the service enforces them."""
        most = self.max_body_bytes or max(Limits().max_body_bytes, self.rules({}).largest_body_bytes)
        return Limits(self.max_texts, most, self.concurrency, self.deadline_ms / 1000)

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """Without their secrets."""
        return tuple(key.key() for key in self.key)


class TelemetrySettings(Section):
    """``/metrics /healthz /readyz`` of every process; where the port is taken, the next free one is used."""

    listen: Listen = Address("127.0.0.1", 9464)


class DeadLettersSettings(Section):
    """Where poison goes."""

    topic: Topic | None = None
    """Left out: ``<kafka.group_prefix>.dead-letters``."""
    partitions: Positive = 1
    replication: Positive = 1
    create: bool = True
