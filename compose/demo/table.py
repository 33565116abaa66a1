"""The demo's table, written as any application writes it: plain SQL, one transaction a change.

Nothing here knows of the stream. Each change returns the moment just before its COMMIT was sent, on the monotonic
clock: what is measured from there holds the commit itself too.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import psycopg

from compose.demo.corpus import Document

TABLE: Final = "kb.topics"

_CREATE = """
CREATE SCHEMA IF NOT EXISTS kb;
CREATE TABLE kb.topics (
    id text PRIMARY KEY,
    title text NOT NULL,
    body text NOT NULL,
    section text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""


class Table:
    """One connection. It belongs to one thread at a time."""

    def __init__(self, dsn: str) -> None:
        """``dsn`` is a ``postgresql://`` URI."""
        self._connection = psycopg.connect(dsn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def create(self) -> None:
        """An empty table."""
        self._connection.execute(_CREATE)
        self._connection.commit()

    def insert(self, documents: Sequence[Document]) -> float:
        """One transaction for all of them."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO kb.topics (id, title, body, section) VALUES (%s, %s, %s, %s)",
                [(document.id, document.title, document.body, document.section) for document in documents],
            )
        return self._committed()

    def write_body(self, document: str, body: str) -> float:
        """A new text for a document."""
        self._connection.execute("UPDATE kb.topics SET body = %s, updated_at = now() WHERE id = %s", (body, document))
        return self._committed()

    def move(self, document: str, section: str) -> float:
        """Another section: a column that is in the payload and in no text."""
        self._connection.execute(
            "UPDATE kb.topics SET section = %s, updated_at = now() WHERE id = %s", (section, document)
        )
        return self._committed()

    def delete(self, document: str) -> float:
        """The row is gone."""
        self._connection.execute("DELETE FROM kb.topics WHERE id = %s", (document,))
        return self._committed()

    def rows(self) -> list[Document]:
        """What is committed now, in order of id."""
        found = self._connection.execute("SELECT id, title, body, section FROM kb.topics ORDER BY id").fetchall()
        self._connection.commit()
        return [Document(*row) for row in found]

    def _committed(self) -> float:
        before = time.monotonic()
        self._connection.commit()
        return before
