"""What the interface takes and gives, as JSON Schemas: the components of its OpenAPI document.

Law: a body is valid under its schema exactly where the service would read it, apart from what only the live contract
knows (how many tokens a text has, which model's name is known) and the few rules of a filter that JSON Schema has no
words for (see ``filter_schema``). So every bound here is the value that is enforced, not a copy of it.
"""

from collections.abc import Mapping
from typing import get_args

from schemas.chunk_event import Json
from serving.embeddings import FORMATS, KINDS
from serving.json_schema import COUNT, TEXT, Schema, obj, or_null, ref
from serving.limits import Limits
from serving.pulse import UpgradeStep
from serving.request import RequestRules
from serving.search_schemas import search_components


def components(rules: RequestRules, limits: Limits, dimensions: int | None) -> dict[str, Json]:
    """By name. ``dimensions``: those of the live contract; None: not known."""
    return {
        **search_components(rules),
        "EmbeddingsRequest": _embeddings_request(rules, limits, dimensions),
        "EmbeddingsResponse": _embeddings_response(limits),
        "Models": _named({"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}),
        "Model": _MODEL,
        "Index": _INDEX,
        "Readiness": _READINESS,
        "Error": _ERROR,
    }


def _named(properties: Mapping[str, Schema]) -> Schema:
    """An answer, with what every answer names."""
    return obj({**properties, "contract": TEXT, "collection": TEXT})


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
            "dimensions": or_null("integer", **exact, description="The contract's own, and no other."),
            "user": or_null("string", description="Read by nobody."),
        },
        frozenset({"input_type", "encoding_format", "dimensions", "user"}),
        closed=True,
    )


def _embeddings_response(limits: Limits) -> Schema:
    embedding = obj(
        {
            "object": {"const": "embedding"},
            "index": COUNT,
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
            "model": TEXT,
            "usage": obj({"prompt_tokens": COUNT, "total_tokens": COUNT}),
            "input_type": {"enum": list(KINDS)},
        }
    )


_MODEL = _named(
    {
        "id": TEXT,
        "object": {"const": "model"},
        "created": {**COUNT, "description": "0: not known."},
        "owned_by": {**TEXT, "description": "The index's name."},
        "input_type": {"enum": [*KINDS, None], "description": "The prompt that this name chooses."},
        "dimensions": {"type": "integer", "minimum": 1},
        "max_tokens": {"type": "integer", "minimum": 1},
    }
)

_LAG: Schema = {
    **obj({"chunker": or_null("integer", minimum=0), "embedder": or_null("integer", minimum=0)}),
    "type": ["object", "null"],
    "description": "Records before the chunkers and the embedders; null where it is not known.",
}
_THROUGHPUT: Schema = {
    **obj({name: {"type": "number", "minimum": 0} for name in ("embedded_per_s", "applied_per_s")}),
    "type": ["object", "null"],
    "description": "Chunks a second over the last seconds; null where it is not known.",
}
_UPGRADE_SIDE = obj({"collection": TEXT, "contract": TEXT, "model": TEXT, "points": or_null("integer", minimum=0)})
_UPGRADE: Schema = {
    **obj(
        {
            "change": TEXT,
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
        "index": TEXT,
        "model": TEXT,
        "points": {
            **obj({"live": COUNT, "removed": COUNT, "deleted": COUNT}),
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
        "fields": {"type": "object", "additionalProperties": TEXT},
    }
)

_READINESS = obj(
    {
        "ready": {"type": "boolean"},
        "why": TEXT,
        "collections": {
            "type": "array",
            "items": TEXT,
            "description": "Those that could be searched at once, were the index's name to mean them.",
        },
    }
)

_ERROR = obj(
    {
        "error": obj(
            {
                "message": TEXT,
                "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": or_null("string"),
                "code": or_null("string"),
            }
        ),
        "requested": {**TEXT, "description": "409: the contract that the request is for."},
        "contract": {**TEXT, "description": "409: the contract that the index is under."},
        "collection": TEXT,
        "known": {"type": "array", "items": TEXT, "description": "404: the names of models that are known."},
        "reached": or_null(
            "integer",
            minimum=0,
            description=(
                "504 with the code not_applied: the newest version in the index of the document that was waited for."
            ),
        ),
    },
    frozenset({"requested", "contract", "collection", "known", "reached"}),
)
