"""The ``[registry]`` section: how the schema registry is reached, if the topics' records are framed by one.

Every property of the registry's client passes through (``adapters.schema_registry.properties`` is asked while the
file is read); ``user`` and ``password`` stand for its ``basic.auth.user.info``, so that a password can come from a
file of its own. A source need not say that it is framed: its records show it. Without a ``url`` a framed record stops
the chunker, or becomes a dead letter where ``on_framed`` says so; with one, so does a record whose schema the
registry does not have (``on_unknown_schema``).

Dots may be written as tables, numbers and flags as such, as in ``[kafka]``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from adapters.confidential import masked
from adapters.schema_registry.properties import KNOWN, USER_INFO, client_properties
from compose.kafka_settings import flat
from compose.section import Section
from stream.errors import Misuse
from stream.framed import OnFramed, OnUnknownSchema

_CHOICES = ("on_framed", "on_unknown_schema")
OWN_KEYS = frozenset({"user", "password", *_CHOICES})
WELL_KNOWN = (*sorted(KNOWN), *sorted(OWN_KEYS))


def property_name(segment: str) -> str:
    """The key that a segment of an environment name stands for: ``SSL_CA_LOCATION`` → ``ssl.ca.location``."""
    lowered = segment.lower()
    return lowered if lowered in OWN_KEYS else lowered.replace("_", ".")


class RegistrySettings(Section):
    """``properties`` go to the client as they stand, secrets among them; without a registry there are none."""

    on_framed: OnFramed = "stop"
    """What a framed record means where there is no registry: ``stop``, or ``dead-letter``."""
    on_unknown_schema: OnUnknownSchema = "stop"
    """What a record means whose schema the registry does not have: ``stop``, or ``dead-letter``."""
    properties: Mapping[str, str | int | float | bool] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, table: object) -> object:
        if not isinstance(table, Mapping):
            return table
        own = {key: value for key, value in table.items() if key in _CHOICES}
        properties = dict(flat({key: value for key, value in table.items() if key not in OWN_KEYS}))
        _check_kinds(properties)
        user, password = (_credential(table, key) for key in ("user", "password"))
        if (user is None) != (password is None):
            raise ValueError("`user` and `password` belong together; set both, or neither")
        if user is not None:
            if USER_INFO in properties:
                raise ValueError(f"`user` and `{USER_INFO}` are both set; leave one of them out")
            if ":" in user:
                raise ValueError("`user` holds a colon, which basic authentication has no place for")
            properties[USER_INFO] = f"{user}:{password}"
        if properties and "on_framed" in own:
            raise ValueError("`on_framed` is for a pipeline without a registry; leave it out, or the other keys")
        if not properties and "on_unknown_schema" in own:
            raise ValueError("`on_unknown_schema` is for a pipeline with a registry; set `url` too, or leave it out")
        if properties and not properties.get("url"):
            raise ValueError("`url` is missing: the registry's address, as http://registry:8081")
        if properties:
            _check(properties)
        return {**own, "properties": properties}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for choice in _CHOICES:
            yield choice, getattr(self, choice)
        yield "properties", masked(self.properties)

    @model_serializer(mode="wrap")
    def _without_secrets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        del serialize
        return {**{choice: getattr(self, choice) for choice in _CHOICES}, **masked(self.properties)}


def _check_kinds(properties: Mapping[str, object]) -> None:
    for name, value in properties.items():
        if not isinstance(value, str | int | float):
            raise ValueError(  # noqa: TRY004 - pydantic takes a ValueError for a finding
                f"`{name}` is a {type(value).__name__}; a property is text, a number, or true or false"
            )


def _credential(table: Mapping[str, object], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{key}` is expected to be text")
    return value


def _check(properties: Mapping[str, Any]) -> None:
    try:
        client_properties(properties)
    except Misuse as error:
        raise ValueError(str(error).removesuffix(".")) from error
