"""Faust's transport with two changes on which guarantees rest: what it commits, and what it reads.

Faust commits what its streams acknowledged. A stream acknowledges what it skips during a rebalance, and a batch whose
handler failed; so here acknowledgements only free memory, and what is committed is what the hand-over says was
published. And Faust reads uncommitted records unless it runs transactions of its own; here an aborted record is never
seen. A broker that is away while offsets are committed is no crash: the next round commits them; a right that is
missing stops the chunker.

It stands on methods that Faust's driver overrides itself; ``tests/integration/test_faust_chunker.py`` shows that they
still do what they are named for.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, Message
from faust.types.transports import TPorTopicSet
from yarl import URL

from adapters.faust.hand_over import HandOver
from stream.errors import Fatal
from stream.ports import Partition

_LOG = logging.getLogger("embedstream.chunker")


class _ReadingCommitted(driver.AIOKafkaConsumerThread):
    """The thread that owns the client."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        client = super()._create_worker_consumer(transport)
        if not hasattr(client, "_isolation_level"):
            raise Fatal("This version of aiokafka cannot be told to read committed records only; install 0.14.")
        client._isolation_level = "read_committed"  # noqa: SLF001 - Faust passes it only with its own transactions
        return client

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        client = self._ensure_consumer()
        places = {driver.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()}
        try:
            await client.commit({tp: offset for tp, offset in places.items() if tp in client.assignment()})
        except (GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
            _hand_over_of(self.transport).refuse(
                Fatal(f"The broker refuses to commit the offsets of the group ({error}); grant this user Read on it.")
            )
            return False
        except KafkaError as error:  # rebalanced in between, or the broker is away: what is not committed comes again
            _LOG.warning("offsets are not committed yet: %r", error)
            return False
        return True


class _CommittingWhatWasPublished(driver.Consumer):
    """The consumer as Faust's services see it."""

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ReadingCommitted(self, loop=self.loop, beacon=self.beacon)

    @property
    def _hand_over(self) -> HandOver:
        return _hand_over_of(self.transport)

    def ack(self, message: Message) -> bool:
        """Frees the message."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are nothing here: what may be committed is told."""

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        return (
            TP(place.topic, place.number)
            for place in self._hand_over.committable()
            if topics is None or TP(place.topic, place.number) in topics or place.topic in topics
        )

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        known = self._hand_over.committable()
        wanted = {tp: known.get(Partition(tp.topic, tp.partition)) for tp in tps}
        return {
            tp: offset
            for tp, offset in wanted.items()
            if offset is not None and offset != self._committed_offset.get(tp)
        }


class PublishedTransport(driver.Transport):
    """For ``App.transport``."""

    Consumer = _CommittingWhatWasPublished

    def __init__(self, urls: list[URL], app: AppT, hand_over: HandOver) -> None:
        super().__init__(urls, app)
        self.hand_over = hand_over


def _hand_over_of(transport: object) -> HandOver:
    """Of the transport that made the consumer; Faust's types know only its own."""
    return cast(PublishedTransport, transport).hand_over
