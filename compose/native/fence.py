"""Lets the controller give up a broker that was killed, before that broker starts again.

Broker and controller are one process here. After a SIGKILL the metadata still names the broker as the leader of every
partition, and the broker that starts believes it: it begins to read its groups, loses the lead when the controller
gives up its old registration, gets it back, and begins to read them again. Kafka (4.1.1 to 4.4.0) takes the end of
the first reading for the end of the second. The coordinator then serves with no group in it: dead members are never
missed, and what it writes may keep the partition from being read at any later start.

So a controller comes up first, alone and behind no client's door, with a session so short that it gives up the old
broker at once. The broker that starts afterwards leads nothing, may register without waiting for that session to run
out, and reads its groups once. A broker that was stopped has given up the lead itself.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compose.native.processes import Child
from stream.errors import Fatal

LOGGED = "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller=debug"
"""The JVM option by which a controller tells what is read here."""

_SESSION_MS = 100
_SHARED = ("node.id", "controller.listener.names", "controller.quorum.voters", "log.dirs")
_DEADLINE_S = 60.0
_POLL_S = 0.02
_ACTIVE = re.compile(r"Performing controller activation")
# What the metadata says of the broker, in the order of the log; a change with 0 leaves it as it was.
_REGISTERED = re.compile(
    r"Replayed .*(?:RegisterBrokerRecord|BrokerRegistrationChangeRecord)\(.*\bfenced=(true|false|1|-1)\b"
)
_LIVING = frozenset({"false", "-1"})
# The round that changed the metadata is over once its records are on disk.
_GIVEN_UP = re.compile(
    r"Read-write operation (maybeFenceStaleBroker\(\d+\)) will be completed.*Processed \1 in", re.DOTALL
)


def needed(data: Path) -> bool:
    """Whether the broker whose storage is ``data`` has served and was not stopped but killed."""
    metadata = (data / "__cluster_metadata-0").glob("*.log")
    return any(metadata) and not (data / ".kafka_cleanshutdown").exists()


def properties(broker: Mapping[str, object]) -> dict[str, object]:
    """The settings of the controller alone, from those that it has together with its ``broker``."""
    _, _, address = str(broker["controller.quorum.voters"]).partition("@")
    return {
        "process.roles": "controller",
        "listeners": f"CONTROLLER://{address}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT",
        "broker.session.timeout.ms": _SESSION_MS,
        **{name: broker[name] for name in _SHARED},
    }


def has_given_up(log: str) -> bool:
    """Whether the controller with this ``log`` knows, and has on disk, that its broker is gone."""
    active = _ACTIVE.search(log)
    if active is None:
        return False
    known = _REGISTERED.findall(log, 0, active.start())
    if not known or known[-1] not in _LIVING:
        return True
    return _GIVEN_UP.search(log, active.end()) is not None


@dataclass(frozen=True, slots=True)
class Fence:
    """The controller that runs alone for a moment, as a child of its own: one left behind by a command that was
    killed is found and ended by the next.
    """

    child: Child

    def hold(self, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        """Runs ``command`` until the broker is given up. One that dies is passed over: the broker will say why.

        Raises Fatal when it takes too long.
        """
        self.child.kill()
        self.child.start(command, environment=environment)
        try:
            give_up = time.monotonic() + _DEADLINE_S
            while not has_given_up(self._log()) and self.child.find() is not None:
                if time.monotonic() > give_up:
                    raise Fatal(
                        f"Kafka's controller did not give up its killed broker in {_DEADLINE_S:.0f} s. The end of "
                        f"{self.child.log}:\n{self.child.log_tail()}"
                    )
                time.sleep(_POLL_S)
        finally:
            self.child.kill()
            self.child.pid_file.unlink(missing_ok=True)

    def _log(self) -> str:
        return self.child.log.read_text(encoding="utf-8", errors="replace")
