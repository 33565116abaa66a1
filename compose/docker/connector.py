"""Registers the connector of ``compose.yaml`` and ends: ``python -m compose.docker.connector``.

Its settings are those of the local stack. The password is not among them: the connector names the file in which the
worker finds it, so that it is neither in the topic in which Kafka Connect keeps its connectors nor in what its REST
interface shows. Registering again changes nothing, so this runs at every start of the stack.
"""

import sys
from urllib.parse import quote

from compose.native.debezium import Connector, register
from stream.errors import EmbedstreamError

PASSWORD = "${secrets:/run/secrets:postgres_password}"  # noqa: S105 - where it is, not what it is
USER = "postgres"
_DEADLINE_S = 180.0


def connector(topic_prefix: str, database: str, tables: tuple[str, ...]) -> Connector:
    """``database`` is ``host:port/name`` as the worker reaches it, ``tables`` are ``schema.table``."""
    return Connector(topic_prefix, f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{database}", tables)


def main(arguments: list[str]) -> None:
    """``CONNECT TOPIC_PREFIX DATABASE TABLE…``, with the worker as ``host:port``."""
    if len(arguments) < 4:
        raise SystemExit("usage: python -m compose.docker.connector CONNECT TOPIC_PREFIX HOST:PORT/DATABASE TABLE…")
    connect, topic_prefix, database, *tables = arguments
    wanted = connector(topic_prefix, database, tuple(tables))
    try:
        register(connect, wanted, _DEADLINE_S)
    except EmbedstreamError as error:
        raise SystemExit(str(error)) from None
    print(f"{wanted.name} streams {', '.join(wanted.topic(table) for table in tables)}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
