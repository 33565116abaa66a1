"""How a process comes to the index on a server: it opens a connection; nothing is owned and nobody is asked.

Any number of embedders, query services and commands may do so at once. A server that is away is an outage at the
first call, not here.
"""

from adapters.qdrant.catalog import QdrantCatalog
from adapters.qdrant.connection import connect
from adapters.qdrant.options import ServerOptions


def open_server(options: ServerOptions) -> QdrantCatalog:
    """The catalog of the server. Raises Misuse where a certificate's file cannot be read."""
    return QdrantCatalog(connect(options), options.layout)
