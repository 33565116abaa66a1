"""What the command line of the audit takes."""

import pytest

from compose.commands.audit import Asked, instant_ms
from stream.errors import Misuse


@pytest.mark.parametrize(
    ("since", "why"),
    [
        ("yesterday", "takes an instant"),
        ("2026-11-23T10:00:00", "does not say its time zone"),
        ("2286-11-20T17:46:39Z", "has not come yet"),
    ],
)
def test_an_instant_that_could_be_too_late_is_refused(since, why):
    with pytest.raises(Misuse, match=why):
        instant_ms(Asked(after_snapshot=True, since=since))


def test_an_instant_is_told_in_any_zone():
    assert instant_ms(Asked(after_snapshot=True, since="1970-01-01T01:00:01+01:00")) == 1000
