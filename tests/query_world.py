"""An index of three documents in memory, and whoever serves it over HTTP: the world of the query service's tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx

from adapters.http_server import HttpServer
from adapters.memory.encoder import HashEncoder
from adapters.memory.index import MemoryCatalog
from adapters.metrics import Metrics
from schemas.chunk_event import Chunk, ChunkEvent
from schemas.identity import DocId, Version, chunk_ids
from serving.api import QueryService
from serving.handle import LiveIndex
from serving.request import RequestRules
from serving.server import serve_queries
from stream import probes
from stream.collection import collection_name, new_record
from stream.contract import ChunkingContract, Contract, TextMapping
from stream.errors import Outage
from stream.payload import live_payload
from stream.points import Put
from stream.ports import VectorSpec

NOW_MS = 1_700_000_000_000
FIELDS = {"section": "keyword", "year": "integer"}
TEXTS = {
    "docs/1": ("Topics", "Delete a topic of the broker with the administration tool.", "operations", "acme"),
    "docs/2": ("Plums", "Ripe plums and wild honey make a fine cake in autumn.", "kitchen", "acme"),
    "docs/3": ("Offsets", "A consumer group commits the offset of each partition.", "operations", "other"),
}


@dataclass
class World:
    """An index of three documents, made by one encoder, and whoever serves it."""

    encoder: HashEncoder = field(default_factory=lambda: HashEncoder(128))
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)
    metrics: Metrics = field(default_factory=lambda: Metrics(lambda: NOW_MS))

    def build(
        self, encoder: HashEncoder | None = None, generation: int = 1, *, live: bool = True, **changed
    ) -> Contract:
        """A collection with its documents; the alias points to it."""
        encoder = encoder or self.encoder
        contract = Contract(
            ChunkingContract("anchored", 48, 200, 0, 32, encoder.contract.tokenizer),
            encoder.contract,
            (TextMapping("docs", "title", ("body",)),),
        )
        name = collection_name("docs", contract.fingerprint, generation)
        record = replace(new_record(contract, {}, probes.take(encoder)), **changed)
        spec = VectorSpec(encoder.contract.vector_name, encoder.contract.dimensions)
        self.catalog.create(name, spec, FIELDS, record.to_json())
        index = self.catalog.open(name)
        for number, (document, (title, text, section, tenant)) in enumerate(TEXTS.items(), start=1):
            (chunk_id,) = chunk_ids(DocId(document), [text])
            event = ChunkEvent(
                "upsert",
                "docs",
                DocId(document),
                Version(number),
                "lineage",
                title=title,
                fields={"section": section, "year": 2020 + number},
                tenant=tenant,
                source_ts_ms=NOW_MS - 1500 * number,
                chunks=(Chunk(chunk_id, (0, len(text)), text),),
            )
            (vector,) = encoder.encode("passage", [text])
            payload = live_payload(event, 0, event.chunks[0], store_text=True)
            index.write([Put(chunk_id, Version(number), vector, payload)])
        if live:
            self.catalog.switch_alias("docs", self.catalog.aliases().get("docs"), name)
        return contract

    @property
    def live_collection(self) -> str:
        """What the alias means."""
        return self.catalog.aliases()["docs"]

    def service(self, *encoders: HashEncoder, catalog=None, max_text_chars=2000, **more) -> QueryService:
        rules = RequestRules(max_text_chars=max_text_chars, max_limit=20, fields=FIELDS)
        live = LiveIndex(catalog or self.catalog, "docs", encoders or [self.encoder])
        return QueryService(live, self.metrics, rules, now_ms=lambda: NOW_MS, **more)


@contextmanager
def served(service: QueryService) -> Iterator[tuple[HttpServer, httpx.Client]]:
    """On a free port, with a client of its own."""
    with (
        serve_queries(service, port=0) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client,
    ):
        yield server, client


class AwayCatalog:
    """A catalog whose index cannot be reached."""

    def aliases(self):
        raise Outage("The index does not answer.", retry_after_s=6.2)
