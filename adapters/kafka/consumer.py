"""A member of a consumer group on Kafka.

librdkafka calls back in the middle of reading, and an exception on its way through that call would throw away
records whose position has already moved. So nothing is raised inside a callback: what an owner's method raises is
kept, records in hand are kept, ``poll`` raises first and hands the records over the next time. Records and ends of a
partition that left meanwhile are dropped.

Where to begin is decided here, at assignment, never by ``auto.offset.reset``: at the committed offset, or at the
earliest record where there is none. An assignment whose committed offsets cannot be read, and one that the broker
took from a member that did not poll, are given back whole: the member leaves the group and joins again.

A partition that stands still although it has records is noticed (``adapters.kafka.stalls``), and the member joins its
group again.

FIELD-NOTES 3: ``consume(n, t)`` would let a lone record wait for the rest, so the first is polled and the others are
whatever stands in the local queue at that moment.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from adapters.kafka.disposal import dispose
from adapters.kafka.failures import (
    END_OF_PARTITION,
    GROUP_MOVES,
    MEMBER_GONE,
    NOT_FETCHING_YET,
    OFFSETS_GONE,
    POLLED_TOO_LATE,
    UNKNOWN_TOPIC,
    error_of,
    failure,
    is_group_gone,
    translated,
)
from adapters.kafka.places import number_of, place_of, record_of, sound, start_of, unassign
from adapters.kafka.properties import Given, consumer_properties
from adapters.kafka.stalls import PATIENCE_S, StallWatch
from adapters.kafka.witness import Witness
from stream.errors import EmbedstreamError, Fatal, Outage
from stream.ports import Assignment, Committed, Partition, Polled, Record, Step, no_step

_LOG = logging.getLogger(__name__)
_AT_ONCE = 0.0
_PATIENCE_S = 30.0
"""How long a request to the group's coordinator is tried before it is an outage. Longer than a transaction's
time-out: until a dead chunker's transaction ends, the offsets in it are undecided and the broker gives none.
"""
_PAUSE_S = 0.05
_ANSWER_S = 1.5
"""How long a poll may wait for a partition's end; where nobody answers, that is not asked for soon again."""

R = TypeVar("R")


