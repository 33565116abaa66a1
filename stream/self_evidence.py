"""What a live point and its document's other points prove about themselves, without any topic.

A chunk's id names its document and the text that is embedded; its payload carries its own digest and says how many
chunks the document has; all live points of a document at rest are of one version; and the vector is the text's. So
most damage contradicts itself. What is consistent and wrong as a whole (a document at an older revision, one that
should not be there) only a comparison with the chunk topic finds.

Source: the cheap check of DESIGN 10 (every live point carries its document's newest version), and more of its kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.identity import ChunkId, DocId, Version, chunk_ids
from stream.difference import Difference, Kind
from stream.payload import digest_of
from stream.points import Payload, Point, State, StoredPoint
from stream.survey import Foreign, stored_of
from stream.text import embedded_text


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one point contradicts, and the text whose vector it should have; None where the text is not stored."""

    contradictions: tuple[Difference, ...]
    text: str | None


def evidence(
    point: Point, document: Sequence[StoredPoint], fit_title: Callable[[str | None], str | None]
) -> Evidence:
    """Of a live point; ``document`` is every point stored under its document's name, read together with it."""
    stored = stored_of(point)
    if isinstance(stored, Foreign):
        return Evidence((Difference(Kind.FOREIGN, stored.doc_id, point.id, Version(0), stored.why),), None)
    found: list[Difference] = []

    def differs(kind: Kind, why: str) -> None:
        found.append(Difference(kind, stored.doc_id, point.id, stored.version, why))

    if digest_of(point.payload) != stored.payload_digest:
        differs(Kind.CHANGED, "its payload has not its own digest")
    text = _text(point.payload, fit_title)
    count = point.payload.get("count")
    if text is not None and type(count) is int and not _names(stored.doc_id, text, point.id, count):
        differs(Kind.CHANGED, "its id is not that of its text")
        text = None
    live = [one for one in document if one.state is State.LIVE]
    newest = max((one.version for one in document), default=stored.version)
    if stored.version < newest:
        differs(Kind.STALE, f"its document has {newest}")
    elif point.id == min((one.id for one in live), default=point.id) and type(count) is int and len(live) != count:
        kind = Kind.MISSING if len(live) < count else Kind.ORPHANED
        differs(kind, f"its document should have {count} chunks and has {len(live)}")
    return Evidence(tuple(found), text)


def _text(payload: Payload, fit_title: Callable[[str | None], str | None]) -> str | None:
    text, title = payload.get("text"), payload.get("title")
    return (
        embedded_text(fit_title(title if isinstance(title, str) else None), text) if isinstance(text, str) else None
    )


def _names(document: DocId, text: str, point: ChunkId, count: int) -> bool:
    """Whether the id is that of the text, whichever of the document's equal texts it is."""
    return point in chunk_ids(document, [text] * max(0, count))
