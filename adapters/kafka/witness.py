"""Hears what librdkafka says beside its answers: its log lines and the errors that belong to no call.

Log lines go to Python's logging. A broker that is away makes librdkafka repeat one line many times a second, so a
line is let through once in ten seconds. Of the errors without a call two matter: refused credentials, which no retry
mends, and the last broker gone; the owner takes them here and raises them from its own next call.
"""

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.failures import CREDENTIALS, NO_BROKER, error_of, failure
from adapters.kafka.properties import Properties
from stream.errors import EmbedstreamError, Fatal, Misuse

_LOG = logging.getLogger(__name__)
_QUIET_S = 10.0
_VARYING = re.compile(r"\d+")

Client = TypeVar("Client")


class Witness:
    """Given to a client as both its ``logger`` and its ``error_cb``. ``doing`` names what the client is for."""

    def __init__(self, properties: Properties, doing: str) -> None:
        self._properties = properties
        self._doing = doing
        self._heard: EmbedstreamError | None = None
        self._last: dict[str, float] = {}
        for note in properties.notes:
            _LOG.warning("%s", note)

    def log(self, level: int, template: str, *arguments: object) -> None:
        """What librdkafka logs. The level is that of ``logging``."""
        line = self._properties.without_secrets(template % arguments if arguments else template)
        key, now = _VARYING.sub("#", line), time.monotonic()
        if now - self._last.get(key, -_QUIET_S) < _QUIET_S:
            return
        self._last[key] = now
        _LOG.log(level, "%s", line)

    def on_error(self, error: KafkaError) -> None:
        """An error of no call."""
        if error.code() in CREDENTIALS or error.code() == NO_BROKER:
            self._heard = failure(error, self._doing, self._properties.servers)

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
            raise Misuse(
                f"librdkafka refuses the properties in [kafka]: {self._properties.without_secrets(said)}."
            ) from None
