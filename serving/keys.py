"""API keys: who may ask, what of the index they may see, and how much at once.

A key is known by the SHA-256 of its secret, which is compared in constant time with that of every key, the right one
found or not: how long the answer takes tells nothing about any of them. Neither the secret nor what was presented
instead of one is kept, logged or repeated.

A *bound* key sees the documents whose payload fields have given values (``only``) and no others: the condition is
added to whatever it asks for. A document without such a field is invisible to it, because a field that is not there
equals nothing. Without any keys the service is open to whoever reaches its address.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.metrics import Metrics
from serving.refusals import Refusal
from stream.errors import Misuse

Value = str | int | bool

_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/metrics"})
"""The page, which holds nothing of the index, and what an operator's machines ask. All else needs a key."""
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One client's key."""

    name: str
    """For people; it may be logged."""
    digest: bytes = field(repr=False)
    only: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Payload field → the values of which a document has to have one; every field has to hold."""
    concurrency: int | None = None
    """Requests of this key in work at once; None: as many as the service takes."""

    def __post_init__(self) -> None:
        """Raises Misuse where a field has no value: one of none can be met by nothing, and must not be met by all."""
        for field_name, values in self.only.items():
            if not values:
                raise Misuse(
                    f"API key {self.name!r} is bound to no value of {field_name}; name one, or leave it out."
                )

    @property
    def bound(self) -> bool:
        """Whether it sees a part of the index alone."""
        return bool(self.only)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def holder(keys: Sequence[ApiKey], presented: str) -> ApiKey | None:
    """The key with this secret; every key is compared, always."""
    digest = digest_of(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def presented(headers: Headers) -> str | None:
    """The secret that a request shows: ``Authorization: Bearer …``, or ``api-key: …``."""
    authorization = headers.get("authorization", "")
    if authorization[: len(_SCHEME)].lower() == _SCHEME:
        return authorization[len(_SCHEME) :].strip()
    return headers.get("api-key")


class Doorkeeper:
    """Stands before the application: lets in whoever shows a known key, and notes which in ``scope["state"]``."""

    def __init__(self, app: ASGIApp, keys: Sequence[ApiKey], metrics: Metrics) -> None:
        self._app = app
        self._keys = tuple(keys)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http" or not self._keys or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        secret = presented(Headers(scope=scope))
        key = None if secret is None else holder(self._keys, secret)
        if key is None:
            self._metrics.key_refused()
            await _refusal(secret).response()(scope, receive, send)
            return
        scope.setdefault("state", {})["key"] = key
        await self._app(scope, receive, send)


def _refusal(secret: str | None) -> Refusal:
    told = "This API key is not known" if secret else "An API key is needed"
    return Refusal(
        401,
        f"{told}; send Authorization: Bearer and the key.",
        "invalid_api_key",
        headers={"WWW-Authenticate": 'Bearer realm="embedstream"'},
    )
