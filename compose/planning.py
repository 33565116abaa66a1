"""``embedstream plan``, as the command line gives it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Table

from compose.commands.plan import Corpus, Estimate, estimated, measured
from compose.deployment import Deployment
from compose.printing import out, print_json
from stream.errors import Misuse
from stream.replay_cost import Means, ReplayCost

Opened = Callable[[Path | None], Deployment]
_DIMENSIONS, _CHUNK_BYTES, _MEASURE_S = 384, 800, 10.0


def add_planning(app: typer.Typer, opened: Opened) -> None:
    """Adds it to the command line."""

    @app.command("plan")
    def plan(  # noqa: PLR0913 - one argument for each option
        *,
        documents: Annotated[int, typer.Option("--documents", help="Of the corpus.")],
        chunks_per_document: Annotated[float, typer.Option("--chunks-per-document", help="As they are cut.")],
        rate: Annotated[float | None, typer.Option("--rate", help="Chunks a second of one device.")] = None,
        measure: Annotated[bool, typer.Option("--measure", help="Measure this machine's encoder instead.")] = False,
        devices: Annotated[int, typer.Option("--devices", help="How many encode.")] = 1,
        price: Annotated[float | None, typer.Option("--price", min=0, help="Of a device hour.")] = None,
        dimensions: Annotated[int | None, typer.Option("--dimensions", help="Of a vector; 384 if left out.")] = None,
        chunk_bytes: Annotated[int | None, typer.Option("--chunk-bytes", help="Mean text; 800 if left out.")] = None,
        next_chunks: Annotated[
            float | None,
            typer.Option("--next-chunks-per-document", help="Of another chunking, to plan the upgrade to it."),
        ] = None,
        alike: Annotated[
            float, typer.Option("--alike", min=0, max=1, help="Part of its chunks whose text is one of today's.")
        ] = 0.0,
        config: Annotated[Path | None, typer.Option("--config", help="For --measure.")] = None,
        seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="For --measure.")] = _MEASURE_S,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """Say what embedding a corpus takes: chunks, device hours, wall-clock, cost, room; and an upgrade of it."""
        if (rate is None) is not measure:
            raise Misuse("Give --rate, chunks a second of one device, or --measure, which finds it on this machine.")
        if measure:
            found = measured(opened(config), seconds)
            rate = found.rate
            chunk_bytes = found.chunk_bytes if chunk_bytes is None else chunk_bytes
            dimensions = found.dimensions if dimensions is None else dimensions
        corpus = Corpus(
            documents,
            chunks_per_document,
            _DIMENSIONS if dimensions is None else dimensions,
            _CHUNK_BYTES if chunk_bytes is None else chunk_bytes,
            next_chunks,
            alike,
        )
        estimate = estimated(corpus, Means(rate or 0.0, devices, price=price))
        if as_json:
            print_json(estimate.to_json())
        else:
            _show(estimate, corpus, devices)


def _show(estimate: Estimate, corpus: Corpus, devices: int) -> None:
    passes = {"first pass": estimate.first, "another model": estimate.another_model}
    if estimate.another_chunking is not None:
        passes["another chunking"] = estimate.another_chunking
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in passes:
        table.add_column(name, justify="right")
    for name, told in _ROWS.items():
        cells = [told(cost) for cost in passes.values()]
        if all(cells):
            table.add_row(name, *cells)
    console = out()
    console.print(table)
    console.print(
        f"At {estimate.rate:,.1f} chunks a second on each of {devices:,} devices; {corpus.dimensions} dimensions, "
        f"{corpus.chunk_bytes:,} bytes of text a chunk, no payload fields.",
        "The topic holds each document's newest event, before compression and replicas. During an upgrade both "
        "collections are there.",
        markup=False,
    )
    if estimate.another_chunking is not None:
        console.print("Longer chunks take a device longer: measure the rate at their size.")


def _few(number: float) -> str:
    return f"{number:,.0f}" if number >= _LARGE else f"{number:,.2f}"


def _money(cost: ReplayCost) -> str:
    return "" if cost.cost is None else f"${_few(cost.cost)}"


_LARGE = 100
_ROWS: dict[str, Callable[[ReplayCost], str]] = {
    "chunks": lambda cost: f"{cost.chunks:,}",
    "copied": lambda cost: f"{cost.copied:,}",
    "embedded": lambda cost: f"{cost.embedded:,}",
    "single-device days": lambda cost: f"{cost.single_device_days:,.1f}",
    "device hours": lambda cost: _few(cost.device_hours),
    "wall-clock (hours)": lambda cost: f"{cost.wall_seconds / 3600:,.1f}",
    "cost": _money,
    "Qdrant: vectors": lambda cost: decimal(cost.vector_bytes),
    "Qdrant: with index, in memory": lambda cost: decimal(cost.indexed_bytes),
    "Qdrant: quantized to a byte": lambda cost: decimal(cost.quantized_bytes),
    "Qdrant: payloads": lambda cost: decimal(cost.payload_bytes),
    "Kafka: chunk topic, more": lambda cost: decimal(cost.topic_bytes),
}
