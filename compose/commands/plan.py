"""``embedstream plan``: what embedding a corpus takes, and what an upgrade of it will, before either is begun."""

from dataclasses import dataclass

from compose.deployment import Deployment
from operations.plan.rate import measured_rate
from operations.plan.sizes import sizes
from schemas.chunk_event import Json
from schemas.identity import DocId, Version
from stream.change import Upsert
from stream.errors import Misuse
from stream.replay_cost import Means, ReplayCost, Sampled, replay_cost
from stream.text import embedded_text

_MOST_TEXTS = 4_096
_MOST_CHUNKS = 10**15
"""More than anybody has; beyond, bytes are no longer numbers that mean something."""
_MOST_CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Corpus:
    """``next_chunks_per_document`` and ``alike`` speak of another chunking: how many chunks it makes, and which part
    of them has the text of a chunk of today. ``chunk_bytes`` is the mean size of a chunk's text.
    """

    documents: int
    chunks_per_document: float
    dimensions: int
    chunk_bytes: int
    next_chunks_per_document: float | None = None
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """``first`` is the pass that fills an empty index; the others are upgrades of it."""

    rate: float
    first: ReplayCost
    another_model: ReplayCost
    another_chunking: ReplayCost | None

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        chunking = self.another_chunking
        return {
            "chunks_per_second": round(self.rate, 1),
            "first": self.first.to_json(),
            "another_model": self.another_model.to_json(),
            "another_chunking": None if chunking is None else chunking.to_json(),
        }


def estimated(corpus: Corpus, means: Means) -> Estimate:
    """Raises Misuse for numbers that describe no corpus, and for means that are none."""
    _refuse_nonsense(corpus)

    def passed(then: float, alike: float, *, anew: bool) -> ReplayCost:
        chunks_now = round(corpus.documents * corpus.chunks_per_document)
        chunks_then = round(corpus.documents * then)
        # The text of a document stays as long as it is, however it is cut.
        taken = sizes(max(1, round(corpus.chunk_bytes * corpus.chunks_per_document / then)))
        sampled = Sampled(
            corpus.documents,
            chunks_now,
            chunks_then,
            round(chunks_then * alike),
            taken.payload,
            taken.event_of(then),
        )
        return replay_cost(chunks_now, sampled, means, corpus.dimensions, copies=alike > 0, own_chunker=anew)

    following = corpus.next_chunks_per_document
    return Estimate(
        means.rate,
        passed(corpus.chunks_per_document, 0.0, anew=True),
        passed(corpus.chunks_per_document, 0.0, anew=False),
        None if following is None else passed(following, corpus.alike, anew=True),
    )


def _refuse_nonsense(corpus: Corpus) -> None:
    following = corpus.next_chunks_per_document
    for chunks in (corpus.chunks_per_document, corpus.chunks_per_document if following is None else following):
        # A comparison with what is no number is false, so it is said from the good side.
        if not (corpus.documents >= 1 and chunks > 0 and corpus.documents * chunks <= _MOST_CHUNKS):
            raise Misuse("A corpus has at least one document, above 0 chunks a document, and at most 10¹⁵ chunks.")
    if not 0 <= corpus.alike <= 1:
        raise Misuse("The share of chunks alike is between 0 and 1.")
    if corpus.dimensions < 1 or not 1 <= corpus.chunk_bytes <= _MOST_CHUNK_BYTES:
        raise Misuse("A vector has at least one dimension, and a chunk a text of 1 byte to 16 MiB.")


@dataclass(frozen=True, slots=True)
class Measured:
    """``rate`` in chunks a second; ``chunk_bytes`` is the mean of the texts that it was measured on."""

    rate: float
    chunk_bytes: int
    dimensions: int


def measured(deployment: Deployment, seconds: float) -> Measured:
    """What this machine's encoder makes of Python's own manual, cut as the configuration says."""
    # Half a megabyte that no other command needs.
    from pydoc_data.topics import topics  # noqa: PLC0415

    cutter, bulk = deployment.cutter, deployment.profiles.bulk
    title = cutter.embedded_title(None)
    texts: list[str] = []
    for number, (topic, text) in enumerate(topics.items()):
        change = Upsert(DocId(f"topics/{topic}"), Version(number + 1), None, text, {}, None, None)
        texts += (embedded_text(title, chunk.text) for chunk in cutter.event("topics", change, "").chunks)
    texts = texts[:_MOST_TEXTS]
    rate = measured_rate(lambda some: bulk.encode("passage", some), texts, seconds)
    mean = sum(len(text.encode()) for text in texts) // len(texts)
    return Measured(rate, mean, bulk.contract.dimensions)
