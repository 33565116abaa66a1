"""An erasure note: that a document was erased up to a version, written beside the dead letters.

Deletes and the nulls that stand for them leave the chunk topic in the end (``delete.retention.ms``), and a collection
that is made after that holds no mark either. A dead letter of an older revision may outlive them both; the note,
which lies behind it in the same partition, outlives the letter, since retention takes a partition's oldest first.

The key is the document's id as JSON, the value null, so nothing of a text is in it; headers say the rest. Laws:
``decode(*encode(note)) == note``; a dead letter is never a note, nor a note a letter.
"""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.chunk_event import Headers
from schemas.identity import DocId, Version
from schemas.malformed import Malformed
from schemas.strict_json import INT64_MAX, dumps, loads

NAMESPACE = "embedstream.erasure-note."
SCHEMA = b"1"

_SCHEMA = NAMESPACE + "schema"
_VERSION = NAMESPACE + "version"
_LINEAGE = NAMESPACE + "lineage"


@dataclass(frozen=True, slots=True)
class ErasureNote:
    """Revisions of this lineage up to ``version`` are not to come back."""

    document: DocId
    lineage: str
    version: Version


class Written(NamedTuple):
    """A note as a record; its value is null."""

    key: bytes
    headers: Headers


def encode(note: ErasureNote) -> Written:
    """The record to be written."""
    headers = ((_SCHEMA, SCHEMA), (_VERSION, str(note.version).encode()), (_LINEAGE, note.lineage.encode()))
    return Written(dumps(note.document, "The key of an erasure note"), headers)


def decode(key: bytes | None, value: bytes | None, headers: Headers) -> ErasureNote:
    """Reads what :func:`encode` wrote. Raises Malformed for anything else."""
    told = dict(headers)
    if key is None or value is not None or len(headers) != len(told) or told.keys() != {_SCHEMA, _VERSION, _LINEAGE}:
        raise _malformed("its headers are not those of one")
    document, version, lineage = (
        loads(key, "The key of an erasure note"),
        told[_VERSION] or b"",
        told[_LINEAGE] or b"",
    )
    if told[_SCHEMA] != SCHEMA:
        raise _malformed("its schema is not 1; read it with the version of embedstream that wrote it")
    if not isinstance(document, str) or not document:
        raise _malformed("its key is not a document's id")
    if not version.isdigit() or len(version) > 19 or int(version) > INT64_MAX:
        raise _malformed("its version is not an integer")
    try:
        return ErasureNote(DocId(document), lineage.decode(), Version(int(version)))
    except UnicodeDecodeError:
        raise _malformed("its lineage is not UTF-8") from None


def _malformed(what: str) -> Malformed:
    return Malformed("erasure-note", f"This record is not an erasure note: {what}.")
