"""Consumer groups of Kafka as an operator sees them: who is in one, and its end.

A broker deletes no group that has members, so a deletion that succeeds proves that nobody was left to commit. It
takes the offsets and their metadata with it, the chunker's lineage too.
"""

import time

from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.administrator import REQUEST_S, Administrator
from adapters.kafka.cluster import KafkaCluster
from adapters.kafka.failures import error_of
from adapters.kafka.properties import Given, admin_properties
from stream.errors import Fatal, Outage
from stream.ports import Step, no_step

_COORDINATOR_WITHIN_S = 10.0
_PAUSE_S = 0.05


class KafkaGroups:
    """See ``stream.ports.Groups``."""

    def __init__(self, given: Given, *, step: Step = no_step) -> None:
        self._brokers = Administrator(admin_properties(given), "Asking about groups")
        self._cluster = KafkaCluster(given)
        self._step = step

    def members(self, group: str) -> int:
        told = self._cluster.group(group)
        return len(told.members) if "describe" in told.rights else 1

    def delete(self, group: str) -> bool:
        """A coordinator that is being chosen is waited for."""
        self._step(f"delete group {group}")
        deadline = time.monotonic() + _COORDINATOR_WITHIN_S
        while True:
            try:
                return self._deleted(group)
            except Outage:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)

    def _deleted(self, group: str) -> bool:
        doing = f"Deleting group {group}"
        client = self._brokers.client
        future = self._brokers.asked(
            doing, lambda: client.delete_consumer_groups([group], request_timeout=REQUEST_S)
        )[group]
        try:
            self._brokers.answer(doing, future, KafkaError.GROUP_ID_NOT_FOUND)
        except Fatal as refusal:
            cause = refusal.__cause__
            if isinstance(cause, KafkaException) and error_of(cause).code() == KafkaError.NON_EMPTY_GROUP:
                return False
            raise
        return True
