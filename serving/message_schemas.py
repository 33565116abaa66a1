"""What the interface takes and gives, as JSON Schemas: the components of its OpenAPI document.

Law: a body is valid under its schema exactly where the service would read it, apart from what only the live contract
knows (how many tokens a text has, which model's name is known). So every bound here is the value that is enforced,
not a copy of it.
"""

from collections.abc import Mapping
from typing import get_args

from schemas.chunk_event import Json
from serving.embeddings import FORMATS, KINDS
from serving.limits import Limits
from serving.pulse import UpgradeStep
from serving.request import RequestRules
from serving.whole_number import LEAST, MOST
from stream.ports import FieldType

Schema = dict[str, Json]

_NOT_BLANK = r"[^\s\x1c-\x1f]"
"""What Python calls a blank is more than what regular expressions elsewhere do."""
_COMPARED: Mapping[FieldType, Schema] = {
    "keyword": {"type": "string"},
    "integer": {"type": "integer", "minimum": LEAST, "maximum": MOST},
    "boolean": {"type": "boolean"},
}


def obj(
    properties: Mapping[str, Schema], optional: frozenset[str] = frozenset(), *, closed: bool = False, **more: Json
) -> Schema:
    """An object whose properties are needed, but for the optional ones; ``closed``: it has no others."""
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        **more,
    }
    return {**schema, "additionalProperties": False} if closed else schema


