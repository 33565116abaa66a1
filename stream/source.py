"""A source: one CDC topic and the mapping of its columns to a document's title, text, payload fields and tenant.

Its name is stable and its own: it begins every document's id, so it outlives a renamed topic. The name holds no slash
and nothing else that a group, a collection or a fingerprint would have to escape.

A column marked with ``?`` may be absent from a row. The mark is not part of the contract: it decides whether a row
without the column stops the process or counts as NULL, never what is embedded of a row that is read, and adding it is
the cure of a stopped process, which must not cost a rebuild.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

from stream.contract import TextMapping
from stream.errors import Misuse
from stream.payload import RESERVED
from stream.ports import FieldType

Format = Literal["debezium", "mongodb", "document"]
OnTruncate = Literal["stop", "dead-letter"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row. ``optional``: the row may lack it, which then reads as NULL."""

    name: str
    optional: bool = False

    @classmethod
    def parse(cls, written: str) -> Self:
        """``"summary?"`` is a column that may be absent, ``"summary"`` one that may not."""
        return cls(written.removesuffix("?"), written.endswith("?"))


@dataclass(frozen=True, slots=True)
class Source:
    """A named stream of documents. Raises Misuse, naming the source, where it cannot be one.

    ``key`` holds columns of the message key in the order in which they name a document; empty means all, in the
    record's order. ``optional`` adds title, tenant and field columns to those that may be absent.
    """

    name: str
    topic: str
    format: Format
    key: tuple[str, ...] = ()
    title: str | None = None
    text: tuple[Column, ...] = ()
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    tenant: str | None = None
    heartbeat: str | None = None
    signal: str | None = None
    """The topic in which the connector looks for signals."""
    on_truncate: OnTruncate = "stop"
    optional: frozenset[str] = frozenset()

    @classmethod
    def written(  # noqa: PLR0913 - one keyword for each line of the configuration
        cls,
        *,
        name: str,
        topic: str,
        format: str = "debezium",  # noqa: A002 - the configuration's own word
        key: Iterable[str] = (),
        title: str | None = None,
        text: Iterable[str],
        fields: Mapping[str, FieldType] | None = None,
        tenant: str | None = None,
        heartbeat: str | None = None,
        signal: str | None = None,
        on_truncate: str = "stop",
    ) -> Self:
        """As a configuration writes it: any mapped column may end in ``?``."""
        columns = tuple(map(Column.parse, text))
        others = [Column.parse(column) for column in (title, tenant, *(fields or ())) if column is not None]
        return cls(
            name=name,
            topic=topic,
            format=format,  # type: ignore[arg-type] # checked by __post_init__
            key=tuple(key),
            title=None if title is None else Column.parse(title).name,
            text=columns,
            fields={Column.parse(column).name: kind for column, kind in (fields or {}).items()},
            tenant=None if tenant is None else Column.parse(tenant).name,
            heartbeat=heartbeat,
            signal=signal,
            on_truncate=on_truncate,  # type: ignore[arg-type] # checked by __post_init__
            optional=frozenset(column.name for column in others if column.optional),
        )

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Misuse(
                f"A source cannot be named {self.name!r}: use lower-case letters, digits, '_' and '-', beginning "
                "with a letter or digit; the name is part of every document's id and never changes."
            )
        if not self.topic:
            raise self._wrong("has no topic; name the CDC topic it reads")
        self._one_of("format", self.format, get_args(Format))
        self._one_of("on_truncate", self.on_truncate, get_args(OnTruncate))
        if not self.text:
            raise self._wrong("maps no text; name at least one column in text")
        for part, names in (("key", self.key), ("text", tuple(column.name for column in self.text))):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise self._wrong(f"names the column {twice[0]!r} twice in {part}")
        if "" in (self.title, self.tenant, *self.key, *self.fields, *(column.name for column in self.text)):
            raise self._wrong("maps a column without a name")
        for column, kind in self.fields.items():
            self._one_of(f"the type of field {column!r}", kind, get_args(FieldType))
            if column in RESERVED:
                raise self._wrong(
                    f"has a payload field {column!r}, a name that every point uses itself; give the column another "
                    "name on its way into the topic"
                )

    @property
    def mapping(self) -> TextMapping:
        """What of this source decides a text, and so is part of the contract: title and text columns in order."""
        return TextMapping(source=self.name, title=self.title, text=tuple(column.name for column in self.text))

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every mapped column once. One that is marked anywhere may be absent."""
        absent = self.optional | {column.name for column in self.text if column.optional}
        names = (self.title, *(column.name for column in self.text), *self.fields, self.tenant)
        return tuple(Column(name, name in absent) for name in dict.fromkeys(names) if name is not None)

    def _one_of(self, part: str, value: object, known: tuple[str, ...]) -> None:
        if value not in known:
            raise self._wrong(f"has {value!r} for {part}; known are {', '.join(map(repr, known))}")

    def _wrong(self, what: str) -> Misuse:
        return Misuse(f"Source {self.name!r} {what}.")
