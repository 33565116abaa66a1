"""Consume–transform–produce on Kafka: records and the offsets they came from, in one transaction.

The transactional id is stable over restarts. Opening the producer fences its predecessor and ends what that left
open, so readers go on at once. A caller of ``transact`` gets one of three answers: it returned and all is visible;
Outage, and nothing is or ever will be; Fatal or Poison, likewise nothing. While the broker leaves open whether a
commit happened, the commit is asked for again, however long that takes: an answer must not be guessed. The offsets
are another matter: librdkafka may forget that request, time limit and all, when connections break under it. A client
that does not answer there in time is left behind, and its successor, opened by the next call, ends what it began.

A transaction that outlives its time-out is ended by the broker with the same error as one that a twin fenced. Within
the time-out it was a twin, and that is Fatal. After it, it was most likely the broker (or we) that stood still: the
producer is opened anew and the caller told Outage. Had a twin taken over meanwhile, it is now the twin that is
fenced: one of the two stops in either case, and no record is written twice, for offsets are fenced by the group too.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka import Producer as Client

from adapters.kafka.consumer import KafkaConsumer
from adapters.kafka.disposal import dispose
from adapters.kafka.failures import FENCED, NOT_BEGUN, RIGHTS, error_of, failure
from adapters.kafka.producer import Deliveries
from adapters.kafka.properties import Given, transactional_properties
from adapters.kafka.witness import Witness
from stream.errors import Outage
from stream.ports import Committed, Outgoing, Partition, Step, no_step

_LOG = logging.getLogger(__name__)
_ATTEMPT_S = 5.0
_PAUSE_S = 0.05
_OPEN_WITHIN_S = 60.0
_ABORT_WITHIN_S = 5.0
_ANSWERED_WITHIN_S = 2 * _ATTEMPT_S
"""After which a request that librdkafka was to give up after ``_ATTEMPT_S`` is taken for forgotten."""
_LONGEST_REST_S = 15.0


class _ForgottenError(Exception):
    """librdkafka did not come back from a request."""


class KafkaTransactionalProducer:
    """See ``stream.ports.TransactionalProducer``. The constructor fences a predecessor; Outage after a minute of
    trying. ``timeout_ms`` is how long a transaction whose producer died may hold readers back.
    """

    def __init__(
        self,
        given: Given,
        transactional_id: str,
        consumer: KafkaConsumer,
        *,
        timeout_ms: int = 10_000,
        step: Step = no_step,
    ) -> None:
        properties = transactional_properties(given, transactional_id, timeout_ms)
        self._servers = properties.servers
        self._timeout_s = timeout_ms / 1000
        self._doing = f'The transaction under the id "{transactional_id}"'
        self._witness = Witness(properties, self._doing)
        self._consumer = consumer
        self._step = step
        self._began = 0.0
        self._left_behind: list[threading.Thread] = []
        """Each holds a client that nobody can close; while there are many, another is not opened soon."""
        self._client: Client | None = self._opened()

    def transact(self, records: Sequence[Outgoing], offsets: Mapping[Partition, Committed]) -> None:
        """See the port."""
        client = self._client = self._client or self._opened()
        self._began = time.monotonic()
        deliveries = Deliveries(self._servers)
        try:
            self._step("begin transaction")
            client.begin_transaction()
            for record in records:
                self._step(f"produce {record.partition.topic}")
                deliveries.produce(client, record)
            deliveries.raise_worst()
            if offsets:
                self._step("send offsets")
                places = [_place(partition, committed) for partition, committed in offsets.items()]
                metadata = self._consumer.group_metadata()
                self._until_answered(
                    lambda: self._watched(lambda: client.send_offsets_to_transaction(places, metadata, _ATTEMPT_S)),
                    self._timeout_s,
                )
            self._step("commit transaction")
            self._until_answered(lambda: client.commit_transaction(_ATTEMPT_S), math.inf)
        except KafkaException as exception:
            self._end(client, error_of(exception), deliveries)
        except _ForgottenError:
            # Not aborted: a thread of ours is still inside this client. Its successor fences it.
            self._discard(client)
            raise Outage(
                f"{self._doing} got no answer to its offsets within {_ANSWERED_WITHIN_S:g} s from {self._servers}; "
                "it is tried again by a new producer.",
                min(_LONGEST_REST_S, 2.0 ** len(self._left_behind)),
            ) from None
        except BaseException:
            self._abort(client)
            raise

    def close(self) -> None:
        """Nothing is open between calls of ``transact``."""
        client, self._client = self._client, None
        if client is not None:
            client.purge()
            client.flush(0)

    def _opened(self) -> Client:
        client = self._witness.open(Client)
        self._step("open transactional producer")
        try:
            self._until_answered(lambda: client.init_transactions(_ATTEMPT_S), _OPEN_WITHIN_S)
        except KafkaException as exception:
            raise failure(error_of(exception), self._doing, self._servers) from exception
        return client

    def _until_answered(self, request: Callable[[], None], patience_s: float) -> None:
        """Goes on with a request that librdkafka calls retriable: called again, it resumes where it was."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return request()
            except KafkaException as exception:
                error = error_of(exception)
                self._witness.raise_fatal()
                if not error.retriable() or time.monotonic() > deadline:
                    raise
                _LOG.warning("%s waits for its broker: %s", self._doing, error.str())
                time.sleep(_PAUSE_S)

    def _end(self, client: Client, error: KafkaError, deliveries: Deliveries) -> NoReturn:
        """Aborts, then raises what the failure means for the caller."""
        if error.fatal() or error.code() in FENCED:
            self._discard(client)
            if error.code() in FENCED and time.monotonic() - self._began >= self._timeout_s:
                raise Outage(
                    f"{self._doing} outlived its time-out of {self._timeout_s:g} s, so the broker ended it; "
                    f"it is tried again. ({error.name()}: {error.str()})"
                )
            raise failure(error, self._doing, self._servers)
        self._abort(client)
        if deliveries.failed:
            # A record that failed leaves a hole in the sequence numbers, on which the next transaction would stumble.
            self._discard(client)
            if error.code() not in RIGHTS:
                deliveries.raise_worst()
        doing = self._doing
        if error.code() in RIGHTS and deliveries.topics:
            # Its records were only purged, which by itself would pass for an outage.
            doing += f", which writes to {', '.join(deliveries.topics)},"
        raise failure(error, doing, self._servers)

    def _abort(self, client: Client) -> None:
        """Where the broker does not answer, the client is dropped: without it the transaction cannot be committed any
        more, and its successor, opened by the next call, ends it.
        """
        self._step("abort transaction")
        try:
            self._until_answered(lambda: client.abort_transaction(_ATTEMPT_S), _ABORT_WITHIN_S)
        except KafkaException as exception:
            if error_of(exception).code() != NOT_BEGUN:
                _LOG.warning("%s could not be aborted, its successor will: %s", self._doing, exception)
                self._discard(client)

    def _discard(self, client: Client) -> None:
        client.purge()
        self._client = None
        dispose(client)

    def _watched(self, request: Callable[[], None]) -> None:
        """The request's own outcome, or that it never came (librdkafka issue 5456: no time limit holds while the
        group's coordinator is sought).
        """
        outcome: Future[None] = Future()

        def ask() -> None:
            try:
                request()
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits for it
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        # A daemon: it may never come back, and must not keep the process.
        asking = threading.Thread(target=ask, name="send-offsets", daemon=True)
        asking.start()
        try:
            return outcome.result(_ANSWERED_WITHIN_S)
        except TimeoutError:
            self._left_behind = [*(thread for thread in self._left_behind if thread.is_alive()), asking]
            raise _ForgottenError from None


def _place(partition: Partition, committed: Committed) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number, committed.offset, metadata=committed.metadata)
