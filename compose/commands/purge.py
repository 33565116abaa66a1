"""``embedstream purge``: marks of removed chunks, once nothing can need them any more, out of this deployment's own
collection.

It takes an hour by default, nearly all of which it waits: for the grace (``[index] grace_s``), after which no write
planned before can come any more, and for the embedders to pass what the chunk topic held when the marks were listed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from adapters.edge.opening import Unserved
from compose.commands.looking import own_collection
from compose.deployment import Deployment
from compose.waiting import outlasting, wait_until
from operations.purge.purging import Purging, Report, Surroundings
from stream.errors import Fatal
from stream.ports import MarkBin, Topics
from stream.purge import Purge

WAIT_S = 600.0
_INDEX_S = 60.0
"""For which the index may be away when the time has come, however short ``--wait`` is: an hour was waited by then."""


def purged(deployment: Deployment, *, dry_run: bool, wait_s: float, begun: Callable[[Purge], None]) -> Report:
    """``begun`` is told what was listed before the wait. Raises Outage and Fatal."""
    settings = deployment.settings
    topics = deployment.topics()
    if not topics.describe([settings.chunks.topic]):
        raise Fatal(f"The topic {settings.chunks.topic} does not exist: no chunker of this deployment has run yet.")
    with own_collection(deployment, topics) as (_, collection):
        accepted = collection.admission.sources
    grace_s = settings.index.grace_s
    purging = Purging(
        Surroundings(
            collection=collection.name,
            opened=lambda: _bin(deployment, topics),
            accepted=frozenset(accepted),
            topics=topics,
            chunk_topic=settings.chunks.topic,
            group=deployment.embedder_group,
            grace_s=grace_s,
            now_s=time.monotonic,
            patience=lambda condition: wait_until(condition, time.monotonic() + grace_s + wait_s),
            begun=begun,
            # Whoever holds the folder of an index and serves nobody passes as well.
            outlasting=lambda call: outlasting(call, max(wait_s, _INDEX_S), besides=(Unserved,)),
        )
    )
    if dry_run:
        listed = len(purging.listed().marks)
        return Report(collection.name, listed, listed)
    return purging.run()


@contextmanager
def _bin(deployment: Deployment, topics: Topics) -> Iterator[MarkBin]:
    """Flushed before too: what is deleted stands in no log with a write that was refused because of it."""
    with own_collection(deployment, topics) as (catalog, collection):
        collection.index.flush()
        yield catalog.bin(collection.name)
        collection.index.flush()


def show_begun(purge: Purge, console: Console) -> None:
    minutes = purge.grace_s / 60
    console.print(
        f"{len(purge.marks)} marks of removed chunks; they may go in {minutes:.3g} minutes, once the embedders have "
        "passed what the chunk topic holds now. Interrupted before, nothing is taken away; say it again then.",
        markup=False,
        soft_wrap=True,
    )


def show(report: Report, console: Console, *, dry_run: bool) -> None:
    """One line."""
    listed = f"{report.listed} marks of removed chunks in {report.collection}"
    if report.unfinished is not None:
        line = f"nothing taken away: {listed}, but {report.unfinished}"
    elif dry_run or not report.listed:
        line = listed
    else:
        line = f"{listed}: {report.left} are left as they were"
    console.print(line, markup=False, soft_wrap=True)
