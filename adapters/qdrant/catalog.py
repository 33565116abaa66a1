"""The collections of one Qdrant server as ``IndexCatalog``.

Any number of processes may have a catalog of one server open: nothing is owned. What changes by compare-and-set is in
``record`` (metadata and fields) and ``aliases``; the rest is the server's own.

A collection is made with its record in one call, then its payload indexes. A process that dies in between leaves a
collection without some of them, and so does one that dies while it adds a field; so whoever opens a collection makes
the indexes that its record tells of and the server does not have. Making one again changes nothing.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import orjson
from qdrant_client import QdrantClient, models

from adapters.admission import absent, admit_fields, admit_metadata, admit_name, exists, missing_fields, refuse_named
from adapters.qdrant.aliases import move_alias, read_aliases
from adapters.qdrant.connection import Connection
from adapters.qdrant.engine import engine_info
from adapters.qdrant.failures import Exists, Missing
from adapters.qdrant.filters import key_path
from adapters.qdrant.index import QdrantIndex
from adapters.qdrant.layout import FieldIndex, Manner, check_vector, manner_of, missing_indexes, new_collection
from adapters.qdrant.options import Layout
from adapters.qdrant.record import KEY, CollectionRecord, change_record, read_record
from schemas.chunk_event import Json
from stream.engine import EngineInfo
from stream.errors import Fatal
from stream.ports import FieldType, Step, VectorSpec, no_step

_LOG = logging.getLogger("embedstream.qdrant")
_RACES = 50


class QdrantCatalog:
    """``step`` is called before each change."""

    def __init__(self, connection: Connection, layout: Layout | None = None, step: Step = no_step) -> None:
        self._connection = connection
        self._layout = layout or Layout()
        self._step = step
        self._lock = threading.Lock()
        self._open: dict[str, QdrantIndex] = {}

    def collections(self) -> Sequence[str]:
        with self._lock:
            opened = {*self._open}
        found = self._connection.call("listing collections", lambda client: client.get_collections())
        names = sorted(collection.name for collection in found.collections)
        # What another process dropped, and may make again in another manner. One opened since is not judged.
        with self._lock:
            for gone in opened.difference(names):
                self._open.pop(gone, None)
        return names

    def create(
        self, name: str, vector: VectorSpec, fields: Mapping[str, FieldType], metadata: Mapping[str, Json]
    ) -> None:
        admit_name(name)
        admit_fields(fields)
        record = CollectionRecord(vector, dict(fields), admit_metadata(metadata))
        if name in self.collections() or name in self.aliases():
            raise exists(name)
        wanted = new_collection(self._layout, vector)
        self._step("catalog.create")
        try:
            self._connection.call(
                "creating a collection",
                lambda client: client.create_collection(name, **wanted, metadata={KEY: record.to_json()}),
            )
        except Exists:
            raise exists(name) from None
        info = self._described(name)
        if _strict_about_versions(info):
            # Only now: the client's REST form of the creation leaves this setting out.
            self._connection.call(
                "setting up a collection",
                lambda client: client.update_collection(
                    name, strict_mode_config=models.StrictModeConfig(unindexed_filtering_update=True)
                ),
            )
        self._make_indexes(name, record.fields, info)

    def ensure_fields(self, name: str, fields: Mapping[str, FieldType]) -> None:
        admit_fields(fields)
        self._step("catalog.ensure_fields")
        for _ in range(_RACES):
            info = self._described(name)
            calls = manner_of(name, info.config)
            record = read_record(self._connection, name, info, calls)
            missing = missing_fields(name, record.fields, fields)
            # The record first: of two that declare one field as two types, one is refused before it makes an index.
            wanted = replace(record, fields={**record.fields, **missing})
            if missing and not change_record(self._connection, name, calls, record, wanted):
                continue
            self._make_indexes(name, wanted.fields, info)
            return
        raise _contended(name)

    def metadata(self, name: str) -> Mapping[str, Json]:
        record, _ = self._record(name)
        return cast("dict[str, Json]", orjson.loads(record.metadata))

    def replace_metadata(self, name: str, expected: Mapping[str, Json], wanted: Mapping[str, Json]) -> bool:
        before, after = admit_metadata(expected), admit_metadata(wanted)
        self._step("catalog.replace_metadata")
        for _ in range(_RACES):
            record, calls = self._record(name)
            if record.metadata != before:
                return False
            changed = replace(record, metadata=after)
            if change_record(self._connection, name, calls, record, changed):
                return True
            # Lost to whoever changed the metadata, or only to a field that was declared: look again.
        raise _contended(name)

    def aliases(self) -> Mapping[str, str]:
        return read_aliases(self._connection)

    def switch_alias(self, alias: str, expected: str | None, wanted: str | None) -> bool:
        admit_name(alias)
        there = self.collections()
        if wanted is not None and wanted not in there:
            raise absent(wanted, there)
        if alias in there:
            raise exists(alias)
        self._step("catalog.switch_alias")
        return move_alias(self._connection, alias, expected, wanted)

    def drop(self, name: str) -> None:
        """Between the look at the aliases and the end of it nobody may move one to this collection: the server takes
        a collection away whatever means it.
        """
        if name not in self.collections():
            return
        refuse_named(name, self.aliases())
        self._step("catalog.drop")
        self._connection.call("dropping a collection", lambda client: client.delete_collection(name))
        with self._lock:
            self._open.pop(name, None)

    def bin(self, name: str) -> QdrantIndex:
        """Raises Fatal for a server that may undo a delete when it starts again."""
        self._connection.require_lasting_deletes()
        return self.open(name)

    def open(self, name: str) -> QdrantIndex:
        with self._lock:
            opened = self._open.get(name)
        if opened is not None:
            return opened
        info = self._described(name)
        calls = manner_of(name, info.config)
        record = read_record(self._connection, name, info, calls)
        check_vector(name, info.config.params, record.vector)
        if _strict_about_versions(info):
            raise Fatal(
                f"The collection {name} is in strict mode and takes no condition on a field without an index, which "
                "every write here has (version is not indexed); set its unindexed_filtering_update to true (PATCH "
                "/collections/…, strict_mode_config), then start again."
            )
        self._make_indexes(name, record.fields, info)
        index = QdrantIndex(self._connection, name, record.vector, calls, self._step)
        with self._lock:
            return self._open.setdefault(name, index)

    def version(self) -> str:
        """The server's."""
        return self._connection.version()

    def engine(self, collection: str | None) -> EngineInfo:
        """The server, and a collection of it. See ``stream.engine``."""
        return engine_info(self._connection, None if collection is None else self._described(collection))

    def close(self) -> None:
        """Waits for what is in flight. The server keeps everything."""
        self._connection.close()

    def _record(self, name: str) -> tuple[CollectionRecord, Manner]:
        info = self._described(name)
        calls = manner_of(name, info.config)
        return read_record(self._connection, name, info, calls), calls

    def _described(self, name: str) -> models.CollectionInfo:
        """Of a collection, not of what an alias shows: one would be read as the other."""
        there = self.collections()
        if name not in there:
            raise absent(name, there)
        try:
            return self._connection.call("describing a collection", lambda client: client.get_collection(name))
        except Missing:
            raise absent(name, self.collections()) from None

    def _make_indexes(self, name: str, fields: Mapping[str, FieldType], info: models.CollectionInfo) -> None:
        path = {field: key_path(field) for field in fields}
        for key, schema in missing_indexes(fields, info.payload_schema, path).items():

            def make(client: QdrantClient, key: str = key, schema: FieldIndex = schema) -> object:
                return client.create_payload_index(name, key, field_schema=schema, wait=True)

            self._connection.call("making a payload index", make)


def _strict_about_versions(info: models.CollectionInfo) -> bool:
    strict = info.config.strict_mode_config
    return strict is not None and bool(strict.enabled) and strict.unindexed_filtering_update is False


def _contended(name: str) -> Fatal:
    return Fatal(f"The record of collection {name} keeps changing under this process; see what else writes it.")
