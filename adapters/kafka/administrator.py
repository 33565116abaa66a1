"""A client for questions to the brokers, and how their answers are waited for.

Every question is asked with a deadline, and its answer is a value or one of ``stream.errors``. Meanwhile the client
hears more than the answer: refused credentials and certificates that do not belong together end the wait at once,
for no patience mends them; and an outage is told with what was heard of the brokers last.
"""

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adapters.kafka.failures import error_of, failure
from adapters.kafka.properties import Properties
from adapters.kafka.witness import Witness

REQUEST_S = 15.0
_TURN_S = 0.1

Answer = TypeVar("Answer")


class Administrator:
    """``doing`` names what it is asked about. Raises Misuse where librdkafka refuses a property."""

    def __init__(self, properties: Properties, doing: str, witness: Witness | None = None) -> None:
        self.servers = properties.servers
        self._witness = witness or Witness(properties, doing)
        self.client: AdminClient = self._witness.open(AdminClient)

    def asked(self, doing: str, request: Callable[[], Answer]) -> Answer:
        """The request under way."""
        self.hear()
        try:
            return request()
        except KafkaException as exception:
            raise failure(error_of(exception), doing, self.servers) from exception

    def answer(self, doing: str, future: "Future[Answer]", *absent: int) -> Answer | None:
        """The answer, or None where the broker says one of ``absent``. What no waiting mends is not waited for."""
        try:
            while wait([future], _TURN_S).not_done:
                self.hear()
            return future.result()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in absent:
                return None
            self.hear()
            raise self._witness.explained(failure(error, doing, self.servers)) from exception

    def hear(self) -> None:
        """What the client has been told beside its answers. Raises Fatal where a person has to mend it."""
        self.client.poll(0)
        self._witness.raise_fatal()
