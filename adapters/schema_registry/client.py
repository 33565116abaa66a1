"""One registry's schemas: each is asked for once, and what an unknown one means is decided here.

A schema never changes under its number, so one that was read is kept for as long as the process lives. That a
registry does not have one is believed only after asking for two seconds: a follower learns of a new schema a moment
after the producer that registered it with the leader has written under it, and a record must not become a dead letter
for having been read in that moment. Once believed, the process stops: a registry that does not know what the topic
was written under is, as a rule, not the topic's. Where such records are strays, ``dead-letter`` says so; what is
unknown is then not asked for again for five minutes, so that a thousand records make no thousand requests.

While the registry is away every call raises Outage with a growing time to wait, or the one that it asked for
(retry-after); nothing is decided and nothing is remembered.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from adapters.schema_registry.failures import failure, is_unknown
from adapters.schema_registry.properties import Given, client_properties
from schemas.framing import SchemaId
from stream.errors import Fatal, Misuse, Outage, Poison
from stream.framed import OnUnknownSchema
from stream.ports import Step, no_step

_DOUBTED_S = 2.0
_ASKED_AGAIN_S = 0.25
_BELIEVED_S = 300.0
_REMEMBERED = 10_000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 15.0
_LONGEST_ASKED_WAIT_S = 60.0
"""What the other side asks for is honoured, but a group's member has to poll again within minutes."""

Asked = SchemaId | tuple[str, int]
"""A schema by its number or GUID, or a version of a subject, as references name one."""


@dataclass(slots=True)
class _Missing:
    since: float
    believed: float | None = None


class RegistrySchemas:
    """The schemas of one registry. Used by one thread. Raises Misuse where the client cannot be made."""

    def __init__(
        self,
        given: Given,
        on_unknown: OnUnknownSchema = "stop",
        now: Callable[[], float] = time.monotonic,
        step: Step = no_step,
    ) -> None:
        properties = client_properties(given)
        self._on_unknown = on_unknown
        self.url = str(properties["url"])
        self._now = now
        self._step = step
        self._known: dict[Asked, Schema] = {}
        self._missing: dict[Asked, _Missing] = {}
        self._failures = 0
        self._asked_wait_s: float | None = None
        self._client = _made(properties)
        # The client's own errors tell no header of the answer.
        session = self._client._rest_client.session  # noqa: SLF001 - there is no other way to the headers
        session.event_hooks = {"response": [self._note_wait]}

    def schema(self, name: SchemaId) -> Schema:
        """Raises Outage, and Fatal, or Poison of kind ``unknown-schema`` where that was chosen."""
        if isinstance(name, int):
            return self._kept(name, lambda: self._client.get_schema(name), f"schema {name}")
        return self._kept(name, lambda: self._client.get_schema_by_guid(str(name)), f"the schema of GUID {name}")

    def version(self, subject: str, version: int) -> Schema:
        """What a reference names; deleted ones too, because records written under them are still there."""
        return self._kept(
            (subject, version),
            lambda: self._client.get_version(subject, version, deleted=True).schema,
            f"version {version} of subject {subject!r}",
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _kept(self, asked: Asked, ask: Callable[[], Schema], what: str) -> Schema:
        known = self._known.get(asked)
        if known is None:
            self._refuse_believed(asked, what)
            known = self._known[asked] = self._answer(asked, ask, what)
            self._missing.pop(asked, None)
        return known

    def _answer(self, asked: Asked, ask: Callable[[], Schema], what: str) -> Schema:
        self._step("ask registry")
        self._asked_wait_s = None
        try:
            schema = ask()
        except Exception as error:
            if is_unknown(error):
                self._failures = 0
                raise self._unknown(asked, what) from error
            raise failure(error, f"asked for {what}", self.url, self._wait_s()) from error
        self._failures = 0
        if schema.schema_str is None:
            raise failure(ValueError("it holds no schema"), f"asked for {what}", self.url, 0.0)
        return schema

    def _unknown(self, asked: Asked, what: str) -> Poison | Outage | Fatal:
        if len(self._missing) >= _REMEMBERED:
            self._missing.clear()
        now = self._now()
        missing = self._missing.setdefault(asked, _Missing(now))
        if now - missing.since < _DOUBTED_S:
            return Outage(f"The schema registry at {self.url} does not have {what} yet.", _ASKED_AGAIN_S)
        missing.believed = now
        return self._believed(what)

    def _refuse_believed(self, asked: Asked, what: str) -> None:
        missing = self._missing.get(asked)
        if missing is not None and missing.believed is not None and self._now() - missing.believed < _BELIEVED_S:
            raise self._believed(what)

    def _believed(self, what: str) -> Poison | Fatal:
        happened = (
            f"A record names {what}, which the schema registry at {self.url} does not have; register it there again, "
            "or point [registry] at the registry that the producer uses"
        )
        if self._on_unknown == "dead-letter":
            return Poison("unknown-schema", f"{happened}.")
        return Fatal(f'{happened}, or, if such records are strays, set on_unknown_schema = "dead-letter" there.')

    def _wait_s(self) -> float:
        """Doubled with each failure in a row, and blurred, so that many processes do not come back at once."""
        self._failures += 1
        if self._asked_wait_s is not None:
            return min(self._asked_wait_s, _LONGEST_ASKED_WAIT_S)
        longest = min(_FIRST_WAIT_S * 2.0 ** min(self._failures, 16), _LONGEST_WAIT_S)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it

    def _note_wait(self, response: Any) -> None:  # noqa: ANN401 - of one of two HTTP libraries
        asked = str(response.headers.get("retry-after", ""))
        self._asked_wait_s = float(asked) if asked.isdecimal() and len(asked) < 9 else None


def _made(properties: Mapping[str, object]) -> SchemaRegistryClient:
    try:
        return SchemaRegistryClient(dict(properties))
    except OSError as error:
        # The client opens the certificates at once, and its errors name no key.
        raise Misuse(
            "A certificate or key file of [registry] cannot be used: "
            f"{error.strerror or type(error).__name__}; correct ssl.ca.location, ssl.certificate.location, "
            "ssl.key.location or ssl.key.password."
        ) from error
    except (ValueError, TypeError) as error:
        raise Misuse(f"[registry] makes no client: {str(error).strip().rstrip('.')}.") from error
