"""Opens what a process needs of one Kafka cluster, all from one ``[kafka]`` section."""

from collections.abc import Sequence

from adapters.kafka.consumer import KafkaConsumer
from adapters.kafka.producer import KafkaProducer
from adapters.kafka.properties import Given
from adapters.kafka.topics import KafkaTopics
from adapters.kafka.transactions import KafkaTransactionalProducer
from stream.errors import Misuse
from stream.ports import Assignment, Consumer, Step, no_step


class KafkaBus:
    """See ``stream.ports.Bus``. ``given`` are librdkafka's properties as the user wrote them."""

    def __init__(self, given: Given, *, step: Step = no_step) -> None:
        self._given = dict(given)
        self._step = step

    def consumer(self, group: str, topics: Sequence[str], assignment: Assignment) -> KafkaConsumer:
        """Joins the group."""
        return KafkaConsumer(self._given, group, topics, assignment, step=self._step)

    def producer(self) -> KafkaProducer:
        """For records outside a transaction."""
        return KafkaProducer(self._given, step=self._step)

    def transactional_producer(
        self, transactional_id: str, consumer: Consumer, *, timeout_ms: int = 10_000
    ) -> KafkaTransactionalProducer:
        """Fences the predecessor under this id. The consumer is one of this bus."""
        if not isinstance(consumer, KafkaConsumer):
            raise Misuse("A transaction on Kafka carries the offsets of a consumer on Kafka.")
        return KafkaTransactionalProducer(
            self._given, transactional_id, consumer, timeout_ms=timeout_ms, step=self._step
        )

    def topics(self) -> KafkaTopics:
        """The administrator's view."""
        return KafkaTopics(self._given, step=self._step)
