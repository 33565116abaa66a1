"""What the index should hold, worked out without the stream: the table's rows, cut by the pure core.

The rows are read by SQL and the versions from the CDC topic alone: the last record of each key says at which offset
its newest revision stands. Neither chunker nor embedder is asked, so their word is not taken for their own work.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compose.demo.corpus import Document
from compose.demo.process import SOURCE
from compose.deployment import Deployment
from schemas.chunk_event import Chunk
from schemas.identity import ChunkId, DocId, Version, doc_id
from stream.change import Delete, Upsert, read_change
from stream.comparison import ExpectedDocument
from stream.ports import Record
from stream.text import embedded_text


def document_id(row: str) -> DocId:
    """The document's id, from the row's primary key."""
    return doc_id(SOURCE, {"id": row})


@dataclass(frozen=True, slots=True)
class Cut:
    """A document's chunks, by id, and the title that is embedded with each."""

    chunks: Mapping[ChunkId, Chunk]
    title: str | None

    def embedded(self, chunk: ChunkId) -> str:
        """The text whose vector the chunk has: asked as a question, it finds the chunk itself first."""
        return embedded_text(self.title, self.chunks[chunk].text)


class Expectation:
    """Cuts rows as the chunker would."""

    def __init__(self, deployment: Deployment) -> None:
        self._cutter = deployment.cutter
        self._source = next(source for source in deployment.settings.sources if source.name == SOURCE)

    def cut(self, row: Document) -> Cut:
        """The chunks of a row."""
        revision = Upsert(document_id(row.id), Version(1), row.title, row.body, {}, None, None)
        event = self._cutter.event(SOURCE, revision, "")
        return Cut({chunk.id: chunk for chunk in event.chunks}, self._cutter.embedded_title(row.title))

    def revisions(self, records: Iterable[Record]) -> dict[DocId, Upsert]:
        """The newest revision of each document that is not deleted, from all records of the CDC topic."""
        newest: dict[DocId, Upsert] = {}
        for record in records:
            version = Version(record.offset + 1)
            change = read_change(self._source, record.key, record.value, record.headers, version, record.timestamp_ms)
            if isinstance(change, Upsert):
                newest[change.doc_id] = change
            elif isinstance(change, Delete):
                newest.pop(change.doc_id, None)
        return newest

    def documents(
        self, rows: Iterable[Document], revisions: Mapping[DocId, Upsert]
    ) -> dict[DocId, ExpectedDocument] | None:
        """The table as the index should hold it; None while the CDC topic does not tell of this very table yet."""
        expected: dict[DocId, ExpectedDocument] = {}
        for row in rows:
            revision = revisions.get(document_id(row.id))
            if revision is None or (revision.title, revision.text) != (row.title, row.body):
                return None
            if revision.fields.get("section") != row.section:
                return None
            expected[document_id(row.id)] = ExpectedDocument(revision.version, tuple(self.cut(row).chunks))
        return expected if expected.keys() == revisions.keys() else None
