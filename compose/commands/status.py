"""``embedstream status``: what runs here, how far each group is behind, and what users search.

Lags are in events over all partitions: what is committed at the source's topic and not chunked, and what is chunked
and not in the index. ``None`` where the topic does not exist yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console

from compose.commands.looking import NoIndexYet, live_collection
from compose.deployment import Deployment
from compose.native.stack import Server
from consumers.lag import Lag, lag_of
from schemas.chunk_event import Json
from stream.points import State


@dataclass(frozen=True, slots=True)
class Status:
    """The figures of one deployment."""

    chunker: int | None
    embedder: int | None
    index: str
    collection: str
    live: str | None
    """The collection behind the index's name; None where there is none yet."""
    contract: str
    points: int | None

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        return {
            "lag": {"chunker": self.chunker, "embedder": self.embedder},
            "index": self.index,
            "collection": self.live or self.collection,
            "contract": self.contract,
            "points": self.points,
            "live": self.live == self.collection,
        }


def status_of(deployment: Deployment) -> Status:
    """Raises Outage where the broker does not answer."""
    topics = deployment.topics()
    behind = lag_of(topics, deployment.chunker_group, list(deployment.source_topics))
    chunk_topic = deployment.settings.chunks.topic
    embedder = lag_of(topics, deployment.embedder_group, [chunk_topic])[chunk_topic]
    name: str | None
    points: int | None
    try:
        with live_collection(deployment) as live:
            name, points = live.name, live.index.count(State.LIVE.value)
    except NoIndexYet:
        name, points = None, None
    return Status(
        chunker=_total(behind.values()),
        embedder=embedder.events,
        index=deployment.settings.index.name,
        collection=deployment.collection,
        live=name,
        contract=deployment.contract.fingerprint,
        points=points,
    )


def show(status: Status, console: Console) -> None:
    """A few plain lines."""
    console.print(f"lag         chunker {_events(status.chunker)}, embedder {_events(status.embedder)}")
    console.print(f"index       {status.index} → {status.live or 'nothing yet'}")
    if status.live is not None and status.live != status.collection:
        console.print(f"            this configuration writes {status.collection}")
    console.print(f"contract    {status.contract}")
    if status.points is not None:
        console.print(f"points      {status.points:,} live")


def show_servers(servers: tuple[Server, ...], console: Console) -> None:
    """The local servers, one a line."""
    for server in servers:
        state = f"process {server.pid}, {server.address}" if server.pid is not None else "stopped"
        console.print(f"{server.name:<11} {state}")


def _total(lags: Iterable[Lag]) -> int | None:
    events = [lag.events for lag in lags]
    return None if None in events else sum(count for count in events if count is not None)


def _events(count: int | None) -> str:
    return "unknown (no topic yet)" if count is None else f"{count:,}"