def ref(name: str) -> Schema:
    """To a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def components(rules: RequestRules, limits: Limits, dimensions: int | None) -> dict[str, Json]:
    """By name. ``dimensions``: those of the live contract; None: not known."""
    return {
        "SearchRequest": _search_request(rules),
        "SearchResponse": _named(
            {
                "index": _TEXT,
                "took_ms": {"type": "number", "minimum": 0},
                "hits": {"type": "array", "items": ref("Hit"), "maxItems": rules.max_limit},
            }
        ),
        "Hit": _HIT,
        "EmbeddingsRequest": _embeddings_request(rules, limits, dimensions),
        "EmbeddingsResponse": _embeddings_response(limits),
        "Models": _named({"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}),
        "Model": _MODEL,
        "Index": _INDEX,
        "Readiness": obj({"ready": {"type": "boolean"}, "why": _TEXT}),
        "Error": _ERROR,
    }


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _or_null(kind: str, **more: Json) -> Schema:
    return {"type": [kind, "null"], **more}


def _named(properties: Mapping[str, Schema]) -> Schema:
    """An answer, with what every answer names."""
    return obj({**properties, "contract": _TEXT, "collection": _TEXT})


def _search_request(rules: RequestRules) -> Schema:
    fields: dict[str, Schema] = {name: _COMPARED[kind] for name, kind in rules.fields.items() if kind in _COMPARED}
    return obj(
        {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": rules.max_text_chars,
                "pattern": _NOT_BLANK,
                "description": "What to search for. It is never cut: longer than the model reads, it is refused.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": rules.max_limit,
                "default": min(10, rules.max_limit),
            },
            "filter": {
                **obj(fields, frozenset(fields), closed=True),
                "type": ["object", "null"],
                "description": "Payload fields, as the sources declare them, and the value that each has to have.",
            },
            "tenant": _or_null("string"),
        },
        frozenset({"limit", "filter", "tenant"}),
        closed=True,
    )


def _embeddings_request(rules: RequestRules, limits: Limits, dimensions: int | None) -> Schema:
    text: Schema = {"type": "string", "minLength": 1, "maxLength": rules.max_text_chars}
    exact: Schema = {"minimum": 1} if dimensions is None else {"minimum": dimensions, "maximum": dimensions}
    return obj(
        {
            "model": {
                "type": "string",
                "minLength": 1,
                "description": "A name of the live contract, see /v1/models; -query or -passage chooses the prompt.",
            },
            "input": {
                "oneOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": limits.max_texts}],
                "description": "Texts, never token ids. None is cut: longer than the model reads, it is refused.",
            },
            "input_type": {
                "enum": [*KINDS, None],
                "description": "Which prompt; needed where the two differ and the model's name chooses none.",
            },
            "encoding_format": {"enum": [*FORMATS, None], "description": "base64: of float32, little-endian."},
            "dimensions": _or_null("integer", **exact, description="The contract's own, and no other."),
            "user": _or_null("string", description="Read by nobody."),
        },
        frozenset({"input_type", "encoding_format", "dimensions", "user"}),
        closed=True,
    )


def _embeddings_response(limits: Limits) -> Schema:
    embedding = obj(
        {
            "object": {"const": "embedding"},
            "index": _COUNT,
            "embedding": {
                "oneOf": [
                    {"type": "array", "items": {"type": "number"}},
                    {"type": "string", "contentEncoding": "base64"},
                ]
            },
        }
    )
    return _named(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": embedding, "minItems": 1, "maxItems": limits.max_texts},
            "model": _TEXT,
            "usage": obj({"prompt_tokens": _COUNT, "total_tokens": _COUNT}),
            "input_type": {"enum": list(KINDS)},
        }
    )


_HIT = obj(
    {
        "id": {"type": "string", "format": "uuid"},
        "doc_id": _TEXT,
        "score": {"type": "number"},
        "title": _or_null("string"),
        "text": _or_null("string", description="Null where the index keeps no texts."),
        "span": {
            "type": ["array", "null"],
            "items": _COUNT,
            "minItems": 2,
            "maxItems": 2,
            "description": "[start, end) of the passage in the document's text, in code points.",
        },
        "position": _or_null("integer", minimum=0),
        "count": _or_null("integer", minimum=1),
        "version": _COUNT,
        "age_ms": _or_null("integer", minimum=0, description="Since the commit at the source."),
        "tenant": _or_null("string"),
        "fields": {"type": "object"},
    }
)

_MODEL = _named(
    {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": {**_COUNT, "description": "0: not known."},
        "owned_by": {**_TEXT, "description": "The index's name."},
        "input_type": {"enum": [*KINDS, None], "description": "The prompt that this name chooses."},
        "dimensions": {"type": "integer", "minimum": 1},
        "max_tokens": {"type": "integer", "minimum": 1},
    }
)

_LAG: Schema = {
    **obj({"chunker": _or_null("integer", minimum=0), "embedder": _or_null("integer", minimum=0)}),
    "type": ["object", "null"],
    "description": "Records before the chunkers and the embedders; null where it is not known.",
}
_THROUGHPUT: Schema = {
    **obj({name: {"type": "number", "minimum": 0} for name in ("embedded_per_s", "applied_per_s")}),
    "type": ["object", "null"],
    "description": "Chunks a second over the last seconds; null where it is not known.",
}
_UPGRADE_SIDE = obj(
    {"collection": _TEXT, "contract": _TEXT, "model": _TEXT, "points": _or_null("integer", minimum=0)}
)
_UPGRADE: Schema = {
    **obj(
        {
            "change": _TEXT,
            "step": {"enum": list(get_args(UpgradeStep))},
            "done": {"type": "number", "minimum": 0, "maximum": 1, "description": "Of the replay."},
            "before": _UPGRADE_SIDE,
            "after": _UPGRADE_SIDE,
        }
    ),
    "type": ["object", "null"],
    "description": "The upgrade that is on its way, if there is one and this process knows of it.",
}

_INDEX = _named(
    {
        "index": _TEXT,
        "model": _TEXT,
        "points": {
            **obj({"live": _COUNT, "removed": _COUNT, "deleted": _COUNT}),
            "type": ["object", "null"],
            "description": "Of the whole index; null for a key that is bound to a part of it.",
        },
        "freshness": {
            **obj({name: {"type": "number"} for name in ("p50_ms", "p95_ms", "p99_ms", "n")}),
            "type": ["object", "null"],
        },
        "lag": _LAG,
        "throughput": _THROUGHPUT,
        "upgrade": _UPGRADE,
        "worst_probe": {"type": "number"},
        "fields": {"type": "object", "additionalProperties": _TEXT},
    }
)

_ERROR = obj(
    {
        "error": obj(
            {
                "message": _TEXT,
                "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": _or_null("string"),
                "code": _or_null("string"),
            }
        ),
        "requested": {**_TEXT, "description": "409: the contract that the request is for."},
        "contract": {**_TEXT, "description": "409: the contract that the index is under."},
        "collection": _TEXT,
        "known": {"type": "array", "items": _TEXT, "description": "404: the names of models that are known."},
    },
    frozenset({"requested", "contract", "collection", "known"}),
)
