"""The collections of one data directory, owned by this process, as ``IndexCatalog``.

    <data directory>/owner.lock                      see ``ownership``
    <data directory>/index.sock                      see ``server``
    <data directory>/aliases.json                    alias → collection
    <data directory>/collections/<name>/collection.json   vector, fields, metadata
    <data directory>/collections/<name>/shard/       the engine's files

A collection is made in a folder of another name, flushed, and renamed into its place: it is there whole or not at
all, and a folder that a crash left half made is removed at the next opening. ``collection.json`` and ``aliases.json``
are replaced durably (see ``durable``), so compare-and-set is durable when it returns. Shards are opened when they are
first asked for and stay open until :meth:`EdgeCatalog.close`. Any number of threads may use the catalog at once.
"""

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeVectorParams,
    KeywordIndexParams,
    UpdateOperation,
)

from adapters.admission import absent, admit_fields, admit_metadata, admit_name, exists, missing_fields, refuse_named
from adapters.edge import durable, rewriting
from adapters.edge.index import EdgeIndex, engine
from adapters.edge.ownership import Ownership
from adapters.edge.points import field_index
from adapters.edge.room import require_room
from adapters.edge.server import SocketServer
from schemas.chunk_event import Json
from stream.errors import Fatal, Misuse
from stream.ports import FieldType, VectorSpec

FORMAT = 1
"""Raised when an older embedstream could misread the directory."""

_UNFINISHED = ".unfinished-"


