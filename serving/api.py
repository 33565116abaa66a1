"""The query service's HTTP interface.

    POST /v1/search           hits, with the collection and the contract they were found under
    POST /v1/embeddings       vectors under the live contract, as OpenAI answers
    GET  /v1/models           the names of the live contract, as OpenAI answers; and /v1/models/{id}
    GET  /v1/index            what the live page shows: points, contract, freshness, lag, throughput, upgrade
    GET  /v1/openapi.json     this interface, described
    GET  /                    the live page
    GET  /metrics /healthz /readyz

A client that pins a contract says so in ``X-Embedding-Contract`` and gets 409, with both, when the index is under
another one; every answer names the contract and the collection it was made under. What a client did wrong is a 4xx
with one sentence, an index that is away is 503 with ``Retry-After``, and so is a collection that this process may not
search: the operator reads why in ``/readyz``. Errors have OpenAI's shape (``serving.refusals``).

Where there are API keys, everything but the page and the last three needs one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.metrics import Metrics, wall_clock_ms
from adapters.telemetry_server import telemetry_routes
from schemas.chunk_event import Json
from serving.awaiting import Applied, WaitFor, look_for, wait_until_applied
from serving.desk import Asked, Desk
from serving.embeddings import EmbeddingRules, embed
from serving.handle import IndexHandle, LiveIndex
from serving.keys import ApiKey, Doorkeeper
from serving.limits import Limits
from serving.models import ModelNames
from serving.narrowing import narrowed
from serving.openapi import Described, document
from serving.page import page
from serving.pulse import NoPulse, Pulse, Signs
from serving.refusals import Refusal, Refused, answer_failure, answer_unknown_place
from serving.request import RequestRules
from serving.search import search
from stream.errors import EmbedstreamError
from stream.points import State


@dataclass(frozen=True, slots=True)
class QueryService:
    """What the interface needs. ``live`` gives a handle for each request."""

    live: LiveIndex
    metrics: Metrics
    rules: RequestRules = field(default_factory=RequestRules)
    now_ms: Callable[[], int] = wall_clock_ms
    threads: int = 64
    """Work at once. What waits for a change to be applied, or for its turn on the device, holds one and computes
    nothing meanwhile.
    """
    limits: Limits = field(default_factory=Limits)
    keys: tuple[ApiKey, ...] = ()
    """None of them: whoever reaches the address may ask."""
    applied: Mapping[str, Applied] = field(default_factory=dict)
    """Collection → how far the sources are applied to it; of one that is not named nobody here sees the bus."""
    pulse: Pulse = field(default_factory=NoPulse)
    """What the live page is told of the stream."""

    def readiness(self) -> tuple[bool, str]:
        """(ready, why), asked of the index itself."""
        try:
            handle = self.live.current()
        except EmbedstreamError as error:
            return False, str(error)
        return True, f"searching {handle.collection}"

    def app(self) -> Starlette:
        """The application; it may be served by any ASGI server that runs on asyncio."""
        places = _Places(self, Desk(self.live, self.metrics, self.limits, self.threads))
        app = Starlette(
            routes=[
                Route("/v1/search", places.search, methods=["POST"]),
                Route("/v1/embeddings", places.embeddings, methods=["POST"]),
                Route("/v1/models", places.models),
                Route("/v1/models/{id:path}", places.model),
                Route("/v1/index", places.index),
                Route("/v1/openapi.json", places.description),
                Route("/", page),
                *telemetry_routes(self.metrics, self.readiness, lambda: self.live.prepared),
            ],
            middleware=[Middleware(Doorkeeper, self.keys, self.metrics)],
            exception_handlers={HTTPException: answer_unknown_place, Exception: answer_failure},
        )
        app.router.redirect_slashes = False
        return app


@dataclass(frozen=True, slots=True)
class _Places:
    """The handlers, one a route; each gives its work to the desk."""

    service: QueryService
    desk: Desk

    async def search(self, request: Request) -> Response:
        return await self.desk.answer(request, self._search, "search")

    async def embeddings(self, request: Request) -> Response:
        return await self.desk.answer(request, self._embeddings, "embeddings")

    async def models(self, request: Request) -> Response:
        return await self.desk.answer(request, lambda handle, _: self._names(handle).all())

    async def model(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        return await self.desk.answer(request, lambda handle, _: self._names(handle).one(wanted))

    async def index(self, request: Request) -> Response:
        return await self.desk.answer(request, self._index)

    async def description(self, request: Request) -> Response:
        return await self.desk.answer_anyway(request, self._description)

    def _search(self, handle: IndexHandle, asked: Asked) -> dict[str, Any]:
        question = narrowed(self.service.rules.question(asked.body), asked.key)
        if question.wait_for is not None:
            self._await_applied(question.wait_for, handle, asked)
        found = search(handle, question, self.service.now_ms(), asked.deadline.at)
        return {"index": self.service.live.name, "took_ms": asked.took_ms, **found.to_json()}

    def _await_applied(self, wait: WaitFor, handle: IndexHandle, asked: Asked) -> None:
        """As long as the request has, and no longer. A bound key is told no version: it counts others' writes too."""
        look = look_for(wait, handle.index, self.service.applied.get(handle.collection))
        not_yet = wait_until_applied(look, min(wait.timeout_s, asked.deadline.left_s))
        if not_yet is None:
            return
        if asked.key is not None and asked.key.bound:
            raise Refused(Refusal(504, "What wait_for names is not applied yet.", "not_applied", "wait_for"))
        more: dict[str, Json] = {"reached": not_yet.reached}
        raise Refused(Refusal(504, not_yet.sentence, "not_applied", "wait_for", more))

    def _embeddings(self, handle: IndexHandle, asked: Asked) -> dict[str, Any]:
        rules = EmbeddingRules(self.service.limits.max_texts, self.service.rules.max_text_chars)
        request = rules.read(asked.body)
        response = embed(request, self._names(handle), asked.deadline)
        self.service.metrics.embedded(len(request.texts), response["usage"]["total_tokens"])
        return response

    def _index(self, handle: IndexHandle, asked: Asked) -> dict[str, Any]:
        """A bound key is told nothing of documents that are not its own, not even how many there are or change."""
        bound = asked.key is not None and asked.key.bound
        freshness = None if bound else self.service.metrics.recent_freshness()
        return {
            "index": self.service.live.name,
            "collection": handle.collection,
            "contract": handle.contract.fingerprint,
            "model": handle.contract.encoding.model,
            "points": None if bound else {state.value: handle.index.count(state.value) for state in State},
            "freshness": None if freshness is None else dict(freshness),
            **(Signs() if bound else self.service.pulse.now()).to_json(),
            "worst_probe": round(handle.worst_probe, 6),
            "fields": {name: str(kind) for name, kind in self.service.rules.fields.items()},
        }

    def _description(self) -> dict[str, Any]:
        service = self.service
        try:
            handle = service.live.current()
        except EmbedstreamError:
            handle = None
        dimensions = None if handle is None else handle.contract.encoding.dimensions
        return document(Described(service.rules, service.limits, bool(service.keys), dimensions))

    def _names(self, handle: IndexHandle) -> ModelNames:
        return ModelNames(self.service.live.name, handle)
