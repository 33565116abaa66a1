"""What the service answers where it does not do what was asked: a status and OpenAI's error object.

    {"error": {"message": "One sentence.", "type": "invalid_request_error", "param": "input", "code": null}}

One shape for everything, so that any OpenAI client reads it; what else there is to say stands beside ``error``. The
status tells whose turn it is: 4xx, the client's (400 misuse, 401 key, 404 no such place or model, 405, 409 another
contract, 413 too much, 429 too much of one key at once); 503, nobody's but time's, with ``Retry-After``; 504, the
request's deadline, or what it waited for is not applied; 500, ours, and the log says more. A message is one sentence
and never a traceback.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from adapters.metrics import RequestOutcome
from schemas.chunk_event import Json
from stream.errors import EmbedstreamError, Late, Misuse, Outage, Poison

_LOG = logging.getLogger("embedstream.query")
_RETRY_S = 1.0

STATUSES: Mapping[int, str] = {
    400: "What was sent cannot be answered; the message says what is expected.",
    401: "The API key is missing or unknown.",
    404: "There is no such place or no such model.",
    405: "The place knows other methods.",
    409: "The index is under another contract than the one that the request is for.",
    413: "The body or the list of texts is too large.",
    429: "The API key has as many requests in work as it may have.",
    500: "The request failed for a reason of the service's own; its log says more.",
    503: "The index is away, or may not be searched by this service, or too many requests are in work.",
    504: "The request's deadline passed, or what it waits for was not applied in time (code: not_applied).",
}
"""Every status of a refusal, and what it means."""

_OUTCOMES: Mapping[int, RequestOutcome] = {
    200: "found",
    409: "other_contract",
    429: "busy",
    500: "failed",
    503: "unavailable",
    504: "late",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal. ``param`` names the key of the request that is meant, ``code`` is a word for programs."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    more: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it is sent."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return Response(
            orjson.dumps({"error": error, **self.more}), self.status, self.headers, media_type="application/json"
        )

    @property
    def kind(self) -> str:
        """OpenAI's word for it."""
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"


class Refused(Exception):
    """Carries a refusal from where it is decided to where it is answered."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def misuse(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """400, to be raised."""
    return Refused(Refusal(400, message, code, param))


def too_large(message: str, code: str, param: str | None = None) -> Refused:
    """413, to be raised."""
    return Refused(Refusal(413, message, code, param))


def unavailable(message: str, code: str = "unavailable", retry_after_s: float | None = None) -> Refusal:
    """503; ``retry_after_s`` is rounded up to whole seconds."""
    return Refusal(503, message, code, headers=retry_after(retry_after_s))


def late() -> Refusal:
    """504."""
    return Refusal(504, "The request was not answered before its deadline; ask for less, or later.", "deadline")


def retry_after(seconds: float | None = None) -> dict[str, str]:
    """The header that says when to come back."""
    return {"Retry-After": str(math.ceil(_RETRY_S if seconds is None else seconds))}


def refusal_of(error: EmbedstreamError) -> Refusal:
    """What an error of the stream means to the one who asked."""
    if isinstance(error, Misuse | Poison):
        return Refusal(400, str(error))
    if isinstance(error, Late):
        return late()
    if isinstance(error, Outage):
        return unavailable(str(error), retry_after_s=error.retry_after_s)
    _LOG.error("%s", error)
    return unavailable("This service may not search the index as it is now; see /readyz.")


def failed(request: Request, error: BaseException) -> Refusal:
    """500; the log has the traceback."""
    _LOG.error("%s %s failed.", request.method, request.url.path, exc_info=error)
    return Refusal(500, STATUSES[500], "failed")


def outcome_of(status: int) -> RequestOutcome:
    """Under which a response is counted."""
    return _OUTCOMES.get(status, "bad_request")


async def answer_unknown_place(_request: Request, error: Exception) -> Response:
    """For Starlette: no such path, or no such method there."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code)
    return Refusal(error.status_code, f"{error.detail}.", code, headers=error.headers or {}).response()


async def answer_failure(request: Request, error: Exception) -> Response:
    """For Starlette: whatever else."""
    return failed(request, error).response()
