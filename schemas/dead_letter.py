"""A dead letter: a record that can never work, kept whole, with where it lay and why it failed.

Key, value and headers are the original's byte for byte; what is added stands in headers of its own name space,
*behind* the original ones. A letter about a letter is therefore possible: the last ``embedstream.dead-letter.schema``
begins what was added last. A value above the topic's limit cannot be kept; its place is taken by its address, length
and digest, so that whoever mends it can find the original and know it again.

Laws: :func:`encode` never fails on a record that was read from a topic, whatever its bytes, for a letter that could
not be written would block its partition; ``decode(*encode(letter, limit)) == letter.cut(limit)``, which is the letter
itself where its value fits. The form is described by ``dead_letter.schema.json``.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from schemas.chunk_event import Headers, Json
from schemas.identity import Version
from schemas.malformed import Malformed
from schemas.strict_json import INT64_MAX, dumps, loads

NAMESPACE = "embedstream.dead-letter."
SCHEMA = "1"

_SCHEMA = NAMESPACE + "schema"
_TOPIC = NAMESPACE + "topic"
_PARTITION = NAMESPACE + "partition"
_OFFSET = NAMESPACE + "offset"
_STAGE = NAMESPACE + "stage"
_ERROR_CLASS = NAMESPACE + "error-class"
_MESSAGE = NAMESPACE + "message"
_VERSION = NAMESPACE + "version"
_LINEAGE = NAMESPACE + "lineage"
_TRUNCATED = NAMESPACE + "truncated"
_REQUIRED = (_TOPIC, _PARTITION, _OFFSET, _STAGE, _ERROR_CLASS, _MESSAGE)
_KNOWN = {_SCHEMA, *_REQUIRED, _VERSION, _LINEAGE, _TRUNCATED}


@dataclass(frozen=True, slots=True)
class Truncated:
    """What is left of a value too large for the letter: ``length`` in bytes, ``blake2b`` as 64 hexadecimal digits."""

    length: int
    blake2b: str

    @classmethod
    def of(cls, value: bytes) -> Self:
        return cls(len(value), hashlib.blake2b(value, digest_size=32).hexdigest())


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record and why it failed. ``value`` is None for a tombstone, and where ``truncated`` tells of it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    topic: str
    partition: int
    offset: int
    stage: str
    """Who gave up: ``chunker``, ``embedder``."""
    error_class: str
    """A short stable word, the ``kind`` of the error."""
    message: str
    """One sentence for a person."""
    version: Version | None = None
    lineage: str | None = None
    truncated: Truncated | None = None

    def cut(self, max_value_bytes: int) -> Self:
        """The same letter; a value larger than ``max_value_bytes`` gives way to its length and digest."""
        if self.value is None or len(self.value) <= max_value_bytes:
            return self
        return replace(self, value=None, truncated=Truncated.of(self.value))


class Letter(NamedTuple):
    """A dead letter as a record."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def encode(letter: DeadLetter, max_value_bytes: int) -> Letter:
    """The record to be written. ``max_value_bytes`` bounds the original value, not what stands for it (some 300
    bytes); what no UTF-8 can hold in a sentence is written as an escape.
    """
    letter = letter.cut(max_value_bytes)
    added = [
        (_SCHEMA, SCHEMA),
        (_TOPIC, letter.topic),
        (_PARTITION, str(letter.partition)),
        (_OFFSET, str(letter.offset)),
        (_STAGE, letter.stage),
        (_ERROR_CLASS, letter.error_class),
        (_MESSAGE, letter.message),
    ]
    if letter.version is not None:
        added.append((_VERSION, str(letter.version)))
    if letter.lineage is not None:
        added.append((_LINEAGE, letter.lineage))
    value = letter.value
    if letter.truncated is not None:
        added.append((_TRUNCATED, "true"))
        value = _address(letter, letter.truncated)
    ours = tuple((name, text.encode("utf-8", "backslashreplace")) for name, text in added)
    return Letter(letter.key, value, (*letter.headers, *ours))


def decode(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter:
    """Reads what :func:`encode` wrote. Raises Malformed (``dead-letter``, ``undecodable``) for anything else."""
    starts = [place for place, (name, _) in enumerate(headers) if name == _SCHEMA]
    if not starts:
        raise _malformed(f"it has no header {_SCHEMA!r}")
    original, added = headers[: starts[-1]], headers[starts[-1] :]
    told = {name: _text(name, content) for name, content in added}
    if len(told) < len(added):
        raise _malformed("one of its headers is there twice")
    if unknown := told.keys() - _KNOWN:
        raise _malformed(f"a header {min(unknown)[:60]!r} that is not part of it stands among its own")
    if told[_SCHEMA] != SCHEMA:
        raise _malformed(f"its schema is not {SCHEMA}; read it with the version of embedstream that wrote it")
    for name in _REQUIRED:
        if name not in told:
            raise _malformed(f"it has no header {name!r}")
    letter = DeadLetter(
        key=key,
        value=value,
        headers=original,
        topic=told[_TOPIC],
        partition=_integer(told, _PARTITION),
        offset=_integer(told, _OFFSET),
        stage=told[_STAGE],
        error_class=told[_ERROR_CLASS],
        message=told[_MESSAGE],
        version=Version(_integer(told, _VERSION)) if _VERSION in told else None,
        lineage=told.get(_LINEAGE),
    )
    if _TRUNCATED not in told:
        return letter
    if told[_TRUNCATED] != "true":
        raise _malformed(f"its header {_TRUNCATED!r} says something else than 'true'")
    return replace(letter, value=None, truncated=_truncated(letter))


def _address(letter: DeadLetter, truncated: Truncated) -> bytes:
    document: dict[str, Json] = {
        "schema": int(SCHEMA),
        "truncated": True,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "length": truncated.length,
        "blake2b": truncated.blake2b,
    }
    return dumps(document, "The address of a truncated value")


def _truncated(letter: DeadLetter) -> Truncated:
    """Of the record's value, which must be exactly what :func:`encode` writes for this letter."""
    stands_for = loads(letter.value or b"", "The value of a truncated dead letter")
    if isinstance(stands_for, dict):
        length, digest = stands_for.get("length"), stands_for.get("blake2b")
        if type(length) is int and length >= 0 and isinstance(digest, str):
            truncated = Truncated(length, digest)
            if (
                len(digest) == 64
                and not set(digest) - set("0123456789abcdef")
                and _address(letter, truncated) == letter.value
            ):
                return truncated
    raise _malformed("its value is marked truncated and is not the address of one")


def _text(name: str, content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        raise _malformed(f"its header {name[:60]!r} is not UTF-8") from None


def _integer(told: dict[str, str], name: str) -> int:
    digits = told[name]
    if digits.isascii() and digits.isdigit() and len(digits) <= 19 and (digits == "0" or digits[0] != "0"):
        number = int(digits)
        if number <= INT64_MAX:
            return number
    raise _malformed(f"its header {name!r} is not an integer")


def _malformed(what: str) -> Malformed:
    return Malformed("dead-letter", f"This record is not a dead letter: {what}.")
