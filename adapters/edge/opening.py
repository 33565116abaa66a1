"""How a process comes to a data directory's index: it owns the directory, or it asks the owner.

Whoever comes first owns. A process that means to stay serves the others on the socket; a command does its work and
leaves. A second process connects to the owner's socket; where the owner serves nobody (a command at work, or a server
that is about to start) it waits a little, since either passes, and is then refused with the owner's process id.
"""

import time
from pathlib import Path

from adapters.edge.catalog import EdgeCatalog
from adapters.edge.client import SocketCatalog
from adapters.edge.ownership import Owned
from stream.errors import Fatal, Outage
from stream.ports import IndexCatalog

PATIENCE_S = 5.0


class Unserved(Fatal):
    """Another process owns the directory and answers nobody; it may pass."""


def open_catalog(path: Path, *, serve: bool, patience_s: float = PATIENCE_S) -> IndexCatalog:
    """The catalog in ``path``, made where there is none. Raises Unserved where the owner answers nobody."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _owning(path, serve=serve)
        except Owned as owned:
            refusal = owned
        try:
            return SocketCatalog(path)
        except Outage:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
        owner = "another process" if refusal.pid is None else f"process {refusal.pid}"
        raise Unserved(
            f"The index in {path} is owned by {owner}, which serves nobody on its socket; wait until it has finished "
            "or stop it, then run this again."
        ) from refusal


def _owning(path: Path, *, serve: bool) -> EdgeCatalog:
    catalog = EdgeCatalog(path)
    if serve:
        try:
            catalog.serve()
        except Fatal:
            catalog.close()
            raise
    return catalog
