"""What the doubles of a Qdrant server keep, and how they answer: a test double, never to be taken for a server.

Points are kept by qdrant-client's local mode, one call at a time. Where local mode and a server differ in what the
adapter rests on, this follows the server, as its source and a real one showed:

- the conditions of all operations of a batch are checked against what was stored *before* the batch, and of several
  operations on one point the last one stands: local mode would carry them out one after another;
- actions on aliases are carried out one after another, and those before one that fails stay done;
- a collection tells its payload indexes, replicas and strict mode; strict mode refuses conditions on a field that is
  not indexed;
- names that cannot be folders are refused, for collections, aliases and vectors.

It answers with qdrant-client's own models, or raises :class:`Refused` with the status that a server gives.
"""

import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.local.payload_filters import check_filter

VERSION = "1.19.0"


class Refused(Exception):
    """As a server would say it: HTTP status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ServerState:
    """One server's collections. Any number of threads may use it."""

    def __init__(self, *, version: str = VERSION, strict: bool = False) -> None:
        self.version = version
        self.lock = threading.RLock()
        self._strict = strict
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.local = QdrantClient(":memory:")
        self._settings: dict[str, dict[str, Any]] = {}

    # --- collections

    def collections(self) -> models.CollectionsResponse:
        with self.lock:
            return self.local.get_collections()

    def create(self, name: str, wanted: models.CreateCollection) -> bool:
        with self.lock:
            if name in self._settings:
                raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
            if name in self.aliases_by_name():
                raise Refused(
                    400, f"Can't create collection with name {name}. Alias with the same name already exists"
                )
            try:
                self.local.create_collection(name, wanted.vectors, metadata=wanted.metadata)
            except ValueError as error:
                raise Refused(422, f"Wrong input: {error}") from error
            self._settings[name] = {
                "schema": {},
                "params": {
                    "shard_number": wanted.shard_number or 1,
                    "replication_factor": wanted.replication_factor or 1,
                    "write_consistency_factor": wanted.write_consistency_factor or 1,
                    "on_disk_payload": True if wanted.on_disk_payload is None else wanted.on_disk_payload,
                },
                "quantization": wanted.quantization_config,
                "hnsw": wanted.hnsw_config,
                "strict": models.StrictModeConfigOutput(
                    enabled=self._strict, unindexed_filtering_update=not self._strict
                ),
            }
            return True

    def update(self, name: str, wanted: models.UpdateCollection) -> bool:
        with self.lock:
            settings = self._settings[self._resolved(name)]
            if wanted.metadata is not None:
                self.local.update_collection(self._resolved(name), metadata=wanted.metadata)
            if wanted.params is not None:
                settings["params"].update(wanted.params.model_dump(exclude_none=True))
            if wanted.strict_mode_config is not None:
                changed = wanted.strict_mode_config.model_dump(exclude_none=True)
                settings["strict"] = settings["strict"].model_copy(update=changed)
            return True

    def delete(self, name: str) -> bool:
        with self.lock:
            self._settings.pop(name, None)
            return self.local.delete_collection(name)

    def described(self, name: str) -> models.CollectionInfo:
        with self.lock:
            resolved = self._resolved(name)
            settings = self._settings[resolved]
            info = self.local.get_collection(resolved)
            info.config.params = info.config.params.model_copy(update=settings["params"])
            info.config.strict_mode_config = settings["strict"]
            info.config.quantization_config = settings["quantization"]
            if settings["hnsw"] is not None:
                changed = settings["hnsw"].model_dump(exclude_none=True)
                info.config.hnsw_config = info.config.hnsw_config.model_copy(update=changed)
            info.payload_schema = {
                key: models.PayloadIndexInfo(data_type=_type_of(schema), params=_params_of(schema), points=0)
                for key, schema in settings["schema"].items()
            }
            return info

    def index_field(self, name: str, key: str, schema: Any) -> models.UpdateResult:
        with self.lock:
            self._settings[self._resolved(name)]["schema"][key] = schema
            return _completed()

    # --- aliases

    def aliases(self) -> models.CollectionsAliasesResponse:
        with self.lock:
            return self.local.get_aliases()

    def aliases_by_name(self) -> dict[str, str]:
        return {alias.alias_name: alias.collection_name for alias in self.aliases().aliases}

    def change_aliases(self, actions: Sequence[models.AliasOperations]) -> bool:
        with self.lock:
            for action in actions:
                try:
                    self.local.update_collection_aliases([action])
                except ValueError as error:
                    said = str(error)
                    raise Refused(409 if "already exists" in said else 404, f"Not found: {said}!") from error
            return True

    # --- points

    def batch(
        self, name: str, operations: Sequence[models.UpdateOperation], carried_out: int | None = None
    ) -> list[models.UpdateResult]:
        """``carried_out``: only so many of them, as by a server that dies within a batch."""
        with self.lock:
            collection = self._resolved(name)
            self._check_strictness(collection, operations)
            settled = [self._settled(collection, operation) for operation in operations]
            for apply in settled[:carried_out]:
                apply()
            return [_completed() for _ in operations]

    def scroll(self, name: str, asked: models.ScrollRequest) -> models.ScrollResult:
        with self.lock:
            records, following = self.local.scroll(
                self._resolved(name),
                scroll_filter=asked.filter,
                limit=asked.limit or 10,
                offset=asked.offset,
                with_payload=True if asked.with_payload is None else asked.with_payload,
                with_vectors=asked.with_vector or False,
            )
            return models.ScrollResult(points=records, next_page_offset=following)

    def retrieve(self, name: str, asked: models.PointRequest) -> list[models.Record]:
        with self.lock:
            return self.local.retrieve(
                self._resolved(name),
                asked.ids,
                with_payload=True if asked.with_payload is None else asked.with_payload,
                with_vectors=asked.with_vector or False,
            )

    def count(self, name: str, asked: models.CountRequest) -> models.CountResult:
        with self.lock:
            return self.local.count(self._resolved(name), asked.filter, exact=True)

    def query(self, name: str, asked: models.QueryRequest) -> models.QueryResponse:
        with self.lock:
            try:
                return self.local.query_points(
                    self._resolved(name),
                    query=asked.query,
                    using=asked.using,
                    query_filter=asked.filter,
                    limit=asked.limit or 10,
                    score_threshold=asked.score_threshold,
                    with_payload=True if asked.with_payload is None else asked.with_payload,
                    with_vectors=asked.with_vector or False,
                )
            except ValueError as error:
                raise Refused(400, f"Wrong input: {error}") from error

    # --- what a server does before it writes

    def _settled(self, collection: str, operation: models.UpdateOperation) -> Any:
        """The operation with its points fixed by what is stored now; carried out later."""
        match operation:
            case models.UpsertOperation(upsert=models.PointsList() as asked):
                stored = self._stored(collection, [point.id for point in asked.points])
                kept = [
                    point
                    for point in asked.points
                    if asked.update_filter is None
                    or str(point.id) not in stored
                    or _holds(asked.update_filter, stored[str(point.id)])
                ]
                return lambda: kept and self._upsert(collection, kept)
            case models.SetPayloadOperation(set_payload=asked):
                ids = self._selected(collection, asked)
                return lambda: ids and self.local.set_payload(collection, asked.payload, points=ids)
            case models.OverwritePayloadOperation(overwrite_payload=asked):
                ids = self._selected(collection, asked)
                return lambda: ids and self.local.overwrite_payload(collection, asked.payload, points=ids)
            case models.DeleteOperation(delete=models.FilterSelector() as asked):
                ids = self._selected(collection, asked)
                return lambda: ids and self.local.delete(collection, ids)
        raise Refused(400, f"This double knows no {type(operation).__name__}")

    def _upsert(self, collection: str, points: list[models.PointStruct]) -> None:
        try:
            self.local.upsert(collection, points)
        except ValueError as error:
            raise Refused(400, f"Wrong input: {error}") from error

    def _selected(
        self, collection: str, asked: models.SetPayload | models.FilterSelector
    ) -> list[models.ExtendedPointId]:
        if asked.filter is None:
            return list(asked.points or [])
        named = [one for one in _all_conditions(asked.filter) if isinstance(one, models.HasIdCondition)]
        stored = self._stored(collection, [point for one in named for point in one.has_id])
        return [record.id for record in stored.values() if _holds(asked.filter, record)]

    def _stored(self, collection: str, ids: list[models.ExtendedPointId]) -> dict[str, models.Record]:
        found = self.local.retrieve(collection, ids, with_payload=True, with_vectors=True) if ids else []
        return {str(record.id): record for record in found}

    def _check_strictness(self, collection: str, operations: Sequence[models.UpdateOperation]) -> None:
        settings = self._settings[collection]
        if not settings["strict"].enabled or settings["strict"].unindexed_filtering_update:
            return
        for key in _filtered_keys(operations):
            if key not in settings["schema"]:
                raise Refused(
                    400,
                    f'Bad request: Index required but not found for "{key}" of one of the following types: [integer, '
                    "float]. Help: Create an index for this key or use a different filter. (strict mode)",
                )

    def _resolved(self, name: str) -> str:
        resolved = self.aliases_by_name().get(name, name)
        if resolved not in self._settings:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return resolved


