"""What erasing did to each document, and where bytes of it are left: for people, and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.chunk_event import Json
from schemas.identity import DocId
from stream.remains import Remains


@dataclass(frozen=True, slots=True)
class Erased:
    """One document. ``refused`` is the sentence that says why it was left as it is; ``known_by`` how it is known that
    it is gone from its source.
    """

    document: DocId
    refused: str | None = None
    known_by: str = ""
    marked: Mapping[str, int] = field(default_factory=dict)
    """Collection → live points that were turned into marks."""
    nulled: int = 0
    came_back: int = 0
    letters: int = 0
    unfinished: str | None = None
    """The sentence that says why it has to be run again, though the nulls are written."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.refused is None and self.unfinished is None

    def to_json(self) -> dict[str, Json]:
        """For ``--json``."""
        return {
            "document": self.document,
            "erased": self.done,
            "refused": self.refused,
            "unfinished": self.unfinished,
            "known_by": self.known_by,
            "marked": dict(self.marked),
            "keys_nulled": self.nulled,
            "came_back": self.came_back,
            "dead_letters": self.letters,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """``index`` says in a sentence each what is left in the files of the index."""

    documents: tuple[Erased, ...]
    remains: tuple[Remains, ...] = ()
    index: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def done(self) -> bool:
        """Whether no document was refused, and none has to be erased again."""
        return all(erased.done for erased in self.documents)

    def to_json(self) -> dict[str, Json]:
        """For ``--json``; times in milliseconds since 1970."""
        return {
            "dry_run": self.dry_run,
            "documents": [erased.to_json() for erased in self.documents],
            "remains": [
                {
                    "topic": one.topic,
                    "what": one.what,
                    "until_ms": one.until_ms,
                    "not_before_ms": one.not_before_ms,
                    "why": one.why,
                }
                for one in self.remains
            ],
            "index": list(self.index),
        }