class EdgeCatalog:
    """Owns the directory from construction to ``close``. Raises Owned (Fatal) where another process does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._open: dict[str, EdgeIndex] = {}
        self._server: SocketServer | None = None
        self._ownership = Ownership(path)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            durable.sync_folder(path)
            for leftover in self._folder.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(leftover)
            for file in self._folder.glob("[!.]*/collection.json"):
                rewriting.settled(file.parent)
        except OSError as error:
            self._ownership.release()
            raise Fatal(
                f"The data directory {path} cannot be used ({error}); choose another in index.url."
            ) from error

    def serve(self) -> None:
        """From now on other processes reach the catalog through the socket in the directory."""
        with self._owning():
            if self._server is None:
                self._server = SocketServer(self, self._path)

    def collections(self) -> Sequence[str]:
        with self._owning():
            return sorted(file.parent.name for file in self._folder.glob("[!.]*/collection.json"))

    def create(
        self, name: str, vector: VectorSpec, fields: Mapping[str, FieldType], metadata: Mapping[str, Json]
    ) -> None:
        admit_name(name)
        admit_fields(fields)
        described = {
            "format": FORMAT,
            "vector": {"name": vector.name, "dimensions": vector.dimensions},
            "fields": dict(fields),
            "metadata": orjson.loads(admit_metadata(metadata)),
        }
        with self._owning():
            if name in self.collections() or name in self.aliases():
                raise exists(name)
            unfinished = self._folder / f"{_UNFINISHED}{name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            with engine("create"):
                unfinished.mkdir(mode=0o700)
                _make_shard(unfinished / "shard", vector, fields)
                durable.replace(unfinished / "collection.json", orjson.dumps(described))
                unfinished.rename(self._folder / name)
                durable.sync_folder(self._folder)

    def ensure_fields(self, name: str, fields: Mapping[str, FieldType]) -> None:
        admit_fields(fields)
        with self._owning():
            described = self._described(name)
            missing = missing_fields(name, described["fields"], fields)
            if not missing:
                return
            # The engine's index first: a crash in between leaves one that nobody knows of, and it is made again.
            self.open(name).index_fields(missing)
            described["fields"] = {**described["fields"], **missing}
            with engine("write"):
                durable.replace(self._folder / name / "collection.json", orjson.dumps(described))

    def metadata(self, name: str) -> Mapping[str, Json]:
        with self._owning():
            metadata: dict[str, Json] = self._described(name)["metadata"]
            return metadata

    def replace_metadata(self, name: str, expected: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
        before, after = admit_metadata(expected), admit_metadata(wanted)
        with self._owning():
            described = self._described(name)
            if admit_metadata(described["metadata"]) != before:
                return False
            described["metadata"] = orjson.loads(after)
            with engine("write"):
                durable.replace(self._folder / name / "collection.json", orjson.dumps(described))
            return True

    def aliases(self) -> Mapping[str, str]:
        with self._owning():
            file = self._path / "aliases.json"
            return _read(file) if file.exists() else {}

    def switch_alias(self, alias: str, expected: str | None, wanted: str | None) -> bool:
        admit_name(alias)
        with self._owning():
            if wanted is not None:
                self._described(wanted)
            if alias in self.collections():
                raise exists(alias)
            aliases = dict(self.aliases())
            if aliases.get(alias) != expected:
                return False
            if wanted is None:
                aliases.pop(alias, None)
            else:
                aliases[alias] = wanted
            with engine("write"):
                durable.replace(self._path / "aliases.json", orjson.dumps(aliases))
            return True

    def drop(self, name: str) -> None:
        with self._owning():
            if name not in self.collections():
                return
            refuse_named(name, self.aliases())
            unfinished = self._folder / f"{_UNFINISHED}{name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            if name in self._open:
                self._open.pop(name).close()
            with engine("remove"):
                # Gone at once and for good; its files go after it, or at the next opening.
                (self._folder / name).rename(unfinished)
                durable.sync_folder(self._folder)
                shutil.rmtree(unfinished)

    def open(self, name: str) -> EdgeIndex:
        with self._owning():
            if name not in self._open:
                described = self._described(name)
                # Loading carries out again what the log has and the files have not.
                require_room(self._folder)
                with engine("load"):
                    shard = EdgeShard.load(str(self._folder / name / "shard"))
                vector = VectorSpec(**described["vector"])
                self._open[name] = EdgeIndex(shard, vector, described["fields"], self._folder / name)
            return self._open[name]

    def bin(self, name: str) -> EdgeIndex:
        return self.open(name)

    def optimize(self, name: str) -> bool:
        """For an operator's command while nobody is served; see :meth:`EdgeIndex.optimize`."""
        if self._server is not None:
            raise Misuse("The optimizer stops every thread, so a process that serves the index does not run it.")
        return self.open(name).optimize()

    def rewrite(self, name: str) -> None:
        """Writes the collection's files anew, without anything that was overwritten in them (see ``rewriting``). For
        an operator's command while nobody is served; indexes that were opened before are closed.
        """
        if self._server is not None:
            raise Misuse("A collection is not written anew while its process serves it.")
        with self._owning():
            index, folder = self.open(name), self._folder / name
            following = rewriting.next_folder(folder)
            require_room(self._folder, to_copy=folder)
            with engine("write"):
                shutil.rmtree(following, ignore_errors=True)
                _make_shard(following, index.vector, index.fields)
                shard = EdgeShard.load(str(following))
                try:
                    rewriting.copied(index, shard)
                finally:
                    shard.close()
                self._open.pop(name).close()
                rewriting.exchange(folder)

    def close(self) -> None:
        """Stops serving, closes every shard, gives the directory up. A second call does nothing."""
        if self._server is not None:
            self._server.close()
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
            self._ownership.release()

    @property
    def _folder(self) -> Path:
        return self._path / "collections"

    @contextmanager
    def _owning(self) -> Iterator[None]:
        """Nothing is read or written in a directory that may belong to another process."""
        with self._lock:
            if not self._ownership.held:
                raise Fatal("This index was closed; open the catalog again.")
            yield

    def _described(self, name: str) -> dict[str, Any]:
        file = self._folder / name / "collection.json"
        if name not in self.collections():
            raise absent(name, self.collections())
        described = _read(file)
        if described.get("format") != FORMAT:
            raise Fatal(
                f"{file} has format {described.get('format')!r}, and this version of embedstream reads format "
                f"{FORMAT}; use the version that made it, or build the next generation."
            )
        return described


def _make_shard(folder: Path, vector: VectorSpec, fields: Mapping[str, FieldType]) -> None:
    """An empty shard on disk, every payload index made and flushed: none has to be built over stored points."""
    config = EdgeConfig(
        vectors={vector.name: EdgeVectorParams(vector.dimensions, Distance.Cosine)},
        wal_enabled=True,
    )
    folder.mkdir(mode=0o700)
    shard = EdgeShard.create(str(folder), config)
    try:
        shard.update(UpdateOperation.create_field_index("doc_id", KeywordIndexParams()))
        shard.update(UpdateOperation.create_field_index("tenant", KeywordIndexParams(is_tenant=True)))
        shard.update(UpdateOperation.create_field_index("state", KeywordIndexParams()))
        for field, kind in fields.items():
            shard.update(field_index(field, kind))
        shard.flush()
    finally:
        shard.close()


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise Fatal(f"{file} cannot be read ({error}); restore it, or build the index anew.") from error
    return content
