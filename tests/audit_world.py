"""A stream in memory to be audited: an embedder at work, an index that can be damaged by hand, and its audit."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from embedding_world import ADMISSION, GROUP, SOON_S, Loop
from stream_world import CHUNKS, CUTTER, ENCODER, delete, revision

from adapters.memory.index import MemoryIndex
from operations.audit.auditing import Audit, Scope
from operations.audit.report import Report
from operations.audit.surroundings import Surroundings
from stream.framed import NoRegistry
from stream.points import DenseVector, Payload
from stream.ports import VectorIndex

COLLECTION = "docs__x__g1"
PASSAGES = ("The heron stands in the water.", "It waits there for a fish.", "Then it flies away.")


class AuditedStream(Loop):
    """Turns are taken while an audit waits, as embedders would; ``asleep`` leaves them out."""

    asleep = False

    @property
    def table(self) -> Any:
        inner = self.index.inner if not isinstance(self.index, MemoryIndex) else self.index
        return inner._table

    def records(self, places, starts):
        for place in places:
            yield from self.broker.log(place).read(starts.get(place, 0), 1 << 30)[0]

    def patience(self, condition):
        give_up = time.monotonic() + SOON_S
        while not condition():
            if self.asleep or time.monotonic() > give_up:
                return False
            self.pipeline.check()
            self.turn()
        return True

    def around(self, **changed: Any) -> Surroundings:
        given = Surroundings(
            topics=self.bus.topics(),
            records=self.records,
            chunks=CHUNKS,
            group=GROUP,
            collection=COLLECTION,
            admission=ADMISSION,
            index=self.index,
            store_text=True,
            fit_title=CUTTER.embedded_title,
            encode=lambda texts: ENCODER.encode("passage", texts),
            producer=None,
            patience=self.patience,
            sources=(),
            unframer=NoRegistry("refuse"),
            hold=1_000,
        )
        return replace(given, **changed)

    def audit(self, *, repair: bool = False, scope: Scope | None = None, **changed: Any) -> Report:
        producer = self.bus.producer() if repair else None
        wanted = scope or Scope(all_vectors=True)
        return Audit(self.around(producer=producer, **changed), wanted).run()


class Damage:
    """Changes points of a collection past every condition, as a fault of the engine or a stranger's hand would."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def drop(self, point: str) -> None:
        payload = self._table._payloads.pop(point)
        self._table._documents[payload["doc_id"]].pop(point)
        self._table.vectors.drop(point)

    def write(self, point: str, payload: Payload, vector: Any = None) -> None:
        if point in self._table._payloads:
            before = self._table._payloads[point]
            self._table._documents[before["doc_id"]].pop(point)
        self._table._payloads[point] = dict(payload)
        self._table._documents[payload["doc_id"]][point] = None
        if vector is not None:
            self._table.vectors.set(point, np.asarray(vector, np.float32))

    def change(self, point: str, **fields: Any) -> None:
        self.write(point, {**self._table._payloads[point], **fields})

    def vector(self, point: str, values: Any) -> None:
        self._table.vectors.set(point, np.asarray(values, np.float32))

    def unvector(self, point: str) -> None:
        self._table.vectors.drop(point)

    def stored(self, point: str) -> Payload:
        return dict(self._table._payloads[point])


def whole(index: VectorIndex) -> dict[str, tuple[Payload, Any]]:
    """Every point as it is, vectors too."""
    return {
        point.id: (dict(point.payload), None if not isinstance(point.vector, DenseVector) else point.vector.values)
        for point in index.scroll(with_vectors=True)
    }


def write_documents(made):
    """Sixteen documents: of three passages, shortened, deleted, and back after a delete."""
    made.publish(
        *(
            revision(f"docs/{name}", version, *PASSAGES, title=f"Herons {name}", fields={"section": "birds"})
            for version, name in enumerate("abcdefghijklm", 10)
        ),
        revision("docs/left", 40, "One passage.", "Another passage."),
        revision("docs/left", 41, "One passage."),
        revision("docs/deleted", 42, "It was here."),
        delete("docs/deleted", 43),
        revision("docs/back", 44, "It was here."),
        delete("docs/back", 45),
        revision("docs/back", 46, "It is here again."),
    )
    made.drain()
