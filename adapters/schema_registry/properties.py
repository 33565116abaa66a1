"""Which properties the registry's client gets: every one that it knows, in the kinds that it wants.

``[registry]`` passes through as ``[kafka]`` does, and the user's value wins over our default. The client itself would
wait without end for a registry that accepts a connection and says nothing, and would sleep between its own retries
where nobody can stop it; so a request has five seconds, and trying again is left to the loop that asked, which keeps
its partitions and can be told to stop.

Values may be secrets: no sentence of this module shows one, and none stays in an address, which libraries print.
"""

import difflib
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

from stream.errors import Misuse

Given = Mapping[str, str | int | float | bool]
"""The ``[registry]`` section as it was read, the client's names."""

USER_INFO = "basic.auth.user.info"
_NUMBERS = frozenset(
    {
        "timeout",
        "cache.capacity",
        "cache.latest.ttl.sec",
        "max.retries",
        "retries.wait.ms",
        "retries.max.wait.ms",
    }
)
_TEXTS = frozenset(
    {
        "url",
        "proxy",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
        USER_INFO,
        "bearer.auth.credentials.source",
        "bearer.auth.token",
        "bearer.auth.logical.cluster",
        "bearer.auth.identity.pool.id",
        "bearer.auth.client.id",
        "bearer.auth.client.secret",
        "bearer.auth.scope",
        "bearer.auth.issuer.endpoint.url",
    }
)
KNOWN = _NUMBERS | _TEXTS
_DEFAULTS: Mapping[str, float] = {"timeout": 5.0, "max.retries": 0}


def client_properties(given: Given) -> dict[str, object]:
    """For ``SchemaRegistryClient``. Raises Misuse."""
    for name in given:
        if name not in KNOWN:
            near = difflib.get_close_matches(name, sorted(KNOWN), 1, 0.6)
            also = f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(sorted(KNOWN))}."
            raise Misuse(f'"{name}" in [registry] is no property of a schema registry\'s client{also}')
    properties: dict[str, object] = {**_DEFAULTS}
    for name, value in given.items():
        properties[name] = _number(name, value) if name in _NUMBERS else _text(name, value)
    urls, told = _urls(str(given.get("url", "")))
    properties["url"] = ",".join(urls)
    if told is not None and USER_INFO in given:
        raise Misuse(f'"url" in [registry] holds a user, and "{USER_INFO}" is set too; leave one of them out.')
    if told is not None:
        properties[USER_INFO] = told
    if ":" not in str(properties.get(USER_INFO, ":")):
        raise Misuse(f'"{USER_INFO}" in [registry] must be the user and the password with a colon between them.')
    return properties


def _urls(given: str) -> tuple[list[str], str | None]:
    """The addresses without a user, and the user of the first one that has any."""
    urls: list[str] = []
    told: str | None = None
    for each in given.split(","):
        parts = urlsplit(each.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misuse(
                '"url" in [registry] must be the address of a schema registry, as http://registry:8081, several with '
                "commas."
            )
        if parts.username is not None and told is None:
            told = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        urls.append(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
    return urls, told


def _number(name: str, value: str | float) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise Misuse(f'"{name}" in [registry] must be a number, not negative.')
    return number


def _text(name: str, value: str | float) -> str | bool:
    if name == "ssl.ca.location" and str(value).lower() == "false":
        # The client's own word for a registry whose certificate is not checked.
        return False
    if isinstance(value, bool):
        raise Misuse(f'"{name}" in [registry] must be text.')
    return str(value)
