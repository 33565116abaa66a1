"""What an error of a Qdrant server, or of the way to it, means: Outage, Poison or Fatal, with what to do.

    429; 408, 5xx; no connection, no answer in time; storage locked         → Outage (retry-after is kept)
    401, 403; a certificate nobody trusts; strict mode; another collection  → Fatal: a person has to act
    404, 409                                                                → Missing, Exists: Fatal, unless expected
    413, or gRPC's words for it                                             → TooLarge: sent again in halves
    400 or 422 in words about one point                                     → Poison
    anything else                                                           → Fatal: unforeseen

Points were admitted before they were sent (``adapters/admission.py``), so a refusal is rarely about one of them: it
is a limit of the collection, a mode switched on since, a gateway. Taken for poison, each would empty the stream into
the dead letters; so a refusal is Fatal unless its words are known to be about a point.

REST and gRPC tell the same things by different codes; the table has one line for both. An error's text is the
server's own, shortened: it holds no key, since a server never repeats one.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import grpc
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from stream.errors import EmbedstreamError, Fatal, Outage, Poison

_LONGEST = 300

Kind = Literal["outage", "rights", "missing", "exists", "large", "refused", "unforeseen"]

_STATUS: dict[int, Kind] = {
    **dict.fromkeys((401, 403), "rights"),
    **dict.fromkeys((408, 425, 429), "outage"),
    **dict.fromkeys((400, 422), "refused"),
    404: "missing",
    409: "exists",
    413: "large",
}
_CODES: dict[grpc.StatusCode, Kind] = {
    grpc.StatusCode.UNAUTHENTICATED: "rights",
    grpc.StatusCode.PERMISSION_DENIED: "rights",
    grpc.StatusCode.INVALID_ARGUMENT: "refused",
    grpc.StatusCode.NOT_FOUND: "missing",
    grpc.StatusCode.ALREADY_EXISTS: "exists",
    grpc.StatusCode.OUT_OF_RANGE: "large",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "outage",
    grpc.StatusCode.DEADLINE_EXCEEDED: "outage",
    grpc.StatusCode.UNAVAILABLE: "outage",
    grpc.StatusCode.INTERNAL: "outage",
    grpc.StatusCode.ABORTED: "outage",
    grpc.StatusCode.CANCELLED: "outage",
    grpc.StatusCode.FAILED_PRECONDITION: "outage",
    grpc.StatusCode.DATA_LOSS: "outage",
    grpc.StatusCode.UNKNOWN: "outage",
}
_UNTRUSTED = ("certificate_verify_failed", "certificate verify failed", "hostname mismatch")
_NO_TLS = ("wrong_version_number", "wrong version number", "record layer failure")
_ABOUT_A_POINT = ("format error in json body", "validation error in json body", "unable to parse uuid", "point id")
"""How a server speaks of a request that it could not read or whose values it does not take."""


_NOT_THERE = ("not found", "exist", "status_code.not_found", "statuscode.not_found")
"""Qdrant's own words; a 404 without them is that of a gateway in whose stead nothing stands behind it."""


class Missing(Fatal):
    """What was asked for does not exist on the server."""


class Exists(Fatal):
    """The name is taken on the server."""


class TooLarge(Fatal):
    """The server takes no request of this size; a smaller one may pass."""


_SENTENCES: dict[Kind, tuple[type[Outage | Fatal], str]] = {
    "outage": (Outage, "Qdrant at {where} is away while {doing}: {said}"),
    "rights": (
        Fatal,
        "Qdrant at {where} refused this key while {doing} ({said}); see to index.qdrant.api_key and its rights.",
    ),
    "missing": (Missing, "Qdrant at {where} does not have what was asked for while {doing}: {said}"),
    "exists": (Exists, "Qdrant at {where} has that name already: {said}"),
    "large": (TooLarge, "Qdrant at {where} takes no request of this size ({said})."),
    "refused": (Fatal, "Qdrant at {where} refused what it was asked for while {doing}: {said}"),
    "unforeseen": (Fatal, "Qdrant at {where} answered what nobody foresaw while {doing}: {said}"),
}


@contextmanager
def server(where: str, doing: str, *, points: bool = False) -> Iterator[None]:
    """Around every call of the client. ``points``: what is refused here is refused for the points in it."""
    try:
        yield
    except EmbedstreamError:
        raise
    except (QdrantException, ApiException, grpc.RpcError, httpx.HTTPError, ValueError, RuntimeError) as error:
        raise translated(error, where, doing, points=points) from error


