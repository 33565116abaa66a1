"""Hears what librdkafka says beside its answers: its log lines and the errors that belong to no call.

Log lines go to Python's logging. A broker that is away makes librdkafka repeat one line many times a second, so a
line is let through once in ten seconds. Of the errors without a call three matter: refused credentials, which no
retry mends; certificates that do not belong together, which none mends either once no broker is left to talk to (one
broker among several may show an old one); and the last broker gone, told with what was heard of it. The owner takes
them here and raises them from its own next call.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from adapters.confidential import Confidential, secrets_in
from adapters.kafka.failures import CREDENTIALS, NO_BROKER, error_of, failure
from adapters.kafka.properties import Properties
from adapters.kafka.trust import distrust, refused_key, unreadable
from stream.errors import EmbedstreamError, Fatal, Misuse, Outage

_LOG = logging.getLogger(__name__)
_QUIET_S = 10.0
_VARYING = re.compile(r"\d+")
_WHEN = re.compile(r" \(after \d+ms in state \w+[^)]*\)")

Client = TypeVar("Client")


class Witness:
    """Given to a client as both its ``logger`` and its ``error_cb``. ``doing`` names what the client is for."""

    def __init__(self, properties: Properties, doing: str) -> None:
        self._properties = properties
        self._confidential = Confidential.of(secrets_in(properties.values))
        self._doing = doing
        self._heard: EmbedstreamError | None = None
        self._distrust: Fatal | None = None
        self._cause = ""
        self._last: dict[str, float] = {}
        for note in properties.notes:
            _LOG.warning("%s", note)

    def log(self, level: int, template: str, *arguments: object) -> None:
        """What librdkafka logs. The level is that of ``logging``."""
        line = self._confidential.blotted(template % arguments if arguments else template)
        key, now = _VARYING.sub("#", line), time.monotonic()
        if now - self._last.get(key, -_QUIET_S) < _QUIET_S:
            return
        self._last[key] = now
        _LOG.log(level, "%s", line)

    def on_error(self, error: KafkaError) -> None:
        """An error of no call. What a person has to mend is not forgotten for an outage that follows from it."""
        servers = self._properties.servers
        if error.code() in CREDENTIALS:
            self._heard = failure(error, self._doing, servers)
        elif error.code() == NO_BROKER:
            if not isinstance(self._heard, Fatal):
                self._heard = self._distrust or self.explained(failure(error, self._doing, servers))
        elif (refusal := distrust(error, servers)) is not None:
            self._distrust = Fatal(f"{self._doing} failed: {refusal}. ({error.name()}: {_brief(error)})")
        else:
            self._cause, self._distrust = self._fuller(f"{error.name()}: {_brief(error)}"), None

    def explained(self, failed: EmbedstreamError) -> EmbedstreamError:
        """An outage with what was heard of the brokers last; anything else as it is."""
        if not isinstance(failed, Outage) or not self._cause:
            return failed
        return Outage(f"{failed} The last that was heard: {self._cause}.", failed.retry_after_s)

    def _fuller(self, said: str) -> str:
        """Of the last cause and this one the later, unless that is the same in fewer words: librdkafka gives a hint
        (*connecting to a PLAINTEXT broker listener?*) at some attempts and none at others.
        """
        error, server, clause = (*said.split(": ", 2), "", "")[:3]
        known = self._cause.startswith(f"{error}: {server}: ") and clause in self._cause
        return self._cause if known else said

    def raise_heard(self) -> None:
        """Raises what was heard since the last time, once."""
        heard, self._heard = self._heard, None
        if heard is not None:
            raise heard

    def raise_fatal(self) -> None:
        """Raises what no waiting mends."""
        if isinstance(self._heard, Fatal):
            raise self._heard

    def open(self, client: Callable[[dict[str, Any]], Client]) -> Client:
        """A client with these properties and this witness. Raises Misuse where librdkafka refuses a property."""
        settings: dict[str, Any] = {**self._properties.values, "logger": self, "error_cb": self.on_error}
        try:
            return client(settings)
        except (KafkaException, TypeError, ValueError) as refused:
            said = error_of(refused).str() if isinstance(refused, KafkaException) else str(refused)
            values = self._properties.values
            raise Misuse(
                unreadable(values)
                or refused_key(said, values)
                or f"librdkafka refuses the properties in [kafka]: {self._confidential.blotted(said)}."
            ) from None


def _brief(error: KafkaError) -> str:
    """Without what librdkafka adds on when and in which state, which differs from one attempt to the next."""
    return _WHEN.sub("", error.str())
