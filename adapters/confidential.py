"""Which values are secrets, and how a text is freed of them before anybody reads it.

A value is a secret by the name of its key, in the configuration as among librdkafka's properties, and by its place in
an address (``https://user:password@host``). Nothing that this project prints, logs, counts or stores may hold one.
Two guards stand behind each other: values are never put into a sentence where the key is known (:func:`is_secret`),
and what libraries say, log lines and errors, goes through :class:`Confidential`, which knows the values.

A value of fewer than four characters is not looked for in texts: it would be found everywhere, and blotting it out
would tell it.
"""

import base64
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote

MASK = "********"

_SECRET = re.compile(
    r"password|passphrase|secret|token\b|credential|api.?key|\.pem$|oauthbearer\.config|jaas|kinit\.cmd"
    r"|auth\.user\.info|authorization|bearer\.auth",
    re.IGNORECASE,
)
_OPEN = re.compile(r"credentials?[._]source$|token[._]endpoint|\bca\.pem$", re.IGNORECASE)
"""They sound alike and tell nothing: where credentials come from, whose address gives tokens, public certificates."""
_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/@\s:]*):(?P<password>[^/@\s]+)@", re.IGNORECASE)
_SHORTEST = 4


def is_secret(key: str) -> bool:
    """Whether the value of this key is never to be printed; ``key`` is one name or a dotted property."""
    return _SECRET.search(key) is not None and _OPEN.search(key) is None


def without_user_info(text: str) -> str:
    """The text with the passwords of addresses in it blotted out; the user's name and the host stay."""
    return _USER_INFO.sub(rf"\g<scheme>\g<user>:{MASK}@", text)


def masked(values: Mapping[str, object]) -> dict[str, object]:
    """The same mapping with stars for secrets, and for passwords in addresses."""
    return {key: _masked(key, value) for key, value in values.items()}


def secrets_in(values: Mapping[str, object]) -> Iterator[str]:
    """The secret values of a mapping, nested ones too."""
    for key, value in values.items():
        yield from _secrets_of(key, value)


@dataclass(frozen=True, slots=True)
class Confidential:
    """The secrets of one process. ``values`` are looked for as they stand, and as an address or a header has them."""

    values: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, secrets: Iterable[str]) -> "Confidential":
        """With every form in which each of them may appear."""
        return cls(
            frozenset(
                form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST and form != MASK
            )
        )

    def blotted(self, text: str) -> str:
        """The text without any of them."""
        for value in sorted(self.values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return without_user_info(text)


class BlottingFormatter(logging.Formatter):
    """Formats a log record, its traceback too, and blots the secrets out of the whole line."""

    def __init__(self, confidential: Confidential, form: str) -> None:
        super().__init__(form)
        self._confidential = confidential

    def format(self, record: logging.LogRecord) -> str:
        return self._confidential.blotted(super().format(record))


def _masked(key: str, value: object) -> object:
    if value is None:
        return None
    if is_secret(key):
        return MASK
    if isinstance(value, Mapping):
        return masked(value)
    return without_user_info(value) if isinstance(value, str) else value


def _secrets_of(key: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from secrets_in(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets_of(key, item)
    elif isinstance(value, str):
        if is_secret(key):
            yield value
        yield from (found["password"] for found in _USER_INFO.finditer(value))


def _forms(secret: str) -> Iterator[str]:
    yield from _spellings(secret)
    # Each line of a key that stands in the configuration itself; the half of "user:password", and its header.
    yield from (line.strip() for line in secret.splitlines() if not line.startswith("-----"))
    if ":" in secret and "\n" not in secret:
        yield from _spellings(secret.partition(":")[2])
        yield base64.b64encode(secret.encode()).decode()


def _spellings(secret: str) -> Iterator[str]:
    yield from (secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), unquote(secret))
