"""What the stages of a process run on and wait on: threads, conditions, events, and rooms between two of them.

A process gets them as one value. In production they are Python's own. The simulation hands over another set, under
which one scheduler decides from a seed who runs next, so that the very loops of ``consumers.pipeline`` and
``consumers.workload`` are searched for orders in which they break a law; nothing in them knows the difference.

Law for another set: each part keeps the contract of the class of ``threading`` or ``queue`` that it stands for, a
wait with a time-out may end at any moment as if its time were over, and nothing runs between two waits but the one
that was woken.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _thread(run: Callable[[], None], name: str) -> threading.Thread:
    return threading.Thread(target=run, name=name, daemon=True)


def _room() -> "queue.Queue[Any]":
    return queue.Queue(1)


@dataclass(frozen=True, slots=True)
class Threads:
    """Makes each of them anew. ``room`` holds one item: whoever brings a second one waits."""

    thread: Callable[[Callable[[], None], str], threading.Thread] = _thread
    condition: Callable[[], threading.Condition] = threading.Condition
    event: Callable[[], threading.Event] = threading.Event
    room: Callable[[], "queue.Queue[Any]"] = _room


PYTHONS_OWN = Threads()
