"""What a new collection is created with, and what an existing one has to be: the laws of replicas are kept here.

With one replica a server's own order is enough. With more, a write has to reach the majority of them in the order of
one leader (``strong``), and a read has to ask the majority: then any read meets every acknowledged write. A
collection whose write consistency is lower could answer a plan with what was overwritten long ago: it is refused.

``hnsw`` and ``quantization`` are Qdrant's own tables, checked by Qdrant's own models: a misspelt key is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from qdrant_client import models

from adapters.qdrant.options import Layout, majority
from stream.errors import Fatal, Misuse
from stream.ports import FieldType, VectorSpec

_QUANTIZATION: TypeAdapter[models.QuantizationConfig] = TypeAdapter(models.QuantizationConfig)
_SCHEMAS: Mapping[FieldType, models.PayloadSchemaType] = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "boolean": models.PayloadSchemaType.BOOL,
    "datetime": models.PayloadSchemaType.DATETIME,
}
FieldIndex = models.PayloadSchemaType | models.KeywordIndexParams

_OWN_FIELDS: Mapping[str, FieldIndex] = {
    "doc_id": models.PayloadSchemaType.KEYWORD,
    "tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "state": models.PayloadSchemaType.KEYWORD,
}
_RESCORED = models.QuantizationSearchParams(rescore=True)
_REFUSED_IN_NAMES = frozenset('<>:"/\\|?*\0\x1f')
_LONGEST_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Manner:
    """How calls to one collection have to be made. None: the server's default, which is enough for one replica."""

    reads: models.ReadConsistencyType | None = None
    writes: models.WriteOrdering | None = None
    search: models.SearchParams | None = None
    """Quantized vectors choose the candidates; scores are those of the whole vectors."""


def new_collection(layout: Layout, vector: VectorSpec) -> dict[str, Any]:
    """Arguments of the client's ``create_collection``. Raises Misuse for tables that Qdrant does not know."""
    return {
        "vectors_config": {
            vector_name(vector): models.VectorParams(
                size=vector.dimensions, distance=models.Distance.COSINE, on_disk=layout.vectors_on_disk
            )
        },
        "shard_number": layout.shards,
        "replication_factor": layout.replicas,
        "write_consistency_factor": layout.written_replicas,
        "on_disk_payload": layout.payload_on_disk,
        "hnsw_config": hnsw(layout.hnsw),
        "quantization_config": quantization(layout.quantization),
    }


def hnsw(table: Mapping[str, Any]) -> models.HnswConfigDiff | None:
    """``m``, ``ef_construct``, ``payload_m`` and so on."""
    if not table:
        return None
    try:
        return models.HnswConfigDiff.model_validate(dict(table))
    except ValidationError as error:
        raise Misuse(f"index.qdrant.hnsw is not what Qdrant takes: {_first(error)}.") from None


def quantization(table: Mapping[str, Any]) -> models.QuantizationConfig | None:
    """One of ``scalar``, ``product``, ``binary``, as a table of that name."""
    if not table:
        return None
    try:
        return _QUANTIZATION.validate_python(dict(table))
    except ValidationError as error:
        raise Misuse(
            f"index.qdrant.quantization is not what Qdrant takes: {_first(error)}; it is one table, as "
            '{ scalar = { type = "int8", always_ram = true } }.'
        ) from None


def vector_name(vector: VectorSpec) -> str:
    """The name as a server takes it: a folder of its own is called so. The fingerprint at its end stays whole."""
    name = "".join("_" if letter in _REFUSED_IN_NAMES else letter for letter in vector.name)
    while len(name.encode()) > _LONGEST_NAME_BYTES:
        name = name[1:]
    return name


def manner_of(collection: str, config: models.CollectionConfig) -> Manner:
    """How this collection is to be read and written. Raises Fatal where a read could miss what was acknowledged."""
    replicas, written = config.params.replication_factor or 1, config.params.write_consistency_factor or 1
    search = None if config.quantization_config is None else models.SearchParams(quantization=_RESCORED)
    if replicas == 1:
        return Manner(search=search)
    if written < majority(replicas):
        raise Fatal(
            f"The collection {collection} has {replicas} replicas and a write consistency factor of {written}: a "
            "plan could be made on what was overwritten already; set its write_consistency_factor to "
            f"{majority(replicas)} or more (PATCH /collections/…, params), then start again."
        )
    return Manner(models.ReadConsistencyType.MAJORITY, models.WriteOrdering.STRONG, search)


def check_vector(collection: str, params: models.CollectionParams, vector: VectorSpec) -> None:
    """Raises Fatal where the collection does not have the vector that its record tells of."""
    vectors = params.vectors if isinstance(params.vectors, dict) else {}
    found = vectors.get(vector_name(vector))
    if found is None or found.size != vector.dimensions or found.distance != models.Distance.COSINE:
        raise Fatal(
            f"The collection {collection} does not have the vector {vector_name(vector)!r} of {vector.dimensions} "
            "dimensions compared by cosine that its record tells of; put its data back, or raise index.generation by "
            "one to build it anew."
        )


def missing_indexes(
    fields: Mapping[str, FieldType], schema: Mapping[str, models.PayloadIndexInfo], path: Mapping[str, str]
) -> dict[str, FieldIndex]:
    """Key → index to be made, for what is declared and not on the server. ``path`` gives each field's key there."""
    wanted = {**_OWN_FIELDS, **{path[name]: _SCHEMAS[kind] for name, kind in fields.items()}}
    return {key: index for key, index in wanted.items() if key not in schema}


def _first(error: ValidationError) -> str:
    """What is wrong, without what was found: pydantic tries every alternative of a union in turn."""
    found = error.errors(include_url=False, include_input=False)
    worst = next((one for one in found if one["type"] == "extra_forbidden" and len(one["loc"]) > 2), found[0])
    where = ".".join(str(part) for part in worst["loc"])
    return f"{where}: {worst['msg'].rstrip('.').lower()}"