class KafkaConsumer:
    """See ``stream.ports.Consumer``. One thread polls, commits and closes; the constructor joins the group."""

    def __init__(
        self,
        given: Given,
        group: str,
        topics: Sequence[str],
        assignment: Assignment,
        *,
        step: Step = no_step,
        stall_s: float = PATIENCE_S,
    ) -> None:
        """``stall_s``: how long a partition with records may be silent, about, before it is read anew."""
        properties = consumer_properties(given, group)
        self.group = group
        self._servers = properties.servers
        self._witness = Witness(properties, f"Reading {', '.join(topics)}")
        self._topics = list(topics)
        self._owner = assignment
        self._step = step
        self._mine: dict[tuple[str, int], Partition] = {}
        self._started: set[Partition] = set()
        self._rewind_at_start: dict[Partition, int | None] = {}
        self._records: list[Record] = []
        self._ends: dict[Partition, int] = {}
        self._raised: BaseException | None = None
        self._join_again = self._begin_anew = False
        self._closed = False
        self._stalls = StallWatch(stall_s)
        self._client: Client = self._witness.open(Client)
        self._subscribe()

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """See the port. Raises Fatal for offsets that are gone and refused credentials, Outage without any broker."""
        if self._begin_anew:
            self._begin_anew = self._join_again = False
            # The old client is good for nothing any more, not even for leaving.
            given_up, self._client = self._client, self._witness.open(Client)
            dispose(given_up)
            self._subscribe()
        if self._join_again:
            self._join_again = False
            with self._translated("Leaving"):
                self._client.unsubscribe()
            self._subscribe()
        if not self._records:
            with self._translated("Reading"):
                messages = self._messages(max_records, timeout_s)
            self._sort(messages)
            if len(messages) < max_records:
                # So the local queue was empty at that moment.
                self._look_for_a_stall()
        self._raise_kept()
        mine = set(self._mine.values())
        polled = Polled(
            tuple(record for record in self._records if record.partition in mine),
            {partition: end for partition, end in self._ends.items() if partition in mine},
        )
        if not polled.records:
            self._witness.raise_heard()
        self._records, self._ends = [], {}
        return polled

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Partitions that are not assigned are passed over."""
        mine = list(self._still_mine(partitions))
        with self._translated("Pausing"):
            self._client.pause([place_of(partition) for partition in mine])
        self._stalls.pause(mine)

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Partitions that are not assigned are passed over."""
        mine = list(self._still_mine(partitions))
        with self._translated("Resuming"):
            self._client.resume([place_of(partition) for partition in mine])
        self._stalls.resume(mine, time.monotonic())

    def rewind(self, offsets: Mapping[Partition, int | None]) -> None:
        """Partitions that are not assigned are passed over.

        librdkafka forgets a seek, without an error, that comes before it has begun to read the partition; so until a
        first message has come from there, the seek waits for it.
        """
        again = set(self._still_mine(list(offsets)))
        self._records = [record for record in self._records if record.partition not in again]
        self._ends = {partition: end for partition, end in self._ends.items() if partition not in again}
        for partition in again:
            if partition in self._started:
                self._seek(partition, offsets[partition])
            else:
                self._rewind_at_start[partition] = offsets[partition]

    def commit(self, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """Blocks until the group's coordinator has answered, and librdkafka waits for one that is away: the heartbeat
        goes on meanwhile, in a thread of its own. Outage where half a minute of refusals did not end.
        """
        places = [
            TopicPartition(place.topic, place.number, offsets[place].offset, metadata=offsets[place].metadata)
            for place in self._still_mine(list(offsets))
        ]
        if not places:
            return ()
        self._step("commit offsets")
        return self._until_settled("Committing", GROUP_MOVES, partial(self._commit, places))

    def close(self) -> None:
        """See the port. What ``on_revoked`` raised is raised when the group is left."""
        if self._closed:
            return
        self._closed = True
        # Here and not in librdkafka's callback: a commit that meets a rebalance there may end with the client.
        leaving = list(self._mine.values())
        if leaving:
            self._tell(lambda: self._owner.on_revoked(leaving))
            self._forget(leaving)
        with self._translated("Leaving"):
            self._client.close()
        self._mine.clear()
        self._raise_kept()

    def group_metadata(self) -> object:
        """What fences a transaction of this member: group, member and generation, as librdkafka keeps it."""
        return self._client.consumer_group_metadata()

    # --- reading ---

    def _messages(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        first = self._client.poll(timeout_s)
        if first is None:
            return ()
        if max_records < 2:
            return (first,)
        return (first, *self._client.consume(max_records - 1, _AT_ONCE))

    def _sort(self, messages: Sequence[Message]) -> None:
        rewound: set[Partition] = set()
        now = time.monotonic()
        for message in messages:
            partition = self._mine.get((message.topic() or "", number_of(message.partition())))
            error = message.error()
            if partition is not None and (error is None or error.code() == END_OF_PARTITION):
                self._started.add(partition)
                if partition in self._rewind_at_start:
                    self._rewind_now(partition)
                    rewound.add(partition)
                if partition in rewound:
                    continue
                # The end's offset is that of the record to come.
                self._stalls.moved(partition, number_of(message.offset()) + (0 if error else 1), now)
            if error is not None:
                self._hear(error, partition, message)
            elif partition is not None:
                self._ends.pop(partition, None)
                self._records.append(record_of(partition, message))

    def _rewind_now(self, partition: Partition) -> None:
        """Raises Fatal: what came in the same poll would be skipped, and what was to be read again too."""
        try:
            self._seek(partition, self._rewind_at_start.pop(partition))
        except Outage as outage:
            raise Fatal(
                f"{partition.topic} [{partition.number}] cannot be read again ({str(outage).removesuffix('.')}), and "
                "going on would skip its records; start this process again."
            ) from outage

    def _hear(self, error: KafkaError, partition: Partition | None, message: Message) -> None:
        """Errors among the records; one that the owner has to see is raised when the records are in hand."""
        code = error.code()
        if code == END_OF_PARTITION:
            if partition is not None:
                self._ends[partition] = number_of(message.offset())
        elif code == POLLED_TOO_LATE:
            _LOG.warning(
                "Group %s went on without this member, which did not poll in time: %s", self.group, error.str()
            )
            self._join_again = True
            self._lose(list(self._mine.values()))
        elif is_group_gone(error):
            _LOG.warning("The broker does not know group %s any more; it is joined anew: %s", self.group, error.str())
            self._begin_anew = True
            self._lose(list(self._mine.values()))
        elif code in UNKNOWN_TOPIC:
            # It may be created yet; whoever needs it asks ``Topics.describe``.
            _LOG.info("Waiting for a topic: %s", error.str())
        elif code in OFFSETS_GONE and partition is None:
            _LOG.info("An offset of a partition that has left is gone: %s", error.str())
        else:
            where = f"{message.topic()}/{message.partition()}" if message.topic() else ", ".join(self._topics)
            self._keep(failure(error, f"Reading {where} for group {self.group}", self._servers))

    def _seek(self, partition: Partition, offset: int | None) -> None:
        place = place_of(partition) if offset is None else place_of(partition, offset)
        self._until_settled("Rewinding", NOT_FETCHING_YET, partial(self._client.seek, place))
        self._stalls.start(partition, offset or 0, time.monotonic())

    def _look_for_a_stall(self) -> None:
        partition = self._stalls.to_ask(time.monotonic())
        if partition is None:
            return
        try:
            _, end = self._client.get_watermark_offsets(place_of(partition), timeout=_ANSWER_S)
        except KafkaException:  # an outage, which whoever reads hears of
            end = None
        if self._stalls.stands(partition, end, time.monotonic()):
            _LOG.warning(
                "%s [%s] stands still although it goes on to offset %s: group %s is joined again.",
                partition.topic,
                partition.number,
                end,
                self.group,
            )
            self._join_again = True
            self._lose(list(self._mine.values()))

    # --- assignment ---

    def _subscribe(self) -> None:
        with self._translated("Subscribing"):
            self._client.subscribe(
                self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )

    def _assigned(self, client: Client, places: Sequence[TopicPartition]) -> None:
        """What is not assigned in here, confluent-kafka assigns by itself, at offsets of its own choice."""
        try:
            known = self._committed(client, places)
        except EmbedstreamError as error:
            self._join_again = True
            self._keep(error)
            known = None
        if known is None or self._closed:
            # Assigned, so that librdkafka can take them away again, but not ours: nothing is handed over from there.
            client.incremental_assign([start_of(place) for place in places])
            client.pause(list(places))
            return
        client.incremental_assign([start_of(place) for place in known])
        # librdkafka remembers that a partition was paused when it was here last.
        client.resume([TopicPartition(place.topic, place.partition) for place in known])
        arrived = [Partition(place.topic, place.partition) for place in known]
        self._mine.update({(partition.topic, partition.number): partition for partition in arrived})
        committed = {
            Partition(place.topic, place.partition): Committed(place.offset, place.metadata or "")
            for place in known
            if place.offset >= 0
        }
        now = time.monotonic()
        for partition in arrived:
            self._stalls.start(partition, committed[partition].offset if partition in committed else 0, now)
        if arrived:
            self._tell(lambda: self._owner.on_assigned(arrived, committed))

    def _committed(self, client: Client, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        deadline = time.monotonic() + _PATIENCE_S
        while places and not self._closed:
            try:
                with self._translated("Reading the committed offsets"):
                    return sound(client.committed(list(places), _PATIENCE_S))
            except Outage:  # a coordinator on the move answers so at once
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
        return []

    def _revoked(self, client: Client, places: Sequence[TopicPartition]) -> None:
        leaving = self._of(places)
        if leaving:
            self._tell(lambda: self._owner.on_revoked(leaving))
            self._forget(leaving)
        unassign(client, places)

    def _lost(self, client: Client, places: Sequence[TopicPartition]) -> None:
        self._lose(self._of(places))
        unassign(client, places)

    def _lose(self, partitions: Sequence[Partition]) -> None:
        if partitions:
            self._forget(partitions)
            self._tell(lambda: self._owner.on_lost(partitions))

    def _forget(self, partitions: Sequence[Partition]) -> None:
        self._stalls.forget(partitions)
        for partition in partitions:
            self._mine.pop((partition.topic, partition.number), None)
            self._started.discard(partition)
            self._rewind_at_start.pop(partition, None)

    def _of(self, places: Sequence[TopicPartition]) -> list[Partition]:
        found = (self._mine.get((place.topic, place.partition)) for place in places)
        return [partition for partition in found if partition is not None]

    def _still_mine(self, partitions: Sequence[Partition]) -> Iterator[Partition]:
        return (partition for partition in partitions if (partition.topic, partition.number) in self._mine)

    # --- errors ---

    def _tell(self, owner: Callable[[], None]) -> None:
        try:
            owner()
        except BaseException as error:  # noqa: BLE001 - kept, and raised by poll: see the top of this file
            self._keep(error)

    def _keep(self, error: BaseException) -> None:
        if self._raised is None:
            self._raised = error

    def _raise_kept(self) -> None:
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def _commit(self, places: list[TopicPartition]) -> list[Partition]:
        try:
            sound(self._client.commit(offsets=places, asynchronous=False))
        except KafkaException as exception:
            if error_of(exception).code() not in MEMBER_GONE:
                raise
            _LOG.info("Group %s went on without this member: nothing was committed.", self.group)
            return []
        return [Partition(place.topic, place.partition) for place in places]

    def _until_settled(self, doing: str, again: frozenset[int], act: Callable[[], R]) -> R:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return act()
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() not in again or time.monotonic() > deadline:
                    raise failure(error, self._doing(doing), self._servers) from exception
                time.sleep(_PAUSE_S)

    def _doing(self, what: str) -> str:
        return f"{what} as a member of group {self.group}"

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(self._doing(doing), self._servers)
