"""Probes: golden texts with the vectors that a collection's own encoder made of them, and the law that compares them.

A contract says which files and settings make a vector; the probes prove that an encoder that claims the contract
keeps it. They catch what no digest shows: another number format, a library that pools differently since its last
version, a faulty device. Invariant 4 (no mix) rests on both.

Law: an encoder may serve a collection only where each of the collection's probes, made again, has a cosine of at
least 0.999 with the stored one. The stored texts are compared, not today's constant, so the constant may grow without
touching collections that stand. Vectors are stored with six significant digits: an error of about 1e-6 of a cosine.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.chunk_event import Json
from stream.errors import Fatal
from stream.points import DenseVector
from stream.ports import Encoder, TextKind

LEAST_COSINE = 0.999

_PASSAGES = (
    "The quick brown fox jumps over the lazy dog.",
    "A row is committed; within tens of milliseconds its passages can be found.",
    "naïve café, 12.5 % of 1,024 µs — “quoted”, x² ≤ ½",
    "Der Zug nach Köln fährt um 17:42 Uhr von Gleis 9¾ ab, die Straße ist gesperrt.",
    "Быстрая коричневая лиса перепрыгивает через ленивую собаку.",
    "データベースの変更は数十ミリ秒で検索できるようになります。",
    "يمكن العثور على الصف بعد لحظات من حفظه في قاعدة البيانات.",
    "🚀 deploy ✅ done 👩‍💻",
    "def search(query: str, limit: int = 10) -> list[Hit]:\n    return index.nearest(encode(query), limit)\n",
    "Limits\n\nA title, a blank line and a passage, as a chunk with a title is embedded.",
    "x",
)
_QUERIES = (
    "how fresh is the index?",
    "wie aktuell ist der Index?",
    "インデックスはどれくらい新しいですか",
    "SELECT id FROM kb.docs WHERE body ILIKE '%lambda%'",
)
_LONG = " ".join(
    f"Paragraph {number} of a text beyond most models' maximum tells on which side, and where, an encoder cuts it."
    for number in range(1, 49)
)

GOLDEN_TEXTS: tuple[tuple[TextKind, str], ...] = (
    *(("passage", text) for text in _PASSAGES),
    ("passage", _LONG),
    *(("query", text) for text in _QUERIES),
)
"""Several scripts, signs, code, one letter, and one text of about a thousand tokens."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A golden text and its vector, as stored. ``vector`` has the contract's number of dimensions."""

    kind: TextKind
    text: str
    vector: tuple[float, ...]


def take(encoder: Encoder, texts: Iterable[tuple[TextKind, str]] = GOLDEN_TEXTS) -> tuple[Probe, ...]:
    """The probes of a new collection, in the order of ``texts``. Raises what the encoder raises."""
    wanted = tuple(texts)
    return tuple(
        Probe(kind, text, tuple(float(f"{value:.6g}") for value in vector.values.tolist()))
        for (kind, text), vector in zip(wanted, _encode(encoder, wanted), strict=True)
    )


def compare(stored: Sequence[Probe], computed: Sequence[DenseVector]) -> float:
    """The worst cosine of all pairs, in [-1, 1]; -1 where widths differ or a vector is zero or not finite.

    Without probes it is 1: there is nothing to contradict.
    """
    worst = 1.0
    for probe, vector in zip(stored, computed, strict=True):
        worst = min(worst, _cosine(probe, vector))
    return worst


def check(stored: Sequence[Probe], encoder: Encoder, collection: str) -> float:
    """Makes the stored probes again and returns the worst cosine. Raises Fatal where it is below the law's."""
    worst = compare(stored, _encode(encoder, [(probe.kind, probe.text) for probe in stored]))
    if worst < LEAST_COSINE:
        raise Fatal(
            f"The encoder claims the contract of collection {collection} but makes other vectors: the worst "
            f"probe has a cosine of {worst:.4f}, at least {LEAST_COSINE} is needed; use the libraries, number "
            "format and device that made the collection, or build the next generation (index.generation)."
        )
    return worst


def to_json(probes: Sequence[Probe]) -> list[Json]:
    """For the collection's metadata; :func:`from_json` reads it back to equal probes."""
    return [{"kind": probe.kind, "text": probe.text, "vector": list(probe.vector)} for probe in probes]


def from_json(document: Sequence[Mapping[str, Any]]) -> tuple[Probe, ...]:
    """Raises Fatal where it is something else."""
    try:
        return tuple(_probe(item) for item in document)
    except (KeyError, TypeError, ValueError) as error:
        raise Fatal(
            "The probes in the collection's metadata cannot be read by this version of embedstream; use the version "
            "format and device that made the collection, or build the next generation (index.generation)."
        ) from error


def _probe(item: Mapping[str, Any]) -> Probe:
    kind: TextKind = "query" if item["kind"] == "query" else "passage"
    if item["kind"] != kind:
        raise ValueError(item["kind"])
    return Probe(kind, str(item["text"]), tuple(float(value) for value in item["vector"]))


def _encode(encoder: Encoder, wanted: Sequence[tuple[TextKind, str]]) -> list[DenseVector]:
    """One call for each kind, the results in the order asked."""
    made: dict[tuple[TextKind, str], DenseVector] = {}
    kinds: tuple[TextKind, ...] = ("passage", "query")
    for kind in kinds:
        texts = [text for of_kind, text in wanted if of_kind == kind]
        if texts:
            vectors = encoder.encode(kind, texts)
            made.update({(kind, text): vector for text, vector in zip(texts, vectors, strict=True)})
    return [made[item] for item in wanted]


def _cosine(probe: Probe, vector: DenseVector) -> float:
    return cosine(np.asarray(probe.vector), vector.values)


def cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """In [-1, 1]; -1 where widths differ or one is zero or not finite: such a pair agrees in nothing."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    if left.shape != right.shape:
        return -1.0
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    if not math.isfinite(lengths) or lengths == 0.0:
        return -1.0
    return max(-1.0, min(1.0, float(left @ right) / lengths))
