"""The brokers: whether they speak what the stream needs, and whether the clocks around them agree.

A release is what librdkafka could tell of the requests that the brokers know: the newest whose requests are all
known, so "4.1" is "4.1 or newer".
"""

from collections.abc import Iterator, Mapping

from operations.doctor.finding import Finding, advice, fatal, ok
from stream.cluster import ClusterInfo

_ABOUT = "broker"
_CONSUMER_PROTOCOL = (4, 0)
_OLDEST = (3, 0)
_SKEW_MS = 5_000
"""Below it, clocks that are kept by NTP differ for a moment now and then."""


def check_brokers(info: ClusterInfo, group_protocol: str, transaction_timeout_ms: int) -> Iterator[Finding]:
    """Release, number and limits."""
    count = len(info.brokers)
    release = "a release that cannot be told"
    if info.release is not None:
        release = f"Kafka {'.'.join(map(str, info.release))} or newer"
    yield ok(_ABOUT, f"{count} broker{'s' if count != 1 else ''} of cluster {info.id}, {release}")
    if info.release is not None and info.release < _OLDEST:
        yield fatal(_ABOUT, f"it speaks {release}, which is too old", "use Kafka 4.0 or newer")
    elif info.release is not None and info.release < _CONSUMER_PROTOCOL and group_protocol == "consumer":
        yield fatal(
            _ABOUT,
            f'"group.protocol" is "consumer", and it speaks {release}',
            'use Kafka 4.0 or newer, or set "group.protocol" = "classic" in [kafka]',
        )
    longest = info.settings.get("transaction.max.timeout.ms")
    if longest is not None and int(longest) < transaction_timeout_ms:
        yield fatal(
            _ABOUT,
            f"it allows transactions of {longest} ms, and chunker.transaction_timeout_ms is {transaction_timeout_ms}",
            f"set chunker.transaction_timeout_ms to {longest} or less",
        )


def check_clocks(newest_ms: Mapping[str, int], now_ms: int) -> Iterator[Finding]:
    """``newest_ms`` is the newest clock seen of each place (a source's commits, a topic's records). A clock that lies
    in the future is wrong, or ours is; one in the past may only be quiet.
    """
    ahead = {place: ms - now_ms for place, ms in newest_ms.items() if ms - now_ms > _SKEW_MS}
    for place, by_ms in sorted(ahead.items()):
        yield advice(
            "clock",
            f"{place} is {by_ms / 1000:,.0f} s ahead of this machine, so freshness is shown better than it is",
            "let NTP set the clocks of database, brokers and this machine",
        )
    if newest_ms and not ahead:
        yield ok("clock", "no commit or record lies in the future")
