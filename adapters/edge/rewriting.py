"""A shard written anew, with its points and nothing that they once were.

The engine frees the place of what is overwritten and leaves its bytes there; its write-ahead log keeps every
operation for as long as the shard is small (seen with qdrant-edge-py: a payload that was replaced was in both files
after a flush, and after ``optimize``). Who has to erase something needs files without it, so every point is copied
into a new shard, and the folders change places.

Two renames are no single step, so each state between them is told apart at the next opening (:func:`settled`): a new
shard beside the old one was not taken into use and may be behind it by then, one that stands alone is whole and takes
its place.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from qdrant_edge import EdgeShard, UpdateOperation
from qdrant_edge import Point as EnginePoint

from adapters.edge import durable
from adapters.edge.index import EdgeIndex
from adapters.edge.points import POINTS_AN_UPSERT
from stream.points import Point

SHARD = "shard"
_NEXT = "shard.next"
_BEFORE = ".unfinished-shard"


def settled(folder: Path) -> None:
    """Puts a collection's folder right that a crash left between two renames."""
    shutil.rmtree(folder / _BEFORE, ignore_errors=True)
    following = folder / _NEXT
    if not following.exists():
        return
    if (folder / SHARD).exists():
        shutil.rmtree(following)
    else:
        following.rename(folder / SHARD)
    durable.sync_folder(folder)


def copied(index: EdgeIndex, empty: EdgeShard) -> None:
    """Every point of the index, marks included, into an empty shard, and flushed. Vectors are of unit length already,
    so the engine stores them as they are. Where the index was optimized, so is the new shard.
    """
    for points in _portions(index.scroll(with_vectors=True)):
        empty.update(UpdateOperation.upsert_points([_engine_point(point, index.vector.name) for point in points]))
    if index.optimized:
        empty.optimize()
    empty.flush()


def next_folder(folder: Path) -> Path:
    """Where the new shard is made."""
    return folder / _NEXT


def exchange(folder: Path) -> None:
    """The new shard, closed by now as the old one is, takes its place; the old one's files are removed."""
    durable.sync_folder(folder)
    (folder / SHARD).rename(folder / _BEFORE)
    (folder / _NEXT).rename(folder / SHARD)
    durable.sync_folder(folder)
    shutil.rmtree(folder / _BEFORE)


def _portions(points: Iterator[Point]) -> Iterator[Sequence[Point]]:
    portion: list[Point] = []
    for point in points:
        portion.append(point)
        if len(portion) == POINTS_AN_UPSERT:
            yield portion
            portion = []
    if portion:
        yield portion


def _engine_point(point: Point, vector_name: str) -> EnginePoint:
    vectors = {} if point.vector is None else {vector_name: point.vector.values.tolist()}
    return EnginePoint(UUID(point.id), vectors, dict(point.payload))
