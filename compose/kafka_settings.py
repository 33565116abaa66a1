"""The ``[kafka]`` section: any librdkafka property passes through, but for those on which the guarantees rest.

Which those are is the law of ``adapters.kafka.properties``; it is asked here, while the file is read, so that nothing
is started with a configuration that some client would refuse later. Keys are checked as far as they can be: Kafka's
own have dots and no underscores, and brokers are needed.

Dots may be written as tables (``bootstrap.servers = …`` without quotes is TOML for one), numbers and flags as such.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from adapters.confidential import masked
from adapters.kafka.properties import consumer_properties, transactional_properties
from compose.section import Section, Text
from stream.errors import Misuse

OWN_KEYS = frozenset({"group_prefix"})

WELL_KNOWN = (
    "bootstrap.servers",
    "group.protocol",
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "client.id",
    "client.rack",
    "debug",
    "compression.type",
    "fetch.min.bytes",
    "linger.ms",
    "max.poll.interval.ms",
    "message.max.bytes",
    "session.timeout.ms",
)


def property_name(segment: str) -> str:
    """The key that a segment of an environment name stands for: ``bootstrap_servers`` → ``bootstrap.servers``."""
    lowered = segment.lower()
    return lowered if lowered in OWN_KEYS else lowered.replace("_", ".")


class KafkaSettings(Section):
    """How the brokers are reached. ``properties`` go to every client as they stand, secrets among them."""

    group_prefix: Text = "embedstream"
    properties: Mapping[str, str] = Field(repr=False)

    @property
    def bootstrap_servers(self) -> str:
        """``host:port``, several with commas."""
        return self.properties["bootstrap.servers"]

    @property
    def group_protocol(self) -> str:
        """``consumer`` (decided by the broker) or ``classic``."""
        return self.properties["group.protocol"]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, table: object) -> object:
        if not isinstance(table, Mapping):
            return table
        own = {key: value for key, value in table.items() if key in OWN_KEYS}
        rest = {key: value for key, value in table.items() if key not in OWN_KEYS}
        properties = {"group.protocol": "consumer"}
        for name, value in flat(rest):
            if "_" in name:
                raise ValueError(f"`{name}` is not a known key{_nearest(name)}")
            properties[name] = _text(name, value)
        _check(properties)
        return {**own, "properties": properties}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        yield "group_prefix", self.group_prefix
        yield "properties", masked(self.properties)

    @model_serializer(mode="wrap")
    def _without_secrets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        del serialize
        return {"group_prefix": self.group_prefix, **masked(self.properties)}


def _check(properties: Mapping[str, str]) -> None:
    if not properties.get("bootstrap.servers", "").strip():
        near = difflib.get_close_matches("bootstrap.servers", properties, 1, 0.7)
        also = f"; `{near[0]}` is not it" if near else ""
        raise ValueError(f"`bootstrap.servers` is missing: the brokers' host:port, several with commas{also}")
    try:
        consumer_properties(properties, "any")
        transactional_properties(properties, "any", 1000)
    except Misuse as error:
        raise ValueError(str(error).removesuffix(".")) from error


def flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and their values, whether the dots were written as such or as tables."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        found.extend(flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)])
    return found


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"`{name}` is a {type(value).__name__}; a Kafka property is text, a number, or true or false")


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.replace("_", "."), [*WELL_KNOWN, *OWN_KEYS], 1, 0.6)
    near = near or difflib.get_close_matches(name, sorted(OWN_KEYS), 1, 0.6)
    return f"; did you mean `{near[0]}`?" if near else "; Kafka's own properties are written with dots"
