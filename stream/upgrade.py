"""What an upgrade is: how two pairs of chunking and encoding differ, and so what is replayed, copied, and kept apart.

Two pairs, the one that is searched and the one that is to follow it, share their topics, sources and index. Where the
headers of both are equal they share the chunkers too, and only the *chunk* topic is replayed, under the next pair's
embedder group. Where the headers differ the next pair has chunkers of its own, which replay the *CDC* topics; both
write the chunk topic, under keys of their own, and each embedder drops the other's events by their header. A lineage
that changed is a rebuild: the chunkers of the pair before it cannot go on, and the next pair's begin anew.

Laws: never do two chunker groups write events of one header in one lineage, because the events of a document would
not stand in version order; vectors are copied only where the encodings are equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.identity import Fingerprint
from stream.contract import Contract
from stream.errors import Misuse
from stream.ports import Partition, TopicInfo


class Kind(StrEnum):
    """What changes; each includes those before it where they differ too."""

    ENCODING = "encoding"
    CHUNKING = "chunking"
    REBUILD = "rebuild"


@dataclass(frozen=True, slots=True)
class Pair:
    """One chunking and one encoding, and whose names follow from them."""

    contract: Contract
    collection: str
    chunker_group: str
    embedder_group: str

    @property
    def headers(self) -> Mapping[str, Fingerprint]:
        """Source → fingerprint in the header of its events."""
        return self.contract.accepted


@dataclass(frozen=True, slots=True)
class Change:
    """From one pair to the next."""

    kind: Kind
    copies: bool
    """Vectors of equal texts are taken over."""

    @property
    def own_chunker(self) -> bool:
        """Whether the next pair has chunkers of its own, which replay the CDC topics."""
        return self.kind is not Kind.ENCODING


def change_of(before: Pair, after: Pair, lineages_before: Mapping[str, str], lineages: Mapping[str, str]) -> Change:
    """``lineages_before`` are those of the collection before, ``lineages`` those of the topics now, by source.

    Raises Misuse, with what to write into the next file, where the one cannot follow the other.
    """
    if before.collection == after.collection:
        raise Misuse(
            f"Both files make the collection {before.collection}, so there is nothing to upgrade; change [chunking], "
            "[encoding], a source's title or text, or index.generation in the next one."
        )
    copies = before.contract.encoding.fingerprint == after.contract.encoding.fingerprint
    if any(lineages.get(source, known) != known for source, known in lineages_before.items()):
        if before.chunker_group == after.chunker_group:
            raise Misuse(_raise_generation("the topics were made anew, and the chunkers begin anew with them"))
        return Change(Kind.REBUILD, copies)
    alike = [source for source, header in before.headers.items() if after.headers.get(source) == header]
    if not alike:
        if before.chunker_group == after.chunker_group:
            raise Misuse(_raise_generation("the sources' titles or texts are mapped otherwise"))
        return Change(Kind.CHUNKING, copies)
    if len(alike) < len(before.headers):
        other = next(source for source in before.headers if source not in alike)
        raise Misuse(
            f"The next file maps the title or text of source {other!r} otherwise and that of {alike[0]!r} as before, "
            "so two chunkers would write the same events of the latter; change a key of [chunking] too, which cuts "
            "all of them anew."
        )
    if before.chunker_group != after.chunker_group:
        raise Misuse(
            "Both files cut documents alike, so they share their chunkers, and index.generation names them; give the "
            "next file the generation of the present one, and change what it encodes with. A damaged index of the "
            "same contract is mended by `embedstream audit --repair`."
        )
    return Change(Kind.ENCODING, copies)


def lost_history(topic: str, info: TopicInfo, low_watermarks: Mapping[Partition, int]) -> Partition | None:
    """A partition of the topic whose first records are gone for good, or None: a replay would miss what was in them.

    ``info`` with its settings. Compaction keeps the last record of each key, which is all that a replay needs; where
    a topic is deleted from as well, or its settings may not be read, a low watermark above 0 tells of records lost.
    """
    if info.config.get("cleanup.policy") == "compact":
        return None
    return next((place for place, low in sorted(low_watermarks.items()) if place.topic == topic and low > 0), None)


def _raise_generation(why: str) -> str:
    return f"Raise index.generation by one in the next file: {why}, and the generation keeps the groups apart."
