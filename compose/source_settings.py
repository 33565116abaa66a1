"""A ``[[source]]`` of the file: one CDC topic and the mapping of its columns, read into a ``stream.source.Source``.

Types are checked here, so that an error names the key; what makes a mapping sound (no reserved field names, no column
twice) is the source's own law and is asked of it while the file is read. A column written with a question mark
(``"summary?"``) may be absent from a row; any other absent column stops the chunker, because a renamed column must
not empty an index.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from compose.section import Section, Text, Topic
from stream.errors import Misuse
from stream.ports import FieldType
from stream.source import Source


class SourceSettings(Section):
    """Column names are those of the row, their case included."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    """Stable and its own, not the topic's: it begins every document's id."""
    topic: Topic
    format: Literal["debezium", "mongodb", "document"] = "debezium"
    """``debezium``: the events of its connectors for tables, in their envelope or flattened; ``mongodb``: those of
    its connector for MongoDB; ``document``: plain JSON objects, a null value is a delete."""
    key: tuple[Text, ...] = ()
    """Columns of the message key that make the document's id, in order; left out: all."""
    title: Text | None = None
    text: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Columns that are joined by a blank line."""
    fields: Mapping[Text, FieldType] = Field(default_factory=dict)
    """Payload fields, filterable."""
    tenant: Text | None = None
    heartbeat: Topic | None = None
    """The connector's heartbeat topic: tells a quiet source from a dead connector."""
    signal: Topic | None = None
    """The topic in which the connector looks for signals (its ``signal.kafka.topic``): an upgrade may need one."""
    on_truncate: Literal["stop", "dead-letter"] = "stop"

    @model_validator(mode="after")
    def _sound(self) -> "SourceSettings":
        try:
            self.source()
        except Misuse as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return self

    def source(self) -> Source:
        """The value that the core works with. Raises Misuse where the mapping is not sound."""
        return Source.written(
            name=self.name,
            topic=self.topic,
            format=self.format,
            key=self.key,
            title=self.title,
            text=self.text,
            fields=self.fields,
            tenant=self.tenant,
            heartbeat=self.heartbeat,
            signal=self.signal,
            on_truncate=self.on_truncate,
        )
