"""The table that the index has to equal, and a writer that keeps changing its rows.

What is written comes from a seed: inserts, updates of texts and of payload columns alone, texts that leave and come
back, rows without text, deletes, deletes with an insert in the same transaction, changed primary keys. Some rows are
*rare*: written once, left alone for half a minute, deleted once, and gone for a minute, so that what a fault does to
one of them is not written over before it is looked at. When the database goes away the writer connects again; whether
its last transaction counted is asked of nobody, since the table alone says what is true.
"""

import random
import threading
from collections import deque

import psycopg
from cdc_events import sentences

from schemas.identity import Version, doc_id
from stream.change import Upsert

DOCUMENTS = 36
MOVING = 6
"""So many of them change their primary key now and then."""
RARE = range(1_000, 1_300)
"""Ids that take turns; ``_STANDING`` of them stand at a time."""
_STANDING = 100
_RARELY = 0.15
SOURCE = "docs"
_PAYLOAD = ("section", "pages")


class Table:
    """``schema.docs``, made by the constructor with a first row."""

    def __init__(self, dsn, schema):
        self.dsn, self.schema = dsn, schema
        self.name = f"{schema}.docs"
        with self.connection() as database:
            database.execute(f"CREATE SCHEMA {schema}")
            database.execute(
                f"CREATE TABLE {self.name} (id int PRIMARY KEY, title text, body text, section text, pages int)"
            )
            # Debezium makes a topic with its first record.
            database.execute(f"INSERT INTO {self.name} VALUES (0, 'First', 'The first row.', 'one', 1)")

    def connection(self):
        return psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)

    def documents(self):
        """Document → its row."""
        with self.connection() as database:
            rows = database.execute(f"SELECT id, title, body, section, pages FROM {self.name}").fetchall()
        return {doc_id(SOURCE, {"id": row[0]}): row for row in rows}

    @staticmethod
    def wanted(documents, cutter):
        """Chunk id → the payload that its live point has to have, for rows as ``documents`` gives them."""
        wanted = {}
        for document, (_, title, body, *values) in documents.items():
            revision = Upsert(document, Version(1), title, body or "", {}, None, None)
            chunks = cutter.event(SOURCE, revision, "").chunks
            for place, chunk in enumerate(chunks):
                said = {
                    "doc_id": document,
                    "title": title,
                    "text": chunk.text,
                    "span": list(chunk.span),
                    "position": place,
                    "count": len(chunks),
                    **dict(zip(_PAYLOAD, values, strict=True)),
                }
                wanted[chunk.id] = {name: value for name, value in said.items() if value is not None}
        return wanted


class Writer:
    """Writes between ``go`` and ``pause``; ``close`` ends its thread. ``rest_s``: its rest between transactions."""

    def __init__(self, table, seed, rest_s):
        self._table, self._dice, self._rest_s = table, random.Random(seed), rest_s
        self._going, self._closing = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self._gone, self._standing = deque(RARE), deque()
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def go(self):
        self._idle.clear()
        self._going.set()

    def pause(self):
        """Returns when no transaction is under way."""
        self._going.clear()
        assert self._idle.wait(60), "the writer did not come to rest"

    def close(self):
        self._closing.set()
        self._going.set()
        self._thread.join(60)

    def _run(self):
        database = None
        while not self._closing.is_set():
            if not self._going.is_set():
                self._idle.set()
                self._going.wait()
                continue
            try:
                if database is None:
                    database = self._table.connection()
                with database.transaction():
                    for _ in range(self._dice.choice((1, 1, 1, 2, 4))):
                        self._change(database)
                self.transactions += 1
                self._closing.wait(self._dice.uniform(0.3, 1.7) * self._rest_s)
            except psycopg.OperationalError:
                database = None
                self._closing.wait(0.1)
        if database is not None:
            database.close()

    def _change(self, database):
        if self._dice.random() < _RARELY:
            self._change_rare(database)
        else:
            self._change_any(database)

    def _change_rare(self, database):
        if len(self._standing) < _STANDING:
            row = self._gone.popleft()
            self._standing.append(row)
            body = sentences(1 + row % 4, f"rare document {row}")
            # It stands there already where a transaction failed that had deleted it.
            database.execute(
                f"INSERT INTO {self._table.name} VALUES (%s, %s, %s, 'rare', 1) ON CONFLICT DO NOTHING",
                (row, f"Rare {row}", body),
            )
        else:
            row = self._standing.popleft()
            self._gone.append(row)
            database.execute(f"DELETE FROM {self._table.name} WHERE id = %s", (row,))

    def _change_any(self, database):
        dice, name = self._dice, self._table.name
        row, chance = dice.randrange(DOCUMENTS), dice.random()
        if chance < 0.10:
            database.execute(f"DELETE FROM {name} WHERE id = %s", (row,))
        elif chance < 0.15:
            database.execute(f"DELETE FROM {name} WHERE id = %s", (row,))
            self._put(database, row)
        elif chance < 0.20:
            moving = dice.randrange(MOVING)
            here, there = dice.sample((moving, moving + DOCUMENTS), 2)
            free = f"NOT EXISTS (SELECT FROM {name} WHERE id = %s)"
            database.execute(f"UPDATE {name} SET id = %s WHERE id = %s AND {free}", (there, here, there))
        elif chance < 0.30:
            section, pages = dice.choice(("one", "two", None)), dice.randrange(100)
            database.execute(f"UPDATE {name} SET section = %s, pages = %s WHERE id = %s", (section, pages, row))
        elif chance < 0.34:
            database.execute(f"UPDATE {name} SET body = NULL WHERE id = %s", (row,))
        else:
            self._put(database, row)

    def _put(self, database, row):
        dice = self._dice
        body = sentences(dice.randrange(7), f"document {row} at {dice.randrange(3)}")
        title = dice.choice((None, f"Title {row}"))
        database.execute(
            f"INSERT INTO {self._table.name} VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET "
            "title = EXCLUDED.title, body = EXCLUDED.body, section = EXCLUDED.section, pages = EXCLUDED.pages",
            (row, title, body, dice.choice(("one", "two")), dice.randrange(100)),
        )
