"""The ``[index.qdrant]`` table: how a Qdrant server is used where ``index.url`` names one.

What is under ``hnsw`` and ``quantization`` is Qdrant's own and is checked by Qdrant's own models; all of it, and
shards and replicas, is asked for when a collection is created and changes no existing one. The key belongs into the
environment (``EMBEDSTREAM_INDEX__QDRANT__API_KEY``, or ``…_FILE``).
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from adapters.qdrant.options import (
    Layout,
    Pace,
    ServerOptions,
    Trust,
    majority,
    parse_address,
)
from compose.located import Located
from compose.section import Positive, Section, Text
from stream.errors import Misuse


class QdrantSettings(Section):
    """Defaults are those of one server without replicas."""

    api_key: Text | None = None
    ca_location: Located | None = None
    """PEM: the authority that signed the server's certificate, where the system does not know it."""
    certificate_location: Located | None = None
    """PEM: this client's own certificate, where the server asks for one; ``key_location`` is its key."""
    key_location: Located | None = None
    shards: Positive | None = None
    replicas: Positive = 1
    write_consistency: Positive | None = None
    """Replicas that have to take a write; left out: the majority."""
    vectors_on_disk: bool | None = None
    payload_on_disk: bool | None = None
    hnsw: Mapping[str, Any] = {}
    """Qdrant's own: ``m``, ``ef_construct``, ``full_scan_threshold``, ``payload_m``, …"""
    quantization: Mapping[str, Any] = {}
    """Qdrant's own: one of ``scalar``, ``product``, ``binary``, as ``{ scalar = { type = "int8" } }``."""
    timeout_s: Annotated[Positive, Field(le=600)] = 30
    """How long one answer may take before the server counts as down."""
    batch_points: Annotated[Positive, Field(le=1024)] = 128
    """Points of one request; 64 to 256 suit most servers."""
    requests_in_flight: Annotated[Positive, Field(le=16)] = 4
    """Of one write, where order allows."""
    request_bytes: Annotated[Positive, Field(ge=65_536)] = 24 << 20
    """Of one request, estimated; a server takes 32 MB unless that was raised."""

    @model_validator(mode="after")
    def _agrees(self) -> "QdrantSettings":
        written = self.write_consistency
        if written is not None and not majority(self.replicas) <= written <= self.replicas:
            raise ValueError(
                f"`write_consistency` is {written}, and of {self.replicas} replicas at least "
                f"{majority(self.replicas)} (the majority) and at most {self.replicas} have to take a write"
            )
        if (self.certificate_location is None) != (self.key_location is None):
            raise ValueError("`certificate_location` and `key_location` belong together; set both or none")
        return self

    def options(self, url: str) -> ServerOptions:
        """For the server at ``url``. Raises Misuse with a sentence that begins with the key."""
        address = parse_address(url)
        located = self.ca_location or self.certificate_location
        if located is not None and not address.tls:
            raise Misuse(f"`url` is {url!r}, and certificates are named in [index.qdrant]; use https or grpcs.")
        self._check_tables()
        return ServerOptions(
            address=address,
            api_key=self.api_key,
            trust=Trust(self.ca_location, self.certificate_location, self.key_location),
            layout=Layout(
                shards=self.shards,
                replicas=self.replicas,
                write_consistency=self.write_consistency,
                vectors_on_disk=self.vectors_on_disk,
                payload_on_disk=self.payload_on_disk,
                hnsw=self.hnsw,
                quantization=self.quantization,
            ),
            pace=Pace(
                timeout_s=self.timeout_s,
                batch_points=self.batch_points,
                requests_in_flight=self.requests_in_flight,
                request_bytes=self.request_bytes,
            ),
        )

    def _check_tables(self) -> None:
        """Qdrant's models take seconds to load, so they are asked only where there is something to ask."""
        if not self.hnsw and not self.quantization:
            return
        from adapters.qdrant.layout import hnsw, quantization  # noqa: PLC0415 - see above

        hnsw(self.hnsw)
        quantization(self.quantization)
