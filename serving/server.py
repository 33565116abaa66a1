"""The query service as a running thing: the application on its address, from start to close.

It starts only when it may answer: an index that exists is opened, compared and probed first, so that a service with
the wrong model ends here, with both contracts shown, instead of refusing one request after the other. An index that
does not exist yet is no reason to stop: the embedder makes it, and ``/readyz`` says so meanwhile.
"""

import contextlib

from adapters.http_server import HttpServer
from serving.api import QueryService
from stream.errors import Outage

_ANSWERED_S = 1.0
"""What telling a client that its deadline passed may take."""


def serve_queries(service: QueryService, host: str = "127.0.0.1", port: int = 8080) -> HttpServer:
    """Serves until ``close``. Raises Fatal where the index is under another contract, Misuse where the port is taken.

    The server runs in a thread of its own; the owner waits for whatever ends its process. ``close`` waits until every
    request in flight is answered, which its deadline sees to.
    """
    with contextlib.suppress(Outage):  # told by /readyz until it is over
        service.live.current()
    return HttpServer(service.app(), host, port, name="query", drain_s=service.limits.deadline_s + _ANSWERED_S)
