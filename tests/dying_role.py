"""A role that kills itself just before one of its outside effects, for the tests of what its successor finds.

    python tests/dying_role.py CONFIG ROLE EFFECT N

EFFECT is the name that an adapter gives to its step hook (``commit transaction``, ``commit offsets``); the process
ends by SIGKILL before the N-th of them. What it had handed to the broker by then has arrived there.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import compose.roles
from adapters.kafka.consumer import KafkaConsumer
from adapters.kafka.transactions import KafkaTransactionalProducer
from compose.deployment import Deployment
from compose.run import run
from compose.settings import load


def main(config: str, role: str, effect: str, number: str) -> None:
    left = [int(number)]

    def before(name: str, client: Any = None) -> None:
        if name != effect:
            return
        left[0] -= 1
        if left[0] == 0:
            if client is not None:
                client.flush(10)
            os.kill(os.getpid(), signal.SIGKILL)

    class DyingProducer(KafkaTransactionalProducer):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named, step=lambda name: before(name, self.__dict__.get("_client")))

    class DyingConsumer(KafkaConsumer):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named, step=before)

    compose.roles.KafkaTransactionalProducer = DyingProducer  # type: ignore[misc]
    compose.roles.KafkaConsumer = DyingConsumer  # type: ignore[misc]
    run(Deployment(load(Path(config), {})), (role,), threading.Event())  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
