"""Dates and times that a schema tells in numbers, as the text that an index and a person read.

Debezium and Kafka Connect count days since 1970, or parts of a second since 1970 or since midnight; which one it is
stands in the schema's name alone. The text is RFC 3339: a timestamp in UTC with its ``Z``, a date without one, a
fraction as long as it needs to be. A timestamp without time zone is counted as if its clock were UTC, as Debezium
counts it.

Law: equal instants give equal texts whatever the unit, and texts of one kind sort as their numbers do, up to the
fraction. What lies outside the years 1 to 9999 (PostgreSQL's ``infinity`` does) has no text: None.
"""

from datetime import UTC, date, datetime, timedelta

MILLI, MICRO, NANO = 10**3, 10**6, 10**9
"""Parts of a second."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_SECONDS_A_DAY = 86_400


def date_text(days: int) -> str | None:
    """``YYYY-MM-DD`` of days since 1970."""
    ordinal = _EPOCH_DAY + days
    if not 1 <= ordinal <= date.max.toordinal():
        return None
    return date.fromordinal(ordinal).isoformat()


def timestamp_text(value: int, parts: int) -> str | None:
    """``YYYY-MM-DDTHH:MM:SS[.fraction]Z`` of parts of a second since 1970."""
    seconds, rest = divmod(value, parts)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{_fraction(rest, parts)}Z"


def time_text(value: int, parts: int) -> str | None:
    """``HH:MM:SS[.fraction]`` of parts of a second since midnight; 24:00:00 is a time of PostgreSQL's."""
    seconds, rest = divmod(value, parts)
    if not 0 <= seconds <= _SECONDS_A_DAY:
        return None
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{_fraction(rest, parts)}"


def _fraction(rest: int, parts: int) -> str:
    return f".{rest:0{len(str(parts)) - 1}}".rstrip("0") if rest else ""
