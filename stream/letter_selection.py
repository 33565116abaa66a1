"""Which dead letters a command means: by kind, stage, source, document, and place.

Within one of these any of the given values does, and a letter has to satisfy every one that is given; nothing given
means all. A place is that of the record which could not be worked with (``topic``, ``topic:partition`` or
``topic:partition:offset``, also written with dashes where all three are there), or of the letter itself
(``partition:offset``). No topic of Kafka's has a colon in its name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from schemas.identity import DocId
from stream.errors import Misuse
from stream.kept_letter import KeptLetter

_COLONS = re.compile(r"([A-Za-z0-9._-]+)(?::(\d+)(?::(\d+))?)?")
_DASHES = re.compile(r"([A-Za-z0-9._-]+)-(\d+)-(\d+)")
_OWN = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Of records (``topic`` given), or of one letter in its own topic."""

    topic: str | None
    partition: int | None = None
    offset: int | None = None

    @classmethod
    def parse(cls, written: str) -> Self:
        """Raises Misuse where it is none of the forms."""
        if own := _OWN.fullmatch(written):
            return cls(None, int(own[1]), int(own[2]))
        found = _DASHES.fullmatch(written) or _COLONS.fullmatch(written)
        if found is None:
            raise Misuse(
                f"{written!r} is no place: write partition:offset of the letter as `dead-letters list` shows it, or "
                "topic, topic:partition or topic:partition:offset of the record that failed."
            )
        partition, offset = found[2], found[3]
        return cls(found[1], None if partition is None else int(partition), None if offset is None else int(offset))

    def holds(self, kept: KeptLetter) -> bool:
        """Whether the letter, or the record it is of, lies there."""
        own = (kept.place.topic, kept.place.number, kept.offset)
        original = (kept.letter.topic, kept.letter.partition, kept.letter.offset)
        if self.topic is None:
            return (self.partition, self.offset) == own[1:]
        return any(
            self.topic == topic and self.partition in (None, partition) and self.offset in (None, offset)
            for topic, partition, offset in (own, original)
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty: every letter."""

    kinds: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    documents: frozenset[DocId] = frozenset()
    places: tuple[Place, ...] = ()

    @classmethod
    def written(
        cls,
        *,
        kinds: Iterable[str] | None = None,
        stages: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
        documents: Iterable[DocId] | None = None,
        places: Iterable[str] | None = None,
    ) -> Self:
        """As a command line gives them. Raises Misuse."""
        return cls(
            frozenset(kinds or ()),
            frozenset(stages or ()),
            frozenset(sources or ()),
            frozenset(documents or ()),
            tuple(map(Place.parse, places or ())),
        )

    @property
    def everything(self) -> bool:
        """Whether nothing was given."""
        return self == Selection()

    def takes(self, kept: KeptLetter) -> bool:
        """Whether the letter is meant."""
        letter = kept.letter
        return (
            (not self.kinds or letter.error_class in self.kinds)
            and (not self.stages or letter.stage in self.stages)
            and (not self.sources or kept.source in self.sources)
            and (not self.documents or kept.document in self.documents)
            and (not self.places or any(place.holds(kept) for place in self.places))
        )
