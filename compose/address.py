"""An address to listen on: ``127.0.0.1:8080``, ``[::1]:8080``, ``localhost:0``; ``:8080`` and ``8080`` are loopback.

Whoever leaves the host out gets loopback: an index that the whole network can search is a decision to be written
down (``0.0.0.0:8080``). Port 0 takes any free one.
"""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Host without brackets, and port in 0 to 65535."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: object) -> Address:
    """Raises ValueError with a sentence where it is none."""
    if isinstance(text, Address):
        return text
    wanted = f"is {text!r}; an address to listen on is host:port, as 127.0.0.1:8080 or [::1]:8080"
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise ValueError(wanted)  # noqa: TRY004 - pydantic turns a ValueError, not a TypeError, into a report
    host, _, port = str(text).strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(wanted)
    if not (port.isascii() and port.isdigit()) or int(port) > 65535 or any(sign.isspace() for sign in host):
        raise ValueError(wanted)
    return Address(host or LOOPBACK, int(port))


Listen = Annotated[Address, PlainValidator(parse_address), PlainSerializer(str)]