def translated(error: Exception, where: str, doing: str, *, points: bool) -> EmbedstreamError:
    """The error of this project that stands for one of the client's."""
    match error:
        case ResourceExhaustedResponse():
            asked = float(error.retry_after_s)
            told: EmbedstreamError = Outage(f"Qdrant at {where} is asked too often while {doing}: {error}", asked)
        case QdrantException():
            # The client reads whole seconds alone; a gateway may name a date.
            told = Outage(f"Qdrant at {where} is asked too often while {doing}: {_short(str(error))}")
        case ResponseHandlingException():
            told = _no_answer(error.source, where, doing)
        case httpx.HTTPError():
            told = _no_answer(error, where, doing)
        case UnexpectedResponse():
            told = _error(_of_status(error.status_code or 0), _said(error), where, doing, points=points)
        case grpc.Call():
            said = _short(error.details() or str(error.code()))
            told = _error(_of_code(error.code(), said), said, where, doing, points=points)
        case _:
            told = _of_the_client(error, where, doing, points=points)
    return told


def _of_status(status: int) -> Kind:
    if status >= 500:
        return "outage"
    return _STATUS.get(status, "unforeseen")


def _of_code(code: grpc.StatusCode, said: str) -> Kind:
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in said:
        return "large"
    return _CODES.get(code, "unforeseen")


def _error(kind: Kind, said: str, where: str, doing: str, *, points: bool) -> EmbedstreamError:
    lowered = said.lower()
    if any(sign in lowered for sign in (*_UNTRUSTED, *_NO_TLS)):
        return _tls(said, where)
    kind = _as_told(kind, lowered)
    if kind == "refused" and points and any(sign in lowered for sign in _ABOUT_A_POINT):
        return Poison("index", f"Qdrant refuses a point for good: {said}")
    make, sentence = _SENTENCES[kind]
    return make(sentence.format(where=where, doing=doing, said=said))


def _as_told(kind: Kind, lowered: str) -> Kind:
    """Where the words say more than the code: older servers, and local mode, have one code for several things."""
    if "storage locked" in lowered:
        return "outage"
    if kind == "missing" and not any(sign in lowered for sign in _NOT_THERE):
        return "outage"
    if "already exists" in lowered or "same name already" in lowered:
        return "exists"
    return "large" if "larger than allowed" in lowered else kind


def _no_answer(source: BaseException, where: str, doing: str) -> EmbedstreamError:
    """No answer, or none that the client understands."""
    cause: BaseException | None = source
    while cause is not None:
        text = str(cause).lower()
        if isinstance(cause, ssl.SSLCertVerificationError) or any(sign in text for sign in (*_UNTRUSTED, *_NO_TLS)):
            return _tls(_short(str(cause)), where)
        cause = cause.__cause__ or cause.__context__
    if isinstance(source, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Fatal(f"No request can be made to {where} ({source}); see to index.url.")
    if isinstance(source, httpx.HTTPError):
        said = _short(str(source)) or type(source).__name__
        return Outage(f"Qdrant at {where} did not answer while {doing}: {said}")
    return Fatal(
        f"What answers at {where} does not speak as Qdrant does ({type(source).__name__} while {doing}); see to "
        "index.url and to what stands in between."
    )


def _tls(said: str, where: str) -> Fatal:
    return Fatal(
        f"No safe connection to Qdrant at {where} ({said}); name the authority that signed its certificate with "
        "index.qdrant.ca_location, or see whether index.url should say http or https, grpc or grpcs."
    )


def _of_the_client(error: Exception, where: str, doing: str, *, points: bool) -> EmbedstreamError:
    """Local mode, and the client's own checks, raise ValueError and say what it is in text alone."""
    said = _short(str(error))
    lowered = said.lower()
    if isinstance(error, RuntimeError) and "closed" not in lowered and "not found" not in lowered:
        return Fatal(f"The client of Qdrant at {where} failed while {doing}: {said}")
    if "closed" in lowered:
        return Fatal("This index was closed; open the catalog again.")
    if "not found" in lowered or "does not exist" in lowered:
        return Missing(f"Qdrant at {where} does not have what was asked for while {doing}: {said}")
    return _error("refused", said, where, doing, points=points)


def _said(error: UnexpectedResponse) -> str:
    """The server's sentence out of its JSON."""
    try:
        status = json.loads(error.content)["status"]
        said = status["error"] if isinstance(status, dict) else str(status)
    except (ValueError, KeyError, TypeError):
        said = error.content.decode("utf-8", "replace")
    return _short(f"{said or error.reason_phrase} [{error.status_code}]")


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
