"""Writes records to Kafka outside a transaction: dead letters, and records that tools publish.

``send`` returns when all in-sync replicas have every record, and raises otherwise: first what a person has to mend,
then what passes, then what the broker refuses for good, so that a caller who sends a failed call again never turns an
outage into poison. The client is idempotent; only a call that was repeated by the caller can write a record twice.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from adapters.kafka.failures import error_of, failure
from adapters.kafka.properties import Given, producer_properties
from adapters.kafka.witness import Witness
from stream.errors import EmbedstreamError, Fatal, Outage
from stream.ports import Outgoing, Step, no_step

_TURN_S = 0.1


class KafkaProducer:
    """See ``stream.ports.Producer``."""

    def __init__(self, given: Given, *, step: Step = no_step) -> None:
        properties = producer_properties(given)
        self._servers = properties.servers
        self._witness = Witness(properties, "Writing")
        self._step = step
        self._client: Client = self._witness.open(Client)

    def send(self, records: Sequence[Outgoing]) -> None:
        """See the port. A record that was not acknowledged within ``message.timeout.ms`` (30 s) is an Outage."""
        deliveries = Deliveries(self._servers)
        for record in records:
            self._step(f"produce {record.partition.topic}")
            deliveries.produce(self._client, record)
        while deliveries.awaited:
            self._client.poll(_TURN_S)
            try:
                self._witness.raise_fatal()
            except Fatal:
                self._client.purge()
                raise
        deliveries.raise_worst()

    def close(self) -> None:
        """Nothing is under way between calls of ``send``."""
        self._client.purge()
        self._client.flush(_TURN_S)


class Deliveries:
    """What became of the records of one call, or of one transaction."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._errors: list[EmbedstreamError] = []
        self._topics: set[str] = set()
        self.awaited = 0

    @property
    def failed(self) -> bool:
        """Whether a record was refused or timed out."""
        return bool(self._errors)

    @property
    def topics(self) -> list[str]:
        """Those that were written to, sorted."""
        return sorted(self._topics)

    def produce(self, client: Client, record: Outgoing) -> None:
        """Hands one record to the client; waits where its queue is full. An error is kept, not raised."""
        self._topics.add(record.partition.topic)
        while True:
            try:
                client.produce(
                    record.partition.topic,
                    record.value,
                    record.key,
                    record.partition.number,
                    headers=list(record.headers),
                    on_delivery=self._delivered,
                )
            except BufferError:
                client.poll(_TURN_S)
            except KafkaException as exception:
                self._fail(error_of(exception), record.partition.topic, record.partition.number)
                return
            else:
                self.awaited += 1
                return

    def raise_worst(self) -> None:
        """Raises Fatal before Outage before Poison, if there is any."""
        for kind in (Fatal, Outage, EmbedstreamError):
            for error in self._errors:
                if isinstance(error, kind):
                    raise error

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self.awaited -= 1
        if error is not None:
            self._fail(error, message.topic(), message.partition())

    def _fail(self, error: KafkaError, topic: str | None, partition: int | None) -> None:
        self._errors.append(failure(error, f"Writing to {topic}/{partition}", self._servers))
