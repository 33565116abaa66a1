"""The interface described: an OpenAPI 3.1 document, made of the very limits that are enforced.

It names every place, every status that a place may answer with and every header that is read or sent, so that a
client can be generated from it and a test can try whether the service does what is written here. What follows from
the live contract (how many dimensions a vector has) is said as of the moment of the question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.chunk_event import Json
from serving.desk import COLLECTION_HEADER, CONTRACT_HEADER
from serving.json_schema import TEXT, Schema, ref
from serving.limits import TIMEOUT_HEADER, Limits
from serving.message_schemas import components
from serving.refusals import STATUSES
from serving.request import RequestRules

_INTERFACE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Described:
    """What the document depends on."""

    rules: RequestRules
    limits: Limits
    secured: bool
    """Whether API keys are asked for."""
    dimensions: int | None = None
    """Of the live contract; None: there is none now."""


def document(described: Described) -> dict[str, Json]:
    """The whole document."""
    place = _Place(described.secured)
    found: dict[str, Json] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Embedstream query service",
            "version": _INTERFACE_VERSION,
            "description": "Search, and vectors, under the contract of a live index.",
        },
        "paths": {
            "/v1/search": {"post": place.posted("search", "The passages nearest to a question.", "Search")},
            "/v1/embeddings": {
                "post": place.posted("embed", "Vectors under the live contract.", "Embeddings", others=(404,))
            },
            "/v1/models": {"get": place.asked("listModels", "The names of the live contract.", "Models")},
            "/v1/models/{id}": {
                "get": place.asked("getModel", "What one name stands for.", "Model", others=(404,), path=("id",))
            },
            "/v1/index": {"get": place.asked("describeIndex", "The index as the live page shows it.", "Index")},
            "/v1/openapi.json": {"get": place.description()},
            "/": {
                "get": _open("page", "The live page.", {"200": _body("The page.", "text/html", {"type": "string"})})
            },
            "/healthz": {"get": _open("health", "Whether the process answers.", {"200": _plain("It does.")})},
            "/readyz": {
                "get": _open(
                    "readiness",
                    "Whether the index may be searched, and why not.",
                    {"200": _json("It may.", "Readiness"), "503": _json("It may not.", "Readiness")},
                )
            },
            "/metrics": {"get": _open("metrics", "What Prometheus scrapes.", {"200": _plain("The figures.")})},
        },
        "components": {
            "schemas": components(described.rules, described.limits, described.dimensions),
            "headers": dict(_HEADERS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
    }
    return found


_HEADERS: Mapping[str, Schema] = {
    "Contract": {"schema": {"type": "string"}, "description": "Fingerprint of the contract that was answered under."},
    "Collection": {"schema": {"type": "string"}, "description": "The collection behind the index."},
    "RetryAfter": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds.", "required": True},
    "Challenge": {"schema": {"type": "string"}, "required": True},
    "ShouldRetry": {"schema": {"const": "false"}, "description": "For OpenAI's clients.", "required": True},
}
_ANYWAY = (400, 413, 500, 503, 504)
_ALWAYS = (*_ANYWAY, 409)
_OWN_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Challenge"},
    409: {"X-Should-Retry": "ShouldRetry"},
    429: {"Retry-After": "RetryAfter"},
    503: {"Retry-After": "RetryAfter"},
}
_TIMEOUT: Schema = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "description": "Milliseconds after which an answer is of no use; the service's own limit holds besides.",
}
_PARAMETERS: Sequence[Json] = (
    {
        "name": CONTRACT_HEADER,
        "in": "header",
        "schema": {"type": "string"},
        "description": "The contract that the client means; under another one it gets 409.",
    },
    _TIMEOUT,
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Operations under ``/v1``."""

    secured: bool

    def asked(
        self, name: str, summary: str, schema: str, *, others: Sequence[int] = (), path: Sequence[str] = ()
    ) -> Schema:
        """A GET."""
        named: list[Json] = [{"name": one, "in": "path", "required": True, "schema": TEXT} for one in path]
        answered = _json(summary, schema)
        answered["headers"] = {CONTRACT_HEADER: _named(CONTRACT_HEADER), COLLECTION_HEADER: _named(COLLECTION_HEADER)}
        return {
            **self._operation(name, summary, (*_ALWAYS, *others), {"200": answered}),
            "parameters": [*named, *_PARAMETERS],
        }

    def posted(self, name: str, summary: str, message: str, *, others: Sequence[int] = ()) -> Schema:
        """A POST of JSON."""
        return {
            **self.asked(name, summary, f"{message}Response", others=others),
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": ref(f"{message}Request")}},
            },
        }

    def description(self) -> Schema:
        """Of this document itself."""
        told = _body("This document.", "application/json", {"type": "object"})
        operation = self._operation("describe", "This interface, described.", _ANYWAY, {"200": told})
        return {**operation, "parameters": [_TIMEOUT]}

    def _operation(self, name: str, summary: str, statuses: Sequence[int], answers: Mapping[str, Json]) -> Schema:
        limited = (401, 429) if self.secured else ()
        refused = {str(status): _refusal(status) for status in sorted({*statuses, *limited})}
        operation: Schema = {"operationId": name, "summary": summary, "responses": {**answers, **refused}}
        return {**operation, "security": [{"bearer": []}, {"apiKey": []}]} if self.secured else operation


def _open(name: str, summary: str, answers: Mapping[str, Json]) -> Schema:
    """An operation that needs no key."""
    return {"operationId": name, "summary": summary, "responses": dict(answers), "security": []}


def _refusal(status: int) -> Schema:
    told = _json(STATUSES[status], "Error")
    headers = {**_OWN_HEADERS.get(status, {}), CONTRACT_HEADER: "Contract", COLLECTION_HEADER: "Collection"}
    told["headers"] = {name: {"$ref": f"#/components/headers/{header}"} for name, header in headers.items()}
    return told


def _named(header: str) -> Schema:
    """A header that an answer always has."""
    known = _HEADERS["Contract" if header == CONTRACT_HEADER else "Collection"]
    return {**known, "required": True}


def _json(told: str, schema: str) -> Schema:
    return _body(told, "application/json", ref(schema))


def _plain(told: str) -> Schema:
    return _body(told, "text/plain", TEXT)


def _body(told: str, media: str, schema: Schema) -> Schema:
    return {"description": told, "content": {media: {"schema": schema}}}
