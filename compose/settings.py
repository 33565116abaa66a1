"""The whole configuration as one frozen value, read from one TOML file and the environment.

:func:`load` gives settings that agree with each other or raises Misuse with one sentence that names the key, what was
found and what is expected; nothing is started with a configuration that is half understood, and no key is ignored.

Paths of the file (``edge:data/index``, ``path:models/x``) are relative to the folder of the file, so that a command
given from elsewhere opens the same index instead of making a second, empty one; without a file they are relative to
the current directory. Kafka's own paths (``ssl.ca.location``) and the files of ``…_FILE`` variables pass through as
they stand: the process resolves them.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from compose import kafka_settings, registry_settings
from compose.complaint import complaint, section_of
from compose.environment import overlay
from compose.kafka_settings import KafkaSettings
from compose.registry_settings import RegistrySettings
from compose.section import Section
from compose.sections import (
    ChunkerSettings,
    ChunkingSettings,
    ChunksSettings,
    DeadLettersSettings,
    EmbedderSettings,
    EncodingSettings,
    IndexSettings,
    QuerySettings,
    TelemetrySettings,
)
from compose.source_settings import SourceSettings
from stream.errors import Misuse
from stream.ports import FieldType
from stream.source import Source


class Settings(Section):
    """One deployment. Field names are the tables of the file."""

    kafka: KafkaSettings
    registry: RegistrySettings = RegistrySettings()
    source: Annotated[tuple[SourceSettings, ...], Field(min_length=1)]
    chunks: ChunksSettings
    chunking: ChunkingSettings = ChunkingSettings()
    chunker: ChunkerSettings = ChunkerSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    encoding: EncodingSettings
    index: IndexSettings
    query: QuerySettings = QuerySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    dead_letters: DeadLettersSettings = DeadLettersSettings()

    @property
    def sources(self) -> tuple[Source, ...]:
        """In the order of the file."""
        return tuple(source.source() for source in self.source)

    @property
    def dead_letter_topic(self) -> str:
        """``<kafka.group_prefix>.dead-letters`` unless it was named."""
        return self.dead_letters.topic or f"{self.kafka.group_prefix}.dead-letters"

    @property
    def fields(self) -> dict[str, FieldType]:
        """Payload fields of all sources, by which hits can be filtered."""
        return {name: kind for source in self.sources for name, kind in source.fields.items()}

    @model_validator(mode="after")
    def _sections_agree(self) -> "Settings":
        names: dict[str, int] = {}
        topics: dict[str, str] = {self.chunks.topic: "chunks.topic"}
        kinds: dict[str, tuple[str, FieldType]] = {}
        _claim(topics, self.dead_letter_topic, "dead_letters.topic")
        for number, source in enumerate(self.source):
            if source.name in names:
                raise ValueError(
                    f"`source.{number}.name` is {source.name!r}, as is `source.{names[source.name]}.name`; documents "
                    "of two sources would share their ids"
                )
            names[source.name] = number
            _claim(topics, source.topic, f"source.{number}.topic")
            for name, kind in source.source().fields.items():
                other, known = kinds.setdefault(name, (source.name, kind))
                if known != kind:
                    raise ValueError(
                        f"`source.{number}.fields.{name}` is {kind!r}, and {known!r} in source {other!r}; one field "
                        "has one type in the index"
                    )
        self._check_keys()
        return self

    def _check_keys(self) -> None:
        """What binds an API key has to be in the index: a field that is not there would hide all of it."""
        tenant: dict[str, FieldType] = {"tenant": "keyword"} if any(source.tenant for source in self.source) else {}
        for number, key in enumerate(self.query.key):
            fault = key.fault({**self.fields, **tenant})
            if fault is not None:
                raise ValueError(f"`query.key.{number}.{fault.removeprefix('`')}")


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of ``path`` (None: of the environment alone). Raises Misuse with one sentence."""
    folder = Path.cwd() if path is None else path.absolute().parent
    laid = overlay({} if path is None else _read(path), environ, _known_keys())
    try:
        return Settings.model_validate(laid.tree, context={"folder": folder})
    except ValidationError as error:
        where = "The configuration" if path is None else str(path)
        raise Misuse(f"{where}: {complaint(error, Settings, laid.origins)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Misuse(f"There is no configuration file {path}; name one with --config.") from None
    except OSError as error:
        raise Misuse(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Misuse(f"The configuration file {path} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise Misuse(f"The configuration file {path} is not TOML: {error}.") from None


def _known_keys() -> set[tuple[str, str]]:
    """(section, key) of every value outside the lists, and the usual properties of Kafka and the registry."""
    known = {("kafka", name) for name in kafka_settings.WELL_KNOWN}
    known |= {("registry", name) for name in registry_settings.WELL_KNOWN}
    for section, info in Settings.model_fields.items():
        table: type[BaseModel] | None = section_of(info.annotation)
        if table is not None:
            known |= {(section, key) for key in table.model_fields if key != "properties"}
    return known


def _claim(topics: dict[str, str], topic: str, key: str) -> None:
    if topic in topics:
        raise ValueError(f"`{key}` and `{topics[topic]}` are both {topic!r}; each needs a topic of its own")
    topics[topic] = key
