"""What an upgrade works with: the two pairs, the index, the topics, and somebody to wait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.identity import Fingerprint
from stream.caught_up import behind
from stream.collection import CollectionRecord, from_json
from stream.errors import Fatal
from stream.ports import Groups, IndexCatalog, Partition, Topics, VectorIndex
from stream.upgrade import Change, Pair


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``before`` is the pair of the present file, ``after`` that of the next one, whichever is searched now."""

    index_name: str
    before: Pair
    after: Pair
    change: Change
    catalog: IndexCatalog
    topics: Topics
    groups: Groups
    cdc_topics: tuple[str, ...]
    chunk_topic: str
    patience: Callable[[Callable[[], bool]], bool]
    """Asks again and again until the answer is yes; False where that took too long."""
    now_s: Callable[[], float]
    """Monotonic seconds."""

    @property
    def live(self) -> str | None:
        """The collection that users search now."""
        return self.catalog.aliases().get(self.index_name)

    def has(self, pair: Pair) -> bool:
        return pair.collection in self.catalog.collections()

    def record(self, pair: Pair) -> CollectionRecord:
        """Raises Fatal where its collection does not exist."""
        if not self.has(pair):
            raise Fatal(
                f"The collection {pair.collection} does not exist; begin with `embedstream upgrade start`, and look "
                "whether --config and --next name the files that you mean."
            )
        return from_json(self.catalog.metadata(pair.collection))

    def index(self, pair: Pair) -> VectorIndex:
        self.record(pair)
        return self.catalog.open(pair.collection)

    def other(self, pair: Pair) -> Pair:
        """The one of the two that is not this one."""
        return self.before if pair == self.after else self.after


@dataclass(frozen=True, slots=True)
class Watermark:
    """Where the CDC topics ended at a moment, and when that was (monotonic seconds)."""

    ends: Mapping[Partition, int]
    at_s: float


def watermark(around: Surroundings) -> Watermark:
    """Now."""
    at_s = around.now_s()
    return Watermark(
        {place: end for topic in around.cdc_topics for place, end in around.topics.ends(topic).items()}, at_s
    )


def passed(around: Surroundings, pair: Pair, mark: Watermark) -> bool:
    """Whether all that was committed at the source below the watermark is applied to the pair's collection; waits for
    it. First the chunkers have to pass it, then the embedders the ends that the chunk topic has by then.
    """
    topics, chunk_topic = around.topics, around.chunk_topic
    lows = {place: low for topic in around.cdc_topics for place, low in topics.low_watermarks(topic).items()}

    def chunked() -> bool:
        committed = topics.committed(pair.chunker_group, list(mark.ends))
        return all(
            end <= lows.get(place, 0) or (place in committed and committed[place].offset >= end)
            for place, end in mark.ends.items()
        )

    if not around.patience(chunked):
        return False
    # Behind a transaction's offsets its records may not be readable yet: to the log's end, then.
    ends, first = topics.log_ends(chunk_topic), topics.low_watermarks(chunk_topic)
    accepted = frozenset(around.record(pair).accepted.values())
    return around.patience(lambda: not _left(topics, pair, ends, first, accepted))


def lag(around: Surroundings, pair: Pair) -> int:
    """Records that the pair has before it now: of the CDC topics, and of the chunk topic."""
    topics = around.topics
    left = 0
    for group, names in ((pair.chunker_group, around.cdc_topics), (pair.embedder_group, (around.chunk_topic,))):
        for name in names:
            ends, lows = topics.log_ends(name), topics.low_watermarks(name)
            committed = topics.committed(group, list(ends))
            left += sum(
                max(0, end - (committed[place].offset if place in committed else lows.get(place, 0)))
                for place, end in ends.items()
            )
    return left


def _left(
    topics: Topics,
    pair: Pair,
    ends: Mapping[Partition, int],
    lows: Mapping[Partition, int],
    accepted: frozenset[Fingerprint],
) -> Mapping[Partition, int]:
    return behind(ends, lows, topics.committed(pair.embedder_group, list(ends)), accepted)
