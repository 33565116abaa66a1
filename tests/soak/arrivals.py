"""Rows that arrive at a rate that somebody sets, open loop: a slow stream slows no arrival down.

Every row has three texts that take turns, each of its own chunks: every update is a whole document to embed anew, and
after three of them the points are those of the beginning. So the index has an end, and what still grows is a leak.
"""

import random
import threading
import time

from cdc_events import sentences

TEXTS = 3
_LARGEST_TRANSACTION = 20


class Arrivals:
    """Updates of ``rows`` rows of ``passages`` sentences; ``rate``, in updates a second, may be set at any time."""

    def __init__(self, table, rows, passages, seed):
        self._table, self._rows, self._passages = table, rows, passages
        self._dice = random.Random(seed)
        self._turn = [0] * rows
        self._rate = 0.0
        self._changed = threading.Condition()
        self._closing = False
        self.updates = 0
        with table.connection() as database, database.transaction():
            for row in range(rows):
                self._put(database, row)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def rate(self):
        return self._rate

    @rate.setter
    def rate(self, updates_a_second):
        with self._changed:
            self._rate = updates_a_second
            self._changed.notify_all()

    def close(self):
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(60)

    def _run(self):
        due, rate = time.monotonic(), 0.0
        with self._table.connection() as database:
            while True:
                with self._changed:
                    if rate != self._rate:
                        due, rate = time.monotonic(), self._rate
                    wait = due - time.monotonic() if rate else None
                    if not self._closing and (wait is None or wait > 0):
                        self._changed.wait(wait)
                        continue
                    if self._closing:
                        return
                behind = min(_LARGEST_TRANSACTION, 1 + int((time.monotonic() - due) * rate))
                with database.transaction():
                    for _ in range(behind):
                        self._put(database, self._dice.randrange(self._rows))
                self.updates += behind
                due += behind / rate

    def _put(self, database, row):
        self._turn[row] = (self._turn[row] + 1) % TEXTS
        body = sentences(self._passages, f"document {row} at {self._turn[row]}")
        database.execute(
            f"INSERT INTO {self._table.name} VALUES (%s, %s, %s, 'one', 1) "
            "ON CONFLICT (id) DO UPDATE SET body = EXCLUDED.body, title = EXCLUDED.title",
            (row, f"Title {row}", body),
        )
