"""The corpus on its way into the index, and the first questions that are asked of it."""

import time
from collections.abc import Mapping

from compose.demo.corpus import QUESTIONS, Document
from compose.demo.expectation import Cut
from compose.demo.narration import Narrator
from compose.demo.report import Loaded
from compose.demo.stage import Stage
from compose.demo.view import View
from stream.errors import Fatal

_LOOK_EVERY_S = 0.25
_STALLED_S = 120.0
_HITS = 2


def load(stage: Stage, view: View, cuts: Mapping[str, Cut], narrator: Narrator) -> tuple[Loaded, float]:
    """Waits until the index holds every chunk of ``cuts`` (row → its chunks); also tells the chunks a second."""
    wanted = sum(len(cut.chunks) for cut in cuts.values())
    began = last_moved = time.monotonic()
    first = figures = view.figures()
    with narrator.working("embedding", wanted) as bar:
        while view.count() < wanted or figures.embedded < wanted or stage.broker.lags():
            now, before = time.monotonic(), figures.embedded
            figures = view.figures()
            if figures.embedded > before:
                last_moved = now
            elif now - last_moved > _STALLED_S:
                raise Fatal(f"Nothing was embedded for {_STALLED_S:.0f} s; see {stage.process.child.log}.")
            rate = (figures.embedded - first.embedded) / max(now - began, 1e-3)
            bar.reach(figures.embedded, f"{figures.embedded:,} of {wanted:,} chunks, {rate:.0f}/s")
            time.sleep(_LOOK_EVERY_S)
    seconds = last_moved - began
    rate = (figures.embedded - first.embedded) / max(seconds, 1e-3)
    loaded = Loaded(len(cuts), view.count(), figures.embedded, figures.kept)
    narrator.say(
        f"{loaded.documents} documents → {loaded.chunks:,} chunks in the index, {loaded.embedded:,} embedded, "
        f"{rate:.0f} chunks/s"
    )
    return loaded, rate


def ask(view: View, narrator: Narrator) -> None:
    """The three questions, with the best hits of each."""
    for question in QUESTIONS:
        narrator.question(question)
        for hit in view.search(question, _HITS):
            age = "of unknown age" if hit["age_ms"] is None else f"{hit['age_ms'] / 1000:.1f} s old"
            narrator.hit(
                f"{hit['score']:.3f}  {hit['doc_id']} ({hit['position'] + 1}/{hit['count']})  "
                f"version {hit['version']}, {age}",
                hit["text"] or "",
            )


def cut_all(stage: Stage, documents: list[Document]) -> dict[str, Cut]:
    """Each row's chunks, worked out from the row alone."""
    return {document.id: stage.expectation.cut(document) for document in documents}