def _filtered_keys(operations: Iterable[models.UpdateOperation]) -> Iterable[str]:
    for operation in operations:
        match operation:
            case models.UpsertOperation(upsert=models.PointsList(update_filter=wanted)):
                pass
            case models.SetPayloadOperation(set_payload=models.SetPayload(filter=wanted)):
                pass
            case models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(filter=wanted)):
                pass
            case models.DeleteOperation(delete=models.FilterSelector(filter=wanted)):
                pass
            case _:
                wanted = None
        for one in _all_conditions(wanted) if wanted is not None else ():
            if isinstance(one, models.FieldCondition):
                yield one.key


def _all_conditions(wanted: models.Filter) -> Iterable[models.Condition]:
    """Those of filters within it too."""
    for one in [*_listed(wanted.must), *_listed(wanted.must_not), *_listed(wanted.should)]:
        if isinstance(one, models.Filter):
            yield from _all_conditions(one)
        else:
            yield one


def _listed(conditions: models.Condition | list[models.Condition] | None) -> list[models.Condition]:
    return conditions if isinstance(conditions, list) else []


def _holds(wanted: models.Filter, record: models.Record) -> bool:
    named = record.vector if isinstance(record.vector, dict) else {}
    return check_filter(wanted, record.payload or {}, record.id, dict.fromkeys(named, True))


def _type_of(schema: Any) -> models.PayloadSchemaType:
    return models.PayloadSchemaType(schema if isinstance(schema, str) else schema.type)


def _params_of(schema: Any) -> Any:
    return None if isinstance(schema, str) else schema


def _completed() -> models.UpdateResult:
    return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
