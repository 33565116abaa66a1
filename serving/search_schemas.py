"""The JSON Schemas of a search: the question as ``request`` reads it, and what is found.

A question is described as one object with three choices laid over it: one text or several, grouped or not, waiting or
not. Null is as good as absent in most places, so each choice says what has to be null where another one is made.
"""

from adapters.admission import MAX_VERSION
from schemas.chunk_event import Json
from schemas.strict_json import INT64_MAX
from serving.filter_schema import filter_components
from serving.json_schema import COUNT, NULL, TEXT, Schema, obj, only, or_null, ref, whole_number
from serving.request import MAX_GROUP_SIZE, MAX_PARTITION, RequestRules

NOT_BLANK = r"[^\s\x1c-\x1f]"
"""What Python calls a blank is more than what regular expressions elsewhere do."""


def search_components(rules: RequestRules) -> dict[str, Json]:
    """By name."""

    def some(component: str) -> Schema:
        return {"type": "array", "items": ref(component), "maxItems": rules.max_limit}

    hits: dict[str, Schema] = {"hits": some("Hit")}
    groups: dict[str, Schema] = {"groups": some("FoundDocument")}
    results: dict[str, Schema] = {
        "results": {
            "type": "array",
            "items": ref("Result"),
            "minItems": 1,
            "maxItems": rules.max_queries,
            "description": "One for each of the queries, in their order.",
        }
    }
    answered: dict[str, Schema] = {
        "index": TEXT,
        "took_ms": {"type": "number", "minimum": 0},
        "contract": TEXT,
        "collection": TEXT,
    }
    return {
        "SearchRequest": _request(rules),
        "WaitForVersion": _waited_for({"doc_id": _NAME, "min_version": _VERSION}, rules),
        "WaitForDocument": _waited_for({"doc_id": _NAME}, rules),
        "WaitForOffset": _waited_for({"source": _NAME, "partition": _PARTITION, "offset": _LAST_OFFSET}, rules),
        **filter_components(rules.fields),
        "SearchResponse": {"oneOf": [obj({**answered, **found}) for found in (hits, groups, results)]},
        "Result": {"oneOf": [obj(found) for found in (hits, groups)]},
        "FoundDocument": _FOUND_DOCUMENT,
        "Hit": _HIT,
    }


def _request(rules: RequestRules) -> Schema:
    text: Schema = {"type": "string", "minLength": 1, "maxLength": rules.max_text_chars, "pattern": NOT_BLANK}
    texts: Schema = {"type": "array", "items": text, "minItems": 1, "maxItems": rules.max_queries}
    properties: dict[str, Schema] = {
        "query": {
            **text,
            "type": ["string", "null"],
            "description": "What to search for. It is never cut: longer than the model reads, it is refused.",
        },
        "queries": {
            **texts,
            "type": ["array", "null"],
            "description": "Several texts at once, instead of query; they are answered with results.",
        },
        "limit": whole_number(
            1, rules.max_limit, default=min(10, rules.max_limit), description="Passages, or documents if grouped."
        ),
        "filter": {"anyOf": [ref("Filter"), NULL]},
        "tenant": or_null("string", description="Short for one condition more."),
        "score_threshold": or_null("number", minimum=-1, maximum=1, description="The least cosine of a hit."),
        "group_by": {"enum": ["document", None], "description": "The nearest documents instead of passages."},
        "group_size": {
            **whole_number(1, MAX_GROUP_SIZE, description="Passages of each document; 1 where nothing is said."),
            "type": ["integer", "null"],
        },
        "wait_for": or_null("object", description="What has to be applied before the search."),
        "min_version": {
            **_VERSION,
            "type": ["integer", "null"],
            "description": "Of the document that wait_for names, where it says none itself.",
        },
    }
    choices: list[Json] = [
        {
            "oneOf": [
                _where({"query": text, "queries": NULL}, "query"),
                _where({"query": NULL, "queries": texts}, "queries"),
            ]
        },
        {"anyOf": [_where({"group_by": {"const": "document"}}, "group_by"), _where({"group_size": NULL})]},
        {
            "anyOf": [
                _where({"wait_for": _ANY_WAIT, "min_version": NULL}),
                _where({"wait_for": ref("WaitForDocument"), "min_version": _VERSION}, "wait_for", "min_version"),
            ]
        },
    ]
    return {**obj(properties, frozenset(properties), closed=True), "allOf": choices}


def _where(properties: dict[str, Schema], *needed: str) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(needed)}


def _waited_for(properties: dict[str, Schema], rules: RequestRules) -> Schema:
    timeout: Schema = {
        **whole_number(0, rules.max_wait_ms, description="Milliseconds; the request's own deadline holds besides."),
        "type": ["integer", "null"],
    }
    return only({**properties, "timeout_ms": timeout}, frozenset({"timeout_ms"}))


_NAME: Schema = {"type": "string", "minLength": 1}
_VERSION = whole_number(0, MAX_VERSION - 1)
_PARTITION = whole_number(0, MAX_PARTITION)
_LAST_OFFSET = whole_number(0, INT64_MAX, description="Of the change in its source's CDC topic.")
_ANY_WAIT: Schema = {"anyOf": [ref("WaitForVersion"), ref("WaitForOffset"), NULL]}

_HIT = obj(
    {
        "id": {"type": "string", "format": "uuid"},
        "doc_id": TEXT,
        "score": {"type": "number"},
        "title": or_null("string"),
        "text": or_null("string", description="Null where the index keeps no texts."),
        "span": {
            "type": ["array", "null"],
            "items": COUNT,
            "minItems": 2,
            "maxItems": 2,
            "description": "[start, end) of the passage in the document's text, in code points.",
        },
        "position": or_null("integer", minimum=0),
        "count": or_null("integer", minimum=1),
        "version": COUNT,
        "age_ms": or_null("integer", minimum=0, description="Since the commit at the source."),
        "tenant": or_null("string"),
        "fields": {"type": "object"},
    }
)

_FOUND_DOCUMENT = obj(
    {
        "doc_id": TEXT,
        "hits": {"type": "array", "items": ref("Hit"), "minItems": 1, "maxItems": MAX_GROUP_SIZE},
    }
)
