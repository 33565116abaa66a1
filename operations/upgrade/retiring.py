"""The end of the pair that users do not search: what goes, named first, and then taken away.

The collection goes, with the offsets of its embedders. The keys of its chunking go from the chunk topic only where no
other collection accepts their header, and the chunkers that wrote them have stopped: their group is deleted first,
which a broker does only without members, so that nobody goes on behind keys that are gone. These nulls stand for no
delete: a document lives on under the other pair's keys.

Said again after a kill it goes on, because each step looks at what is left.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from operations.upgrade.surroundings import Surroundings
from schemas import chunk_codec
from schemas.chunk_event import Json
from schemas.identity import Fingerprint
from schemas.malformed import Malformed
from stream.collection import from_json
from stream.errors import Fatal, Misuse
from stream.ports import Outgoing, Partition, Producer, Record
from stream.upgrade import Pair

_KEYS_A_CALL = 1_000
Records = Callable[[Sequence[Partition], Mapping[Partition, int]], Iterable[Record]]


@dataclass(frozen=True, slots=True)
class Retirement:
    """What is to go. ``headers`` are those whose keys are nulled; ``kept`` says why keys stay, where they do."""

    pair: Pair
    live: str
    collection: str | None
    """None where it is gone already."""
    points: int
    headers: tuple[Fingerprint, ...] = ()
    kept: str | None = None

    def lines(self) -> Iterator[str]:
        """For a person, before anything is done."""
        if self.collection is not None:
            yield f"the collection {self.collection} with {self.points:,} points"
            yield f"the offsets of group {self.pair.embedder_group}"
        if self.headers:
            yield f"the offsets and the lineage of group {self.pair.chunker_group}"
            yield f"the keys of chunking {', '.join(self.headers)} in the chunk topic, nulled"
        if self.kept is not None:
            yield f"kept: {self.kept}"


@dataclass(frozen=True, slots=True)
class Retired:
    """What went. ``unfinished`` says what is left to do, where something is."""

    collection: str | None
    points: int
    nulled: int
    unfinished: str | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "points": self.points,
            "nulled": self.nulled,
            "unfinished": self.unfinished,
        }


def retirement(around: Surroundings) -> Retirement:
    """Of the pair that the index's name does not mean. Raises Misuse where it means neither."""
    live = around.live
    if live not in (around.before.collection, around.after.collection):
        raise Misuse(
            f"Index {around.index_name} means {live or 'nothing'}, which neither --config nor --next makes, so "
            "nothing here is known to be out of use; name the two files of the upgrade."
        )
    pair = around.before if live == around.after.collection else around.after
    there = around.has(pair)
    points = around.index(pair).count() if there else 0
    used = _used_headers(around, pair.collection)
    headers = tuple(sorted(set(pair.headers.values()) - used))
    kept = None
    if not headers:
        kept = f"the keys in {around.chunk_topic}, because another collection accepts them"
    return Retirement(pair, live, pair.collection if there else None, points, headers, kept)


def retire(around: Surroundings, going: Retirement, records: Records, producer: Producer) -> Retired:
    """Takes it away. Raises Fatal where its embedders still run, and then takes nothing."""
    pair = going.pair
    if not around.groups.delete(pair.embedder_group):
        raise Fatal(
            f"Group {pair.embedder_group} still has members, which write {pair.collection}; stop the embedders of "
            "that pair (a process that runs with --next runs both), then say this again."
        )
    around.catalog.drop(pair.collection)
    if not going.headers:
        return Retired(going.collection, going.points, 0)
    if not around.groups.delete(pair.chunker_group):
        return Retired(
            going.collection,
            going.points,
            0,
            f"group {pair.chunker_group} still has members, which write the chunking that nobody accepts any more; "
            "stop these chunkers, then say this again.",
        )
    return Retired(going.collection, going.points, _nulled(around, going.headers, records, producer))


def _used_headers(around: Surroundings, besides: str) -> set[Fingerprint]:
    """Headers that some other collection accepts, of whatever index: all may read one chunk topic."""
    used: set[Fingerprint] = set()
    for name in around.catalog.collections():
        if name != besides:
            try:
                used.update(from_json(around.catalog.metadata(name)).accepted.values())
            except Fatal:
                continue  # it is no collection of ours, and accepts nothing
    return used


def _nulled(around: Surroundings, headers: Sequence[Fingerprint], records: Records, producer: Producer) -> int:
    """Partition by partition, so that the keys of one alone are held."""
    wanted, nulled = frozenset(headers), 0
    for place in sorted(around.topics.ends(around.chunk_topic)):
        standing: dict[bytes, None] = {}
        for record in records([place], {}):
            if record.key is None or not _is_of(record.key, wanted):
                continue
            if record.value is None:
                standing.pop(record.key, None)
            else:
                standing[record.key] = None
        keys = list(standing)
        for start in range(0, len(keys), _KEYS_A_CALL):
            producer.send([Outgoing(place, key, None) for key in keys[start : start + _KEYS_A_CALL]])
        nulled += len(keys)
    return nulled


def _is_of(key: bytes, headers: frozenset[Fingerprint]) -> bool:
    try:
        return chunk_codec.decode_key(key).chunking in headers
    except Malformed:
        return False
