"""A whole number as JSON may write it.

JSON knows one kind of number, so ``5.0`` is as whole as ``5``, and JSON Schema calls both an integer. A float from
2^53 on no longer says which whole number was meant, and one of more than 64 bits is stored nowhere: neither is read.
"""

LEAST = -(2**63)
MOST = 2**63 - 1
_EXACT = 2**53


def whole(value: object) -> int | None:
    """The number; None where it is none, truth values included."""
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value if type(value) is int and LEAST <= value <= MOST else None
