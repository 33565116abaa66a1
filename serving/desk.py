"""How a request becomes work, and work an answer: the same way for every place under ``/v1``.

A request's deadline begins with it; its body is read up to a limit; it takes a place among the requests in work, or
is refused; then a worker thread takes a handle of the live index, compares the contract that the client pinned, and
does the work with that handle alone. Encoding and searching take the processor, so the event loop stays free to
answer, and a request whose deadline passes is answered then, whatever its thread still does.

Law: every answer that an index had a part in, refusals too, names that index's contract and collection in its
headers.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from adapters.metrics import Metrics, RequestKind
from serving.handle import IndexHandle, LiveIndex
from serving.keys import ApiKey
from serving.limits import TIMEOUT_HEADER, Deadline, Limits, Places
from serving.refusals import Refusal, Refused, failed, late, misuse, outcome_of, refusal_of, too_large
from stream.errors import EmbedstreamError

CONTRACT_HEADER = "X-Embedding-Contract"
COLLECTION_HEADER = "X-Embedding-Collection"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was let in."""

    body: bytes
    key: ApiKey | None
    deadline: Deadline
    began: float
    """On the clock of ``time.perf_counter``."""

    @property
    def took_ms(self) -> float:
        """Since it came."""
        return round((time.perf_counter() - self.began) * 1000, 3)


Work = Callable[[IndexHandle, Asked], dict[str, Any]]
"""Gives the response document, vectors as arrays. Raises Refused and the stream's errors; runs in a thread."""


class Desk:
    """Takes requests and answers them. Belongs to one event loop."""

    def __init__(self, live: LiveIndex, metrics: Metrics, limits: Limits, threads: int) -> None:
        self._live = live
        self._metrics = metrics
        self._limits = limits
        self._places = Places(limits)
        self._threads = CapacityLimiter(threads)

    async def answer(self, request: Request, work: Work, kind: RequestKind | None = None) -> Response:
        """The response, whatever happens. ``kind``: what it is counted as."""
        pinned = request.headers.get(CONTRACT_HEADER)
        began = time.perf_counter()
        response = await self._answered(request, lambda asked: self._with_index(work, asked, pinned), began)
        if kind is not None:
            self._metrics.answered(kind, outcome_of(response.status_code), time.perf_counter() - began)
        return response

    async def answer_anyway(self, request: Request, work: Callable[[], dict[str, Any]]) -> Response:
        """The same for what can be told whether there is an index or not."""
        return await self._answered(request, lambda _: json_response(work()), time.perf_counter())

    async def _answered(self, request: Request, call: Callable[[Asked], Response], began: float) -> Response:
        try:
            return await self._in_thread(request, call, began)
        except Refused as refused:
            return refused.refusal.response()
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets one sentence and the log the rest
            return failed(request, error).response()

    async def _in_thread(self, request: Request, call: Callable[[Asked], Response], began: float) -> Response:
        deadline = Deadline.of(self._limits, request.headers.get(TIMEOUT_HEADER))
        key: ApiKey | None = request.scope.get("state", {}).get("key")
        asked = Asked(await _body(request, self._limits.max_body_bytes, deadline), key, deadline, began)
        free = self._places.take(key)
        in_work = asyncio.ensure_future(to_thread.run_sync(call, asked, limiter=self._threads))

        def ended(task: asyncio.Future[Response]) -> None:
            free()
            if not task.cancelled():
                task.exception()  # Looked at, so that nobody complains of it where nobody waits any more.

        in_work.add_done_callback(ended)
        await asyncio.wait((in_work,), timeout=deadline.left_s)
        return in_work.result() if in_work.done() else late().response()

    def _with_index(self, work: Work, asked: Asked, pinned: str | None) -> Response:
        handle = None
        try:
            asked.deadline.check()
            handle = self._live.current()
            self._check_pinned(handle, pinned)
            response = json_response(work(handle, asked))
        except Refused as refused:
            response = refused.refusal.response()
        except EmbedstreamError as error:
            response = refusal_of(error).response()
        if handle is not None:
            response.headers[CONTRACT_HEADER] = handle.contract.fingerprint
            response.headers[COLLECTION_HEADER] = handle.collection
        return response

    def _check_pinned(self, handle: IndexHandle, pinned: str | None) -> None:
        ours = handle.contract.fingerprint
        if pinned is None or pinned.strip() == ours:
            return
        raise Refused(
            Refusal(
                409,
                f"The request is for contract {pinned} and index {self._live.name} is under {ours}.",
                "contract_mismatch",
                CONTRACT_HEADER,
                {"requested": pinned, "contract": ours, "collection": handle.collection},
                # OpenAI's clients try a 409 again, and another contract does not go away by itself.
                {"X-Should-Retry": "false"},
            )
        )


def json_response(document: dict[str, Any]) -> Response:
    """Arrays of numbers are written as lists."""
    return Response(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


async def _body(request: Request, most: int, deadline: Deadline) -> bytes:
    """No more than ``most`` bytes are read. Raises Refused: 413 where there are more, 504 where they are late."""
    refusal = too_large(f"The body is larger than {most:,} bytes.", "body_too_large")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise refusal
    taken = bytearray()
    try:
        async with asyncio.timeout(deadline.left_s):
            async for part in request.stream():
                taken += part
                if len(taken) > most:
                    raise refusal
    except TimeoutError:
        raise Refused(late()) from None
    except ClientDisconnect:
        raise misuse("The connection ended before the body did.") from None
    return bytes(taken)
