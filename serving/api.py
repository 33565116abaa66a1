"""The query service's HTTP interface.

    POST /v1/search   hits, with the collection and the contract they were found under
    GET  /v1/index    what the live page shows: points, contract, freshness
    GET  /            the live page
    GET  /metrics /healthz /readyz

A client that pins a contract says so in ``X-Embedding-Contract`` and gets 409, with both, when the index is under
another one. What a client did wrong is a 4xx with one sentence, an index that is away is 503 with ``Retry-After``,
and so is a collection that this process may not search: the operator reads why in ``/readyz``. Errors are JSON
problems (RFC 9457) and never a traceback.

Encoding and searching take the processor, so they run in worker threads, and the event loop stays free to answer.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio.to_thread
import orjson
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.metrics import Metrics, SearchOutcome, wall_clock_ms
from adapters.telemetry_server import telemetry_routes
from schemas.chunk_event import Json
from serving.awaiting import Applied, NotYet, look_for, wait_until_applied
from serving.handle import IndexHandle, LiveIndex
from serving.page import page
from serving.request import RequestRules
from serving.search import Answer, Question, search
from stream.errors import EmbedstreamError, Fatal, Misuse, Outage, Poison
from stream.points import State

CONTRACT_HEADER = "X-Embedding-Contract"
_LOG = logging.getLogger("embedstream.query")
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class QueryService:
    """What the interface needs. ``live`` gives a handle for each request."""

    live: LiveIndex
    metrics: Metrics
    rules: RequestRules = field(default_factory=RequestRules)
    now_ms: Callable[[], int] = wall_clock_ms
    threads: int = 8
    applied: Applied | None = None
    """How far the sources are applied; None: nobody here sees the bus."""

    def readiness(self) -> tuple[bool, str]:
        """(ready, why), asked of the index itself."""
        try:
            handle = self.live.current()
        except EmbedstreamError as error:
            return False, str(error)
        return True, f"searching {handle.collection}"

    def app(self) -> Starlette:
        """The application; it may be served by any ASGI server."""
        desk = _Desk(self, CapacityLimiter(self.threads))
        return Starlette(
            routes=[
                Route("/v1/search", desk.search, methods=["POST"]),
                Route("/v1/index", desk.index),
                Route("/", page),
                *telemetry_routes(self.metrics, self.readiness),
            ],
            exception_handlers={HTTPException: _unknown_place, Exception: _failed},
        )


@dataclass(frozen=True, slots=True)
class _Desk:
    """The handlers."""

    service: QueryService
    limiter: CapacityLimiter

    async def search(self, request: Request) -> Response:
        began = time.perf_counter()
        outcome: SearchOutcome = "failed"
        try:
            rules = self.service.rules
            body = await _body(request, rules.max_body_bytes)
            if body is None:
                outcome = "bad_request"
                return problem(413, "The body is too large for a query.")
            outcome, response = await self._answered(rules, body, request.headers.get(CONTRACT_HEADER), began)
            return response
        finally:
            self.service.metrics.search(outcome, time.perf_counter() - began)

    async def _answered(
        self, rules: RequestRules, body: bytes, pinned: str | None, began: float
    ) -> tuple[SearchOutcome, Response]:
        try:
            question = rules.question(body)
            found = await anyio.to_thread.run_sync(self._found, question, pinned, limiter=self.limiter)
        except (Misuse, Poison) as error:
            return "bad_request", problem(400, str(error))
        except Outage as error:
            return "unavailable", _unavailable(str(error), error.retry_after_s)
        except Fatal as error:
            _LOG.error("%s", error)
            return "unavailable", _unavailable("This service may not search the index as it is now; see /readyz.")
        if isinstance(found, NotYet):
            return "unavailable", problem(504, found.sentence, {"reached": found.reached})
        if isinstance(found, IndexHandle):
            ours = found.contract.fingerprint
            return "other_contract", problem(
                409,
                f"The request is for contract {pinned} and index {self.service.live.name} is under {ours}.",
                {"requested": pinned, "contract": ours, "collection": found.collection},
            )
        took_ms = round((time.perf_counter() - began) * 1000, 3)
        return "found", _json(
            {
                "index": self.service.live.name,
                "took_ms": took_ms,
                **found.to_json(),
            },
            headers={CONTRACT_HEADER: found.contract},
        )

    def _found(self, question: Question, pinned: str | None) -> Answer | IndexHandle | NotYet:
        """The answer, or the handle whose contract is not the pinned one, or what is not applied in time."""
        handle = self.service.live.current()
        if pinned is not None and pinned.strip() != handle.contract.fingerprint:
            return handle
        if question.wait_for is not None:
            look = look_for(question.wait_for, handle.index, self.service.applied)
            not_yet = wait_until_applied(look, question.wait_for.timeout_s)
            if not_yet is not None:
                return not_yet
        return search(handle, question, self.service.now_ms())

    async def index(self, _request: Request) -> Response:
        return await anyio.to_thread.run_sync(self._index, limiter=self.limiter)

    def _index(self) -> Response:
        freshness = self.service.metrics.recent_freshness()
        try:
            handle = self.service.live.current()
            points = {state.value: handle.index.count(state.value) for state in State}
        except Outage as error:
            return _unavailable(str(error), error.retry_after_s)
        except Fatal as error:
            return _unavailable(str(error))
        return _json(
            {
                "index": self.service.live.name,
                "collection": handle.collection,
                "contract": handle.contract.fingerprint,
                "model": handle.contract.encoding.model,
                "points": dict(points),
                "freshness": None if freshness is None else dict(freshness),
                "worst_probe": round(handle.worst_probe, 6),
                "fields": {name: str(kind) for name, kind in self.service.rules.fields.items()},
            }
        )


def problem(status: int, sentence: str, more: Mapping[str, Json] | None = None) -> Response:
    """A JSON problem (RFC 9457)."""
    document = {"status": status, "title": _TITLES.get(status, "Refused"), "detail": sentence, **(more or {})}
    return Response(orjson.dumps(document), status, media_type="application/problem+json")


_TITLES: Mapping[int, str] = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    409: "Other contract",
    413: "Too large",
    500: "Failed",
    503: "Not available",
    504: "Not applied yet",
}


def _unavailable(sentence: str, retry_after_s: float | None = None) -> Response:
    response = problem(503, sentence)
    response.headers["Retry-After"] = str(math.ceil(_RETRY_S if retry_after_s is None else retry_after_s))
    return response


def _json(document: Mapping[str, Json], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)


async def _body(request: Request, most: int) -> bytes | None:
    """None where it is larger than ``most`` bytes; no more than that is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        return None
    taken = bytearray()
    async for part in request.stream():
        taken += part
        if len(taken) > most:
            return None
    return bytes(taken)


async def _unknown_place(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, f"{error.detail}.", None)


async def _failed(request: Request, error: Exception) -> Response:
    _LOG.error("%s %s failed.", request.method, request.url.path, exc_info=error)
    return problem(500, "The request failed for a reason of the service's own; its log says more.")
