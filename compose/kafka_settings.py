"""The ``[kafka]`` section: any librdkafka property passes through, but for those on which the guarantees rest.

A property of this list would break an invariant if it were changed (a reader that sees aborted transactions, an
offset that is committed by a timer), so it is refused by name rather than overridden in silence. With the broker-side
group protocol, the default, three properties are the broker's to decide; librdkafka refuses them only when a consumer
is created, so they are refused here, where the sentence can name the cure.

Dots may be written as tables (``bootstrap.servers = …`` without quotes is TOML for one), numbers and flags as such.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from compose.section import Section, Text, masked

OWN_KEYS = frozenset({"group_prefix"})

_DECIDED = {
    "auto.offset.reset": "an offset that is gone must stop the process, never be jumped over",
    "enable.auto.commit": "an offset is committed only when everything below it is done",
    "enable.auto.offset.store": "an offset is committed only when everything below it is done",
    "enable.idempotence": "a retry must not write a record twice",
    "enable.partition.eof": "the end of a partition is what brings the lag to zero",
    "group.id": "groups are named after the contract; see kafka.group_prefix",
    "isolation.level": "records of an aborted transaction must not be seen",
    "partitioner": "the partition of a document is chosen by embedstream",
    "transactional.id": "it is made of the group and chunker.instance",
    "transaction.timeout.ms": "set chunker.transaction_timeout_ms",
}
_BROKER_SIDE = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")
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
        for name, value in _flat(rest):
            if "_" in name:
                raise ValueError(f"`{name}` is not a known key{_nearest(name)}")
            if name in _DECIDED:
                raise ValueError(f"`{name}` cannot be changed: {_DECIDED[name]}")
            properties[name] = _text(name, value)
        _check_reachable(properties)
        return {**own, "properties": properties}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        yield "group_prefix", self.group_prefix
        yield "properties", masked(self.properties)

    @model_serializer(mode="wrap")
    def _without_secrets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        del serialize
        return {"group_prefix": self.group_prefix, **masked(self.properties)}

    def with_properties(self, changed: Mapping[str, str]) -> Self:
        """A copy with other properties, for a stack that knows its own addresses."""
        return self.model_copy(update={"properties": {**self.properties, **changed}})


def _check_reachable(properties: Mapping[str, str]) -> None:
    if not properties.get("bootstrap.servers", "").strip():
        near = difflib.get_close_matches("bootstrap.servers", properties, 1, 0.7)
        also = f"; `{near[0]}` is not it" if near else ""
        raise ValueError(f"`bootstrap.servers` is missing: the brokers' host:port, several with commas{also}")
    protocol = properties["group.protocol"]
    if protocol not in ("consumer", "classic"):
        raise ValueError(f"`group.protocol` is {protocol!r}; it is consumer or classic")
    for name in _BROKER_SIDE:
        if protocol == "consumer" and name in properties:
            raise ValueError(
                f"`{name}` is decided by the broker under group.protocol = consumer; leave it out, or set "
                "group.protocol = classic"
            )


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        found.extend(_flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)])
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
