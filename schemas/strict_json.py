"""JSON as the wire takes it: what every reader reads alike, and nothing that is changed on the way.

A JSON library alone is not enough. orjson refuses lone surrogates, NaN and infinities when it reads, but reads an
integer beyond 64 bits as a float, so that two keys become one, and writes NaN as null. Law: what :func:`loads`
returns is what the bytes say, with integers inside the signed 64-bit range, or :class:`Malformed` is raised; nothing
else ever is, whatever the bytes.

Of an object's repeated names the last one counts, as in every JSON library of this pipeline.
"""

import re

import orjson

from schemas.chunk_event import Json
from schemas.malformed import Malformed

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

# Every integer that may be too long has nineteen digits in a row. They are looked for in a copy where all digits are
# alike, which is many times as fast as a pattern and matters on every record.
_DIGITS_ALIKE = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG_RUN = b"0" * 19
# A string, or a number with its fraction and exponent. Strings are matched to be stepped over; possessive quantifiers
# keep the memory flat on a string of 50 MB. Sound only on bytes that are known to be JSON.
_STRING_OR_NUMBER = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?P<integer>-?[0-9]++)(?P<rest>(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)', re.DOTALL
)


def loads(data: bytes, what: str) -> Json:
    """The value that ``data`` says; ``what`` names it in the error's sentence.

    Raises Malformed of kind ``undecodable`` (not UTF-8, not JSON, a lone surrogate, NaN, nested beyond 1,024 levels)
    or ``integer-range``.
    """
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed("undecodable", f"{what} is not JSON in UTF-8: {error}.") from None
    if _LONG_RUN in data.translate(_DIGITS_ALIKE) and _holds_a_long_integer(data):
        raise Malformed(
            "integer-range",
            f"{what} holds an integer beyond 64 bits, which not every reader keeps exactly; write it as text.",
        )
    return value


def _holds_a_long_integer(data: bytes) -> bool:
    for match in _STRING_OR_NUMBER.finditer(data):
        digits = match["integer"]
        if digits is None or match["rest"] or len(digits) < 19:
            continue
        if len(digits) > 20 or not INT64_MIN <= int(digits) <= INT64_MAX:
            return True
    return False


def dumps(value: Json, what: str) -> bytes:
    """Compact JSON. The caller has seen to it that no float is NaN or infinite: orjson would write null.

    Raises Malformed of kind ``not-json`` for a lone surrogate or anything else that JSON has no word for.
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise Malformed("not-json", f"{what} cannot be written as JSON: {error}.") from None


_KINDS = {
    type(None): "null",
    bool: "a Boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def kind_of(value: object) -> str:
    """What a value is, in the words of JSON, for a sentence that must not repeat a text of megabytes."""
    return _KINDS.get(type(value)) or f"a {type(value).__name__}"
